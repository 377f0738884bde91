# Read without waiting for the services: were it to wait, every plan that adds a service would see a number that is not known yet, and
# replace all that is named by it.
data "google_project" "this" {
  project_id = var.project_id
}

resource "google_project_service" "this" {
  for_each = var.services

  project                    = var.project_id
  service                    = each.key
  disable_dependent_services = false
  disable_on_destroy         = false
}
