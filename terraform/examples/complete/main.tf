# Everything that there is, switched on.

terraform {
  required_version = ">= 1.7.0"

  required_providers {
    google = {
      source  = "hashicorp/google"
      version = ">= 7.41.0, < 9.0.0"
    }
  }
}

# Budgets are asked of the billing account: with credentials of a person, calls have to be counted to a project.
provider "google" {
  project               = var.project_id
  region                = var.region
  billing_project       = var.project_id
  user_project_override = true
}

module "tuning" {
  source = "../.."

  project_id          = var.project_id
  region              = var.region
  env                 = "dev"
  labels              = { team = "search" }
  deletion_protection = var.deletion_protection

  # Set `exist` once the first jobs have made these accounts.
  tuning_agents = { exist = var.tuning_agents_exist }

  iam = {
    submitters = ["group:tuners@example.com"]
    viewers    = ["group:reviewers@example.com"]
  }

  cmek = { key_id = var.key_id }

  buckets = {
    datasets  = { noncurrent_days = 90 }
    pipelines = { delete_age_days = 30 }
  }

  logging = {
    retention_days = 180
    alert_emails   = ["ml-oncall@example.com"]
  }

  budget = {
    billing_account = "000000-111111-222222"
    amount          = 500
    currency        = "USD"
    emails          = ["ml-costs@example.com"]
  }

  ci = {
    provider   = "github"
    repository = "acme/tuner"
  }

  schedules = {
    weekly = {
      cron         = "0 2 * * 1"
      time_zone    = "Europe/Zurich"
      template_uri = "https://${var.region}-kfp.pkg.dev/${var.project_id}/vt-pipelines/tune-and-compare/stable"
      parameters   = { epochs = 3, base_model = "gemini-2.5-flash" }
    }
  }

  reward_service = {
    image = "${var.region}-docker.pkg.dev/${var.project_id}/vt-images/reward@sha256:${var.reward_digest}"
  }

  endpoint = {}

  network = {}

  perimeter = "accessPolicies/123456789/servicePerimeters/tuning"
}
