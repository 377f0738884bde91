locals {
  # An endpoint's id is a number; this one is the same in every plan, and another for another project or prefix.
  id = coalesce(var.id, tostring(1 + parseint(substr(sha256("${var.project_id}/${var.prefix}"), 0, 7), 16)))
}

resource "google_vertex_ai_endpoint" "this" {
  #checkov:skip=CKV2_GCP_33:It answers at the API's public address, to whoever has the role; callers need not be in a network of the project.
  project                    = var.project_id
  location                   = var.location
  region                     = var.location
  name                       = local.id
  display_name               = var.display_name
  description                = "Serves tuned models; one that is deployed here stays until it is undeployed."
  dedicated_endpoint_enabled = var.dedicated
  deletion_policy            = var.deletion_protection ? "PREVENT" : "DELETE"
  labels                     = var.labels

  dynamic "encryption_spec" {
    for_each = var.encryption[*]

    content {
      kms_key_name = encryption_spec.value.kms_key_name
    }
  }

  # Deploying a model shifts the traffic; that is no drift.
  lifecycle {
    ignore_changes = [traffic_split]
  }
}
