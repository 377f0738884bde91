locals {
  # Addresses that Google keeps for its APIs: private.googleapis.com, and restricted.googleapis.com for what a perimeter supports.
  # They are routed inside Google's network alone.
  vips = {
    private    = { range = "199.36.153.8/30", addresses = [for host in range(8, 12) : "199.36.153.${host}"] }
    restricted = { range = "199.36.153.4/30", addresses = [for host in range(4, 8) : "199.36.153.${host}"] }
  }
  vip = local.vips[var.api_access]
  # Names that have to lead to those addresses: the APIs, the registries and Cloud Run.
  zones = {
    googleapis = "googleapis.com."
    registry   = "pkg.dev."
    run        = "run.app."
  }
}

resource "google_compute_network" "this" {
  project                         = var.project_id
  name                            = "${var.prefix}-vpc"
  auto_create_subnetworks         = false
  delete_default_routes_on_create = true
  routing_mode                    = "REGIONAL"
}

resource "google_compute_subnetwork" "this" {
  project                  = var.project_id
  name                     = "${var.prefix}-${var.region}"
  region                   = var.region
  network                  = google_compute_network.this.id
  ip_cidr_range            = var.cidr
  private_ip_google_access = true

  log_config {
    aggregation_interval = "INTERVAL_10_MIN"
    flow_sampling        = 0.5
    metadata             = "INCLUDE_ALL_METADATA"
  }
}

# Training machines reach Google's services by their own side of the attachment; what follows is for everything else in the network.

# The one way out: with the default route gone, nothing else leaves the network.
resource "google_compute_route" "google_apis" {
  project          = var.project_id
  name             = "${var.prefix}-google-apis"
  network          = google_compute_network.this.id
  dest_range       = local.vip.range
  next_hop_gateway = "default-internet-gateway"
  priority         = 1000
}

resource "google_compute_firewall" "deny_egress" {
  project            = var.project_id
  name               = "${var.prefix}-deny-egress"
  network            = google_compute_network.this.id
  direction          = "EGRESS"
  priority           = 65000
  destination_ranges = ["0.0.0.0/0"]

  deny {
    protocol = "all"
  }

  log_config {
    metadata = "INCLUDE_ALL_METADATA"
  }
}

resource "google_compute_firewall" "allow_google_apis" {
  project            = var.project_id
  name               = "${var.prefix}-allow-google-apis"
  network            = google_compute_network.this.id
  direction          = "EGRESS"
  priority           = 1000
  destination_ranges = [local.vip.range]

  allow {
    protocol = "tcp"
    ports    = ["443"]
  }
}

# Machines that train together talk to each other.
resource "google_compute_firewall" "allow_internal" {
  for_each = {
    egress  = "EGRESS"
    ingress = "INGRESS"
  }

  project            = var.project_id
  name               = "${var.prefix}-allow-internal-${each.key}"
  network            = google_compute_network.this.id
  direction          = each.value
  priority           = 1000
  source_ranges      = each.value == "INGRESS" ? [var.cidr] : null
  destination_ranges = each.value == "EGRESS" ? [var.cidr] : null

  allow {
    protocol = "tcp"
  }

  allow {
    protocol = "udp"
  }
}

resource "google_dns_managed_zone" "this" {
  for_each = local.zones

  project     = var.project_id
  name        = "${var.prefix}-${each.key}"
  description = "Google's services, at addresses that are reached without the internet."
  dns_name    = each.value
  visibility  = "private"
  labels      = var.labels

  private_visibility_config {
    networks {
      network_url = google_compute_network.this.id
    }
  }
}

resource "google_dns_record_set" "apex" {
  for_each = google_dns_managed_zone.this

  project      = var.project_id
  managed_zone = each.value.name
  name         = each.value.dns_name
  type         = "A"
  ttl          = 300
  rrdatas      = local.vip.addresses
}

resource "google_dns_record_set" "any" {
  for_each = google_dns_managed_zone.this

  project      = var.project_id
  managed_zone = each.value.name
  name         = "*.${each.value.dns_name}"
  type         = "CNAME"
  ttl          = 300
  rrdatas      = [each.value.dns_name]
}

resource "google_compute_network_attachment" "this" {
  project               = var.project_id
  region                = var.region
  name                  = "${var.prefix}-psc"
  description           = "By which Vertex AI's training machines join this network."
  subnetworks           = [google_compute_subnetwork.this.id]
  connection_preference = "ACCEPT_MANUAL"

  # Vertex AI enters its own projects here when a job uses the attachment.
  lifecycle {
    ignore_changes = [producer_accept_lists]
  }
}

# Vertex AI's own account enters a project of its own into the attachment when a job uses it, and usually may not: the narrowest
# predefined role that lets it is one that administers networks.
resource "google_project_iam_custom_role" "attacher" {
  project     = var.project_id
  role_id     = "${replace(var.prefix, "-", "_")}_network_attacher"
  title       = "Attaches training machines (${var.prefix})"
  description = "What Vertex AI needs to let training machines join the network."
  permissions = [
    "compute.networkAttachments.get",
    "compute.networkAttachments.update",
    "compute.regionOperations.get",
  ]
}

resource "google_project_iam_member" "attacher" {
  project = var.project_id
  role    = google_project_iam_custom_role.attacher.id
  member  = var.agent
}
