# What listens here can act: a budget alone only tells, it stops nothing.
resource "google_pubsub_topic" "this" {
  project                    = var.project_id
  name                       = "${var.prefix}-budget"
  kms_key_name               = one(var.encryption[*].kms_key_name)
  message_retention_duration = "604800s"
  labels                     = var.labels
}

resource "google_billing_budget" "this" {
  billing_account = var.billing_account
  display_name    = "${var.project_id} ${var.prefix}"

  budget_filter {
    projects        = ["projects/${var.project_number}"]
    calendar_period = "MONTH"
  }

  amount {
    specified_amount {
      currency_code = var.currency
      units         = tostring(var.amount)
    }
  }

  dynamic "threshold_rules" {
    for_each = var.thresholds

    content {
      threshold_percent = threshold_rules.value
      spend_basis       = "CURRENT_SPEND"
    }
  }

  threshold_rules {
    threshold_percent = 1
    spend_basis       = "FORECASTED_SPEND"
  }

  all_updates_rule {
    pubsub_topic                     = google_pubsub_topic.this.id
    schema_version                   = "1.0"
    monitoring_notification_channels = var.channels
  }
}
