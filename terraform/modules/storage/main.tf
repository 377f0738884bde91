locals {
  day = 24 * 60 * 60
  buckets = {
    for key, bucket in var.buckets : key => merge(bucket, {
      name     = coalesce(bucket.name, "${var.project_id}-${var.prefix}-${key}")
      location = coalesce(bucket.location, var.location)
    })
  }
  # A key serves its own region only; what is wrong here is otherwise told bucket by bucket, by the API, half-way through.
  key_location = one([for key in var.encryption[*] : try(split("/", key.kms_key_name)[3], null)])
}

resource "google_storage_bucket" "access_logs" {
  #checkov:skip=CKV_GCP_62:Logs of access to the bucket of the logs would log themselves.
  #checkov:skip=CKV_GCP_63:It cannot be its own log bucket.
  count = var.access_logs == null ? 0 : 1

  project                     = var.project_id
  name                        = "${var.project_id}-${var.prefix}-access-logs"
  location                    = var.location
  uniform_bucket_level_access = true
  public_access_prevention    = "enforced"
  force_destroy               = false
  deletion_policy             = var.deletion_protection ? "PREVENT" : "DELETE"
  labels                      = var.labels

  versioning {
    enabled = true
  }

  soft_delete_policy {
    retention_duration_seconds = 7 * local.day
  }

  dynamic "encryption" {
    for_each = var.encryption[*]

    content {
      default_kms_key_name = encryption.value.kms_key_name
    }
  }

  lifecycle_rule {
    action {
      type = "Delete"
    }

    condition {
      age = var.access_logs.retention_days
    }
  }

  lifecycle_rule {
    action {
      type = "Delete"
    }

    condition {
      days_since_noncurrent_time = 7
      with_state                 = "ARCHIVED"
    }
  }
}

# The group by which Cloud Storage delivers access logs; with uniform access it needs a role on the bucket.
resource "google_storage_bucket_iam_member" "access_logs_writer" {
  count = var.access_logs == null ? 0 : 1

  bucket = google_storage_bucket.access_logs[0].name
  role   = "roles/storage.objectCreator"
  member = "group:cloud-storage-analytics@google.com"
}

resource "google_storage_bucket" "this" {
  #checkov:skip=CKV_GCP_62:Access is logged wherever access_logs is given, which is the default.
  #checkov:skip=CKV_GCP_78:What pipelines hand on is scratch that expires; versions of it would only cost.
  for_each = local.buckets

  project                     = var.project_id
  name                        = each.value.name
  location                    = each.value.location
  uniform_bucket_level_access = true
  public_access_prevention    = "enforced"
  force_destroy               = each.value.force_destroy
  deletion_policy             = var.deletion_protection ? "PREVENT" : "DELETE"
  labels                      = var.labels

  versioning {
    enabled = each.value.versioning
  }

  soft_delete_policy {
    retention_duration_seconds = each.value.soft_delete_days * local.day
  }

  dynamic "logging" {
    for_each = google_storage_bucket.access_logs

    content {
      log_bucket        = logging.value.name
      log_object_prefix = each.key
    }
  }

  dynamic "encryption" {
    for_each = var.encryption[*]

    content {
      default_kms_key_name = encryption.value.kms_key_name
    }
  }

  dynamic "lifecycle_rule" {
    for_each = each.value.delete_age_days[*]

    content {
      action {
        type = "Delete"
      }

      condition {
        age = lifecycle_rule.value
      }
    }
  }

  dynamic "lifecycle_rule" {
    for_each = each.value.versioning ? [each.value.noncurrent_days] : []

    content {
      action {
        type = "Delete"
      }

      condition {
        days_since_noncurrent_time = lifecycle_rule.value
        with_state                 = "ARCHIVED"
      }
    }
  }

  # Parts of uploads that were never finished are paid for, and shown nowhere.
  lifecycle_rule {
    action {
      type = "AbortIncompleteMultipartUpload"
    }

    condition {
      age = 7
    }
  }

  lifecycle {
    precondition {
      condition     = local.key_location == null ? true : lower(each.value.location) == lower(local.key_location)
      error_message = "The bucket ${each.value.name} lies in ${each.value.location}, and its key elsewhere: both have to be in one region. Change `buckets.${each.key}.location`, or give a key of that region as `cmek.key_id`."
    }
  }
}

resource "google_storage_bucket_iam_member" "this" {
  for_each = var.grants

  bucket = google_storage_bucket.this[each.value.bucket].name
  role   = each.value.role
  member = each.value.member
}
