# What a project gets, by what is asked for. `terraform init -backend=false && terraform test`: no credentials, and no cloud.

mock_provider "google" {
  source = "./tests/mocks"
}

variables {
  project_id = "demo-tuning"
}

run "a_project_alone_is_enough" {
  assert {
    condition     = output.sdk_config.schema_version == 1 && output.sdk_config.project == "demo-tuning" && output.sdk_config.project_number == "123456789012"
    error_message = "sdk_config does not name the project."
  }
  assert {
    condition     = keys(output.sdk_config.buckets) == ["artifacts", "datasets", "pipelines"]
    error_message = "There are three buckets."
  }
  assert {
    condition     = output.sdk_config.service_accounts.runner != null && output.sdk_config.service_accounts.submitter != null
    error_message = "Runner and submitter are always there."
  }
  assert {
    condition = alltrue([
      for value in [
        output.sdk_config.kms_key,
        output.sdk_config.reward_uri,
        output.sdk_config.endpoint,
        output.sdk_config.network_attachment,
        output.sdk_config.service_accounts.scheduler,
        output.sdk_config.service_accounts.reward,
      ] : value == null
    ])
    error_message = "What was not asked for is null."
  }
  assert {
    condition     = output.sdk_config.labels == { app = "vertex-tuning" }
    error_message = "Jobs carry the label of the application."
  }
  assert {
    condition     = output.sdk_config.registries.pipelines == "https://us-central1-kfp.pkg.dev/demo-tuning/vt-pipelines"
    error_message = "Compiled pipelines are not where clients look for them."
  }
  assert {
    condition     = !contains(output.services, "cloudkms.googleapis.com") && !contains(output.services, "run.googleapis.com")
    error_message = "Services that nothing needs are on."
  }
}

run "everything_can_be_on_at_once" {
  variables {
    env           = "dev"
    labels        = { team = "search" }
    tuning_agents = { exist = true }
    iam           = { submitters = ["group:tuners@example.com"], viewers = ["user:ada@example.com"] }
    cmek          = { key_id = "projects/demo-tuning/locations/us-central1/keyRings/r/cryptoKeys/k" }
    budget        = { billing_account = "000000-111111-222222", amount = 100, emails = ["costs@example.com"] }
    ci            = { repository = "acme/tuner" }
    reward_service = {
      image = "us-central1-docker.pkg.dev/demo-tuning/vt-images/reward:1"
    }
    schedules = {
      nightly = {
        cron         = "0 2 * * *"
        template_uri = "https://us-central1-kfp.pkg.dev/demo-tuning/vt-pipelines/tune/v1"
      }
    }
    endpoint  = {}
    network   = {}
    perimeter = "accessPolicies/123/servicePerimeters/tuning"
    logging   = { alert_emails = ["oncall@example.com", "costs@example.com"] }
  }

  assert {
    condition = alltrue([
      for value in [
        output.sdk_config.kms_key,
        output.sdk_config.reward_uri,
        output.sdk_config.endpoint,
        output.sdk_config.network_attachment,
        output.sdk_config.service_accounts.scheduler,
        output.sdk_config.service_accounts.reward,
        output.workload_identity_provider,
        output.budget_topic,
      ] : value != null
    ])
    error_message = "Something that was asked for is not told."
  }
  assert {
    condition     = output.sdk_config.kms_key == "projects/demo-tuning/locations/us-central1/keyRings/r/cryptoKeys/k"
    error_message = "The key is not the one that was given."
  }
  assert {
    condition     = output.sdk_config.labels == { app = "vertex-tuning", env = "dev", team = "search" }
    error_message = "Labels are not those of the application, the environment and the team."
  }
  assert {
    condition     = keys(output.scheduled_jobs) == ["nightly"]
    error_message = "The schedule is not there."
  }
  assert {
    condition     = google_access_context_manager_service_perimeter_dry_run_resource.this[0].resource == "projects/123456789012"
    error_message = "The project is not in the perimeter."
  }
}

# Applied, a key that was made could not go when the test ends: it is protected.
run "a_key_can_be_made" {
  command = plan

  variables {
    cmek = {}
  }

  assert {
    condition     = contains(output.services, "cloudkms.googleapis.com")
    error_message = "The service of keys is not on."
  }
}

run "buckets_lie_where_their_key_lies" {
  command = plan

  variables {
    region = "europe-west4"
    cmek   = { key_id = "projects/demo-tuning/locations/europe-west4/keyRings/r/cryptoKeys/k" }
  }

  assert {
    condition     = output.sdk_config.location == "europe-west4"
    error_message = "The region is not the one that was given."
  }
}
