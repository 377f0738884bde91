# Keyless CI: one branch of one repository, and nobody else.

mock_provider "google" {
  source = "./tests/mocks"
}

variables {
  project_id      = "demo-tuning"
  prefix          = "vt"
  repository      = "acme/tuner"
  service_account = "projects/demo-tuning/serviceAccounts/vt-submitter@demo-tuning.iam.gserviceaccount.com"
}

run "github_is_held_to_subject_repository_and_branch" {
  module {
    source = "./modules/ci"
  }

  variables {
    host = "github"
  }

  assert {
    condition     = google_iam_workload_identity_pool_provider.this.attribute_condition == "assertion.sub == \"repo:acme/tuner:ref:refs/heads/main\" && assertion.repository == \"acme/tuner\" && assertion.ref == \"refs/heads/main\""
    error_message = "Others than the branch get in: ${google_iam_workload_identity_pool_provider.this.attribute_condition}"
  }
  assert {
    condition     = google_iam_workload_identity_pool_provider.this.oidc[0].issuer_uri == "https://token.actions.githubusercontent.com"
    error_message = "The tokens are another's."
  }
  assert {
    condition     = google_service_account_iam_member.this.member == "principalSet://iam.googleapis.com/projects/123456789012/locations/global/workloadIdentityPools/vt-ci/attribute.repository/acme/tuner"
    error_message = "The account is open to more than the repository."
  }
}

run "a_repository_of_github_is_held_to_its_numbers_where_its_tokens_have_them" {
  command = plan

  module {
    source = "./modules/ci"
  }

  variables {
    host          = "github"
    owner_id      = "123456"
    repository_id = "456789"
  }

  assert {
    condition     = google_iam_workload_identity_pool_provider.this.attribute_condition == "assertion.sub == \"repo:acme@123456/tuner@456789:ref:refs/heads/main\" && assertion.repository == \"acme/tuner\" && assertion.ref == \"refs/heads/main\" && assertion.repository_owner_id == \"123456\" && assertion.repository_id == \"456789\""
    error_message = "Whoever takes over the name gets in, or nobody does: ${google_iam_workload_identity_pool_provider.this.attribute_condition}"
  }
}

run "an_environment_of_github_can_be_asked_for" {
  command = plan

  module {
    source = "./modules/ci"
  }

  variables {
    host        = "github"
    environment = "production"
  }

  assert {
    condition     = strcontains(google_iam_workload_identity_pool_provider.this.attribute_condition, "assertion.sub == \"repo:acme/tuner:environment:production\"")
    error_message = "A run without the environment gets in."
  }
}

run "gitlab_is_held_to_project_and_branch" {
  command = plan

  module {
    source = "./modules/ci"
  }

  variables {
    host       = "gitlab"
    issuer_uri = "https://gitlab.example.com"
  }

  assert {
    condition     = google_iam_workload_identity_pool_provider.this.attribute_condition == "assertion.sub == \"project_path:acme/tuner:ref_type:branch:ref:main\" && assertion.project_path == \"acme/tuner\" && assertion.ref == \"main\" && assertion.ref_type == \"branch\""
    error_message = "Others than the branch get in: ${google_iam_workload_identity_pool_provider.this.attribute_condition}"
  }
  assert {
    condition     = google_iam_workload_identity_pool_provider.this.oidc[0].issuer_uri == "https://gitlab.example.com"
    error_message = "The tokens are another's."
  }
}
