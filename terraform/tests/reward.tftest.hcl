# The reward: for those who are named, within the time that Vertex AI waits, and at rest for nothing.

mock_provider "google" {
  source = "./tests/mocks"
}

variables {
  project_id      = "demo-tuning"
  prefix          = "vt"
  location        = "us-central1"
  image           = "us-central1-docker.pkg.dev/demo-tuning/vt-images/reward:1"
  service_account = "vt-reward@demo-tuning.iam.gserviceaccount.com"
}

run "only_those_who_are_named_may_call" {
  module {
    source = "./modules/reward"
  }

  variables {
    invokers = { submitter = "serviceAccount:vt-submitter@demo-tuning.iam.gserviceaccount.com" }
  }

  assert {
    condition     = [for grant in google_cloud_run_v2_service_iam_member.invoker : grant.member] == ["serviceAccount:vt-submitter@demo-tuning.iam.gserviceaccount.com"]
    error_message = "Others may call."
  }
  assert {
    condition     = google_cloud_run_v2_service.this.invoker_iam_disabled == false
    error_message = "Roles are not asked for."
  }
  assert {
    condition     = google_cloud_run_v2_service.this.template[0].timeout == "300s"
    error_message = "It may take longer than Vertex AI waits."
  }
  assert {
    condition     = google_cloud_run_v2_service.this.template[0].scaling[0].min_instance_count == 0 && google_cloud_run_v2_service.this.template[0].scaling[0].max_instance_count == 10
    error_message = "It costs while nobody calls, or without a bound."
  }
}

run "it_is_never_public" {
  command = plan

  module {
    source = "./modules/reward"
  }

  variables {
    invokers = { everybody = "allUsers" }
  }

  expect_failures = [var.invokers]
}
