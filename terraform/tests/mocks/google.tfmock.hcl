# What Google would answer, as far as something else is built from it. Nothing is asked of a cloud.

mock_data "google_project" {
  defaults = {
    number = "123456789012"
  }
}

mock_resource "google_service_account" {
  defaults = {
    email  = "vt-mock@demo-tuning.iam.gserviceaccount.com"
    member = "serviceAccount:vt-mock@demo-tuning.iam.gserviceaccount.com"
    name   = "projects/demo-tuning/serviceAccounts/vt-mock@demo-tuning.iam.gserviceaccount.com"
  }
}

mock_resource "google_storage_bucket" {
  defaults = {
    url = "gs://demo-tuning-vt-mock"
  }
}

mock_resource "google_kms_key_ring" {
  defaults = {
    id = "projects/demo-tuning/locations/us-central1/keyRings/vt-us-central1"
  }
}

mock_resource "google_kms_crypto_key" {
  defaults = {
    id = "projects/demo-tuning/locations/us-central1/keyRings/vt-us-central1/cryptoKeys/vt-data"
  }
}

mock_resource "google_iam_workload_identity_pool" {
  defaults = {
    name = "projects/123456789012/locations/global/workloadIdentityPools/vt-ci"
  }
}

mock_resource "google_iam_workload_identity_pool_provider" {
  defaults = {
    name = "projects/123456789012/locations/global/workloadIdentityPools/vt-ci/providers/github"
  }
}

mock_resource "google_cloud_run_v2_service" {
  defaults = {
    uri = "https://vt-reward-mock.a.run.app"
  }
}

mock_resource "google_vertex_ai_endpoint" {
  defaults = {
    id = "projects/demo-tuning/locations/us-central1/endpoints/7"
  }
}

mock_resource "google_compute_network_attachment" {
  defaults = {
    id = "projects/demo-tuning/regions/us-central1/networkAttachments/vt-psc"
  }
}

mock_resource "google_monitoring_notification_channel" {
  defaults = {
    id = "projects/demo-tuning/notificationChannels/1"
  }
}

mock_resource "google_logging_project_sink" {
  defaults = {
    writer_identity = "serviceAccount:service-123456789012@gcp-sa-logging.iam.gserviceaccount.com"
  }
}
