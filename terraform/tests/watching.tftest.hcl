# What is logged, who is told, and the budget.

mock_provider "google" {
  source = "./tests/mocks"
}

variables {
  project_id = "demo-tuning"
  prefix     = "vt"
}

run "reads_and_writes_are_logged_and_kept" {
  module {
    source = "./modules/observability"
  }

  variables {
    location         = "us-central1"
    dataset          = "vt_logs"
    retention_days   = 30
    audited_services = ["aiplatform.googleapis.com", "storage.googleapis.com"]
    alert_emails     = ["oncall@example.com"]
    other_emails     = ["costs@example.com"]
  }

  assert {
    condition = alltrue([
      for config in google_project_iam_audit_config.this :
      toset(config.audit_log_config[*].log_type) == toset(["ADMIN_READ", "DATA_READ", "DATA_WRITE"])
    ]) && length(google_project_iam_audit_config.this) == 2
    error_message = "Some access is not logged."
  }
  assert {
    condition     = google_bigquery_dataset.logs.default_partition_expiration_ms == 30 * 86400000 && google_logging_project_sink.this.bigquery_options[0].use_partitioned_tables
    error_message = "Logs are not kept for as long as was said."
  }
  assert {
    condition     = google_logging_project_sink.this.unique_writer_identity && google_bigquery_dataset_iam_member.sink.member == google_logging_project_sink.this.writer_identity
    error_message = "The sink cannot write, or writes as others do."
  }
  assert {
    condition     = keys(output.channels) == ["costs@example.com", "oncall@example.com"] && length(google_monitoring_alert_policy.failed_jobs.notification_channels) == 1
    error_message = "The wrong people are told of a failed job."
  }
}

run "a_budget_tells_early_and_by_forecast" {
  module {
    source = "./modules/budget"
  }

  variables {
    project_number  = "123456789012"
    billing_account = "000000-111111-222222"
    amount          = 500
    channels        = ["projects/demo-tuning/notificationChannels/1"]
  }

  assert {
    condition     = [for rule in google_billing_budget.this.threshold_rules : rule.threshold_percent if rule.spend_basis == "CURRENT_SPEND"] == [0.5, 0.9, 1]
    error_message = "It tells too late."
  }
  assert {
    condition     = [for rule in google_billing_budget.this.threshold_rules : rule.threshold_percent if rule.spend_basis == "FORECASTED_SPEND"] == [1]
    error_message = "It does not tell by forecast."
  }
  assert {
    condition     = google_billing_budget.this.budget_filter[0].projects == toset(["projects/123456789012"]) && google_billing_budget.this.amount[0].specified_amount[0].units == "500"
    error_message = "It counts something else."
  }
}
