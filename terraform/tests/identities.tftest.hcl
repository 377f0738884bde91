# Accounts, with what they may do on the project, and on each other.

mock_provider "google" {
  source = "./tests/mocks"
}

run "an_account_gets_its_roles_and_nothing_on_the_project_but_those" {
  module {
    source = "./modules/identities"
  }

  variables {
    project_id = "demo-tuning"
    prefix     = "vt"
    accounts = {
      submitter = {
        display_name  = "Submits"
        description   = "People act as it."
        project_roles = ["roles/aiplatform.user"]
        act_as        = ["runner"]
      }
      runner = { display_name = "Runs", description = "Jobs run as it." }
    }
    token_creators = { people = { account = "submitter", member = "group:tuners@example.com" } }
  }

  assert {
    condition     = keys(google_project_iam_member.account) == ["submitter/roles/aiplatform.user"] && length(google_project_iam_member.principal) == 0
    error_message = "There are more roles on the project, or fewer."
  }
  assert {
    condition     = keys(google_service_account_iam_member.act_as) == ["submitter/runner"] && google_service_account_iam_member.act_as["submitter/runner"].role == "roles/iam.serviceAccountUser"
    error_message = "Others may act as the runner."
  }
  assert {
    condition     = google_service_account_iam_member.token_creator["people"].member == "group:tuners@example.com"
    error_message = "Others get tokens of the submitter."
  }
  assert {
    condition     = google_service_account.this["runner"].account_id == "vt-runner"
    error_message = "The account is named otherwise."
  }
}
