# Buckets: closed, kept, and in the region of their key.

mock_provider "google" {
  source = "./tests/mocks"
}

run "buckets_are_closed_and_kept" {
  module {
    source = "./modules/storage"
  }

  variables {
    project_id = "demo-tuning"
    prefix     = "vt"
    location   = "us-central1"
    buckets    = { datasets = {}, pipelines = { versioning = false, delete_age_days = 90 } }
    encryption = { kms_key_name = "projects/p/locations/us-central1/keyRings/r/cryptoKeys/k" }
    grants = {
      reads = { bucket = "datasets", role = "roles/storage.objectViewer", member = "user:ada@example.com" }
    }
  }

  assert {
    condition = alltrue([
      for bucket in concat(values(google_storage_bucket.this), google_storage_bucket.access_logs) :
      bucket.uniform_bucket_level_access && bucket.public_access_prevention == "enforced" && !bucket.force_destroy
    ])
    error_message = "A bucket is open, or goes with what is in it."
  }
  assert {
    condition = alltrue([
      for bucket in concat(values(google_storage_bucket.this), google_storage_bucket.access_logs) :
      bucket.encryption[0].default_kms_key_name == "projects/p/locations/us-central1/keyRings/r/cryptoKeys/k"
    ])
    error_message = "A bucket is not encrypted with the key."
  }
  assert {
    condition     = google_storage_bucket.this["datasets"].logging[0].log_bucket == "demo-tuning-vt-access-logs"
    error_message = "Access to the bucket is not logged."
  }
  assert {
    condition     = anytrue([for rule in google_storage_bucket.this["pipelines"].lifecycle_rule : one(rule.condition).age == 90 && one(rule.action).type == "Delete"])
    error_message = "Scratch does not expire."
  }
  assert {
    condition     = google_storage_bucket_iam_member.this["reads"].bucket == "demo-tuning-vt-datasets"
    error_message = "The role is on another bucket."
  }
}

run "a_key_of_another_region_is_refused" {
  command = plan

  module {
    source = "./modules/storage"
  }

  variables {
    project_id = "demo-tuning"
    prefix     = "vt"
    location   = "us-central1"
    buckets    = { datasets = {} }
    encryption = { kms_key_name = "projects/p/locations/europe-west4/keyRings/r/cryptoKeys/k" }
  }

  expect_failures = [google_storage_bucket.this]
}

run "access_need_not_be_logged" {
  module {
    source = "./modules/storage"
  }

  variables {
    project_id  = "demo-tuning"
    prefix      = "vt"
    location    = "us-central1"
    buckets     = { datasets = { name = "acme-data", location = "us-east1", soft_delete_days = 0 } }
    access_logs = null
  }

  assert {
    condition     = length(google_storage_bucket.access_logs) == 0 && length(google_storage_bucket.this["datasets"].logging) == 0
    error_message = "A bucket of logs was made all the same."
  }
  assert {
    condition     = google_storage_bucket.this["datasets"].name == "acme-data" && google_storage_bucket.this["datasets"].location == "us-east1"
    error_message = "Name and place are not those that were given."
  }
}
