locals {
  day_ms = 24 * 60 * 60 * 1000
  # What tuning leaves in the logs: who did what (audit), and what pipelines and custom jobs print.
  vertex = join(" OR ", [
    "protoPayload.serviceName=\"aiplatform.googleapis.com\"",
    "resource.type=\"aiplatform.googleapis.com/PipelineJob\"",
    "resource.type=\"ml_job\"",
  ])
  # Of a custom job only what the service itself says: whatever a step prints to stderr counts as an error.
  failure = join(" OR ", [
    "(resource.type=\"aiplatform.googleapis.com/PipelineJob\" AND jsonPayload.state=\"PIPELINE_STATE_FAILED\")",
    "(resource.type=\"ml_job\" AND resource.labels.task_name=\"service\" AND severity>=ERROR)",
  ])
}

resource "google_project_iam_audit_config" "this" {
  for_each = var.audited_services

  project = var.project_id
  service = each.key

  dynamic "audit_log_config" {
    for_each = ["ADMIN_READ", "DATA_READ", "DATA_WRITE"]

    content {
      log_type = audit_log_config.value
    }
  }
}

resource "google_bigquery_dataset" "logs" {
  #checkov:skip=CKV_GCP_15:The dataset grants nobody but the project's own roles and the sink; nothing here makes it public.
  project                         = var.project_id
  dataset_id                      = var.dataset
  location                        = var.location
  description                     = "Audit logs of Vertex AI, and logs of pipelines and custom jobs."
  default_partition_expiration_ms = var.retention_days * local.day_ms
  delete_contents_on_destroy      = false
  deletion_policy                 = var.deletion_protection ? "PREVENT" : "DELETE"
  labels                          = var.labels

  dynamic "default_encryption_configuration" {
    for_each = var.encryption[*]

    content {
      kms_key_name = default_encryption_configuration.value.kms_key_name
    }
  }
}

resource "google_logging_project_sink" "this" {
  project                = var.project_id
  name                   = "${var.prefix}-vertex"
  description            = "Logs of Vertex AI, kept in BigQuery for ${var.retention_days} days."
  destination            = "bigquery.googleapis.com/projects/${var.project_id}/datasets/${google_bigquery_dataset.logs.dataset_id}"
  filter                 = local.vertex
  unique_writer_identity = true

  bigquery_options {
    use_partitioned_tables = true
  }
}

resource "google_bigquery_dataset_iam_member" "sink" {
  project    = var.project_id
  dataset_id = google_bigquery_dataset.logs.dataset_id
  role       = "roles/bigquery.dataEditor"
  member     = google_logging_project_sink.this.writer_identity
}

resource "google_logging_metric" "failed_jobs" {
  project     = var.project_id
  name        = "${var.prefix}-failed-jobs"
  description = "Pipelines and custom jobs that failed, for charts."
  filter      = local.failure

  metric_descriptor {
    metric_kind = "DELTA"
    value_type  = "INT64"
    unit        = "1"
  }
}

resource "google_monitoring_notification_channel" "email" {
  for_each = setunion(var.alert_emails, var.other_emails)

  project      = var.project_id
  display_name = each.key
  type         = "email"
  user_labels  = var.labels

  labels = {
    email_address = each.key
  }
}

# It looks at the logs and not at the metric: a metric that was just made is not known to Monitoring for some minutes, and a policy over
# it would be refused.
resource "google_monitoring_alert_policy" "failed_jobs" {
  project               = var.project_id
  display_name          = "${var.prefix}: a job failed"
  combiner              = "OR"
  severity              = "WARNING"
  notification_channels = [for email in sort(var.alert_emails) : google_monitoring_notification_channel.email[email].id]
  user_labels           = var.labels

  conditions {
    display_name = "A pipeline or a custom job failed"

    condition_matched_log {
      filter = local.failure
    }
  }

  alert_strategy {
    auto_close = "86400s"

    notification_rate_limit {
      period = "300s"
    }
  }

  documentation {
    mime_type = "text/markdown"
    content   = "A pipeline or a custom job in ${var.project_id} failed. `vertex-tuning jobs show` and the logs of the job say why."
  }
}
