resource "google_cloud_run_v2_service" "this" {
  project             = var.project_id
  location            = var.location
  name                = "${var.prefix}-reward"
  description         = "Scores answers while a model is tuned by reinforcement."
  deletion_protection = var.deletion_protection
  labels              = var.labels

  # The agents that tune call from outside of the project's networks; whoever may call is settled by roles alone.
  ingress              = "INGRESS_TRAFFIC_ALL"
  invoker_iam_disabled = false

  template {
    service_account                  = var.service_account
    timeout                          = "${var.timeout_seconds}s"
    max_instance_request_concurrency = var.concurrency
    encryption_key                   = one(var.encryption[*].kms_key_name)
    labels                           = var.labels

    scaling {
      min_instance_count = var.min_instances
      max_instance_count = var.max_instances
    }

    containers {
      image = var.image

      resources {
        limits = {
          cpu    = var.cpu
          memory = var.memory
        }
        cpu_idle          = true
        startup_cpu_boost = true
      }

      startup_probe {
        tcp_socket {}
        period_seconds    = 2
        timeout_seconds   = 1
        failure_threshold = 60
      }
    }
  }
}

resource "google_cloud_run_v2_service_iam_member" "invoker" {
  for_each = var.invokers

  project  = var.project_id
  location = var.location
  name     = google_cloud_run_v2_service.this.name
  role     = "roles/run.invoker"
  member   = each.value
}
