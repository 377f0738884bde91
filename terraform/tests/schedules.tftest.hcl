# What the clock posts to Vertex AI.

mock_provider "google" {
  source = "./tests/mocks"
}

run "the_clock_starts_a_pipeline_as_the_runner" {
  command = plan

  module {
    source = "./modules/schedules"
  }

  variables {
    project_id      = "demo-tuning"
    prefix          = "vt"
    location        = "europe-west4"
    pipeline_root   = "gs://demo-tuning-vt-pipelines"
    runner_email    = "vt-runner@demo-tuning.iam.gserviceaccount.com"
    scheduler_email = "vt-scheduler@demo-tuning.iam.gserviceaccount.com"
    labels          = { app = "vertex-tuning" }
    encryption      = { kms_key_name = "projects/p/locations/europe-west4/keyRings/r/cryptoKeys/k" }
    schedules = {
      weekly = {
        cron         = "0 2 * * 1"
        template_uri = "https://europe-west4-kfp.pkg.dev/demo-tuning/vt-pipelines/tune/v1"
        parameters   = { epochs = 3, base_model = "gemini-2.5-flash", shares = "[0.5, 1]" }
      }
    }
  }

  assert {
    condition     = google_cloud_scheduler_job.this["weekly"].http_target[0].uri == "https://europe-west4-aiplatform.googleapis.com/v1/projects/demo-tuning/locations/europe-west4/pipelineJobs"
    error_message = "It calls another address."
  }
  assert {
    condition = jsondecode(base64decode(google_cloud_scheduler_job.this["weekly"].http_target[0].body)) == {
      displayName    = "vt-weekly"
      templateUri    = "https://europe-west4-kfp.pkg.dev/demo-tuning/vt-pipelines/tune/v1"
      serviceAccount = "vt-runner@demo-tuning.iam.gserviceaccount.com"
      labels         = { app = "vertex-tuning" }
      encryptionSpec = { kmsKeyName = "projects/p/locations/europe-west4/keyRings/r/cryptoKeys/k" }
      runtimeConfig = {
        gcsOutputDirectory = "gs://demo-tuning-vt-pipelines/weekly"
        parameterValues    = { epochs = 3, base_model = "gemini-2.5-flash", shares = [0.5, 1] }
      }
    }
    error_message = "It posts something else: ${base64decode(google_cloud_scheduler_job.this["weekly"].http_target[0].body)}"
  }
  assert {
    condition     = google_cloud_scheduler_job.this["weekly"].http_target[0].oauth_token[0].service_account_email == "vt-scheduler@demo-tuning.iam.gserviceaccount.com"
    error_message = "It calls as another account."
  }
  assert {
    condition     = google_cloud_scheduler_job.this["weekly"].retry_config[0].retry_count == 0
    error_message = "A lost answer would start a second pipeline."
  }
}
