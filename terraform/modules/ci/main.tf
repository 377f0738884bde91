locals {
  branch = trimprefix(var.ref, "refs/heads/")
  issuers = {
    github = "https://token.actions.githubusercontent.com"
    gitlab = "https://gitlab.com"
  }
  # In subjects, GitHub puts numbers behind the names of whatever was made or renamed since 2026-07-15: a name can be taken over by
  # somebody else, a number cannot.
  parts   = split("/", var.repository)
  subject = var.repository_id == null ? var.repository : "${local.parts[0]}@${var.owner_id}/${local.parts[1]}@${var.repository_id}"
  # The claim that names the repository, and the subject of a token that a run of this ref (or environment) gets.
  claims = {
    github = "repository"
    gitlab = "project_path"
  }
  subjects = {
    github = var.environment == null ? "repo:${local.subject}:ref:${var.ref}" : "repo:${local.subject}:environment:${var.environment}"
    gitlab = "project_path:${var.repository}:ref_type:branch:ref:${local.branch}"
  }
  refs = {
    github = var.ref
    gitlab = local.branch
  }
  claim = local.claims[var.host]
  conditions = concat(
    [
      "assertion.sub == \"${local.subjects[var.host]}\"",
      "assertion.${local.claim} == \"${var.repository}\"",
      "assertion.ref == \"${local.refs[var.host]}\"",
    ],
    var.host == "gitlab" ? ["assertion.ref_type == \"branch\""] : [],
    [for id in var.owner_id[*] : "assertion.repository_owner_id == \"${id}\""],
    [for id in var.repository_id[*] : "assertion.repository_id == \"${id}\""],
  )
}

resource "google_iam_workload_identity_pool" "this" {
  project                   = var.project_id
  workload_identity_pool_id = "${var.prefix}-ci"
  display_name              = "CI of ${var.prefix}"
  description               = "Runs of ${var.repository}, without keys."
}

resource "google_iam_workload_identity_pool_provider" "this" {
  project                            = var.project_id
  workload_identity_pool_id          = google_iam_workload_identity_pool.this.workload_identity_pool_id
  workload_identity_pool_provider_id = var.host
  description                        = "Tokens of ${var.repository} at ${var.ref}, and no others."
  attribute_condition                = join(" && ", local.conditions)

  attribute_mapping = {
    "google.subject"       = "assertion.sub"
    "attribute.ref"        = "assertion.ref"
    "attribute.repository" = "assertion.${local.claim}"
  }

  oidc {
    issuer_uri = coalesce(var.issuer_uri, local.issuers[var.host])
  }
}

resource "google_service_account_iam_member" "this" {
  service_account_id = var.service_account
  role               = "roles/iam.workloadIdentityUser"
  member             = "principalSet://iam.googleapis.com/${google_iam_workload_identity_pool.this.name}/attribute.repository/${var.repository}"
}
