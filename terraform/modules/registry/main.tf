resource "google_artifact_registry_repository" "this" {
  for_each = var.repositories

  project                = var.project_id
  location               = var.location
  repository_id          = "${var.prefix}-${each.key}"
  description            = each.value.description
  format                 = each.value.format
  kms_key_name           = one(var.encryption[*].kms_key_name)
  labels                 = var.labels
  cleanup_policy_dry_run = false
  deletion_policy        = var.deletion_protection ? "PREVENT" : "DELETE"

  # What a policy keeps goes before what another deletes.
  cleanup_policies {
    id     = "delete-untagged"
    action = "DELETE"

    condition {
      tag_state  = "UNTAGGED"
      older_than = "${each.value.untagged_days * 24 * 60 * 60}s"
    }
  }

  cleanup_policies {
    id     = "keep-recent"
    action = "KEEP"

    most_recent_versions {
      keep_count = each.value.keep_versions
    }
  }
}

resource "google_artifact_registry_repository_iam_member" "this" {
  for_each = var.grants

  project    = var.project_id
  location   = var.location
  repository = google_artifact_registry_repository.this[each.value.repository].repository_id
  role       = each.value.role
  member     = each.value.member
}
