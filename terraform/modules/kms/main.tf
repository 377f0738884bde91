locals {
  key_id = var.key_id == null ? google_kms_crypto_key.this[0].id : var.key_id
}

# Asking for these two makes them exist, and no role can be given to an account before it does. Only that counts: emails are worked out
# from the project's number, so that a plan knows them.
data "google_storage_project_service_account" "this" {
  project = var.project_id
}

data "google_bigquery_default_service_account" "this" {
  project = var.project_id
}

resource "google_kms_key_ring" "this" {
  count = var.key_id == null ? 1 : 0

  project  = var.project_id
  name     = "${var.prefix}-${var.location}"
  location = var.location
}

resource "google_kms_crypto_key" "this" {
  count = var.key_id == null ? 1 : 0

  name            = "${var.prefix}-data"
  key_ring        = google_kms_key_ring.this[0].id
  purpose         = "ENCRYPT_DECRYPT"
  rotation_period = var.rotation_period
  labels          = var.labels

  # Without it, everything that it encrypted is lost.
  lifecycle {
    prevent_destroy = true
  }
}

resource "google_kms_crypto_key_iam_member" "this" {
  for_each = var.users

  crypto_key_id = local.key_id
  role          = "roles/cloudkms.cryptoKeyEncrypterDecrypter"
  member        = each.value

  depends_on = [
    data.google_bigquery_default_service_account.this,
    data.google_storage_project_service_account.this,
  ]
}
