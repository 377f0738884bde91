resource "google_cloud_scheduler_job" "this" {
  for_each = var.schedules

  project          = var.project_id
  region           = var.location
  name             = "${var.prefix}-${each.key}"
  description      = "Starts the pipeline ${each.value.template_uri}."
  schedule         = each.value.cron
  time_zone        = each.value.time_zone
  paused           = each.value.paused
  attempt_deadline = "180s"

  # Not once more: an answer that was lost would start, and cost, a second pipeline.
  retry_config {
    retry_count = 0
  }

  http_target {
    http_method = "POST"
    uri         = "https://${var.location}-aiplatform.googleapis.com/v1/projects/${var.project_id}/locations/${var.location}/pipelineJobs"

    headers = {
      "Content-Type" = "application/json"
    }

    body = base64encode(jsonencode(merge(
      {
        displayName    = "${var.prefix}-${each.key}"
        templateUri    = each.value.template_uri
        serviceAccount = var.runner_email
        labels         = var.labels
        runtimeConfig = {
          gcsOutputDirectory = "${var.pipeline_root}/${each.key}"
          # A number or a list stays what it is; what is no JSON is a string.
          parameterValues = { for name, value in each.value.parameters : name => try(jsondecode(value), value) }
        }
      },
      { for key in var.encryption[*] : "encryptionSpec" => { kmsKeyName = key.kms_key_name } },
    )))

    oauth_token {
      service_account_email = var.scheduler_email
      scope                 = "https://www.googleapis.com/auth/cloud-platform"
    }
  }
}
