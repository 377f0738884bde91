# A network that reaches Google's services and nothing else.

mock_provider "google" {
  source = "./tests/mocks"
}

variables {
  project_id = "demo-tuning"
  prefix     = "vt"
  region     = "us-central1"
  cidr       = "10.20.0.0/24"
  agent      = "serviceAccount:service-123456789012@gcp-sa-aiplatform.iam.gserviceaccount.com"
}

run "nothing_leaves_but_to_googles_services" {
  module {
    source = "./modules/network"
  }

  assert {
    condition     = google_compute_network.this.delete_default_routes_on_create && google_compute_route.google_apis.dest_range == "199.36.153.8/30"
    error_message = "There is a route to the internet."
  }
  assert {
    condition     = one(google_compute_firewall.deny_egress.deny).protocol == "all" && google_compute_firewall.deny_egress.priority > google_compute_firewall.allow_google_apis.priority
    error_message = "The firewall lets more out."
  }
  assert {
    condition     = google_compute_subnetwork.this.private_ip_google_access && length(google_compute_subnetwork.this.log_config) == 1
    error_message = "The subnet is not private, or its flows are not logged."
  }
  assert {
    condition     = google_dns_record_set.any["googleapis"].name == "*.googleapis.com." && toset(google_dns_record_set.apex["googleapis"].rrdatas) == toset([for n in [8, 9, 10, 11] : "199.36.153.${n}"])
    error_message = "The names of the services lead elsewhere."
  }
  assert {
    condition     = one(google_compute_network_attachment.this.subnetworks) == google_compute_subnetwork.this.id
    error_message = "Jobs join another subnet."
  }
  assert {
    condition     = google_project_iam_member.attacher.role == google_project_iam_custom_role.attacher.id && google_project_iam_member.attacher.member == var.agent
    error_message = "Vertex AI may not let machines join."
  }
  assert {
    condition     = google_project_iam_custom_role.attacher.role_id == "vt_network_attacher" && !contains([for name in google_project_iam_custom_role.attacher.permissions : endswith(name, ".get") || name == "compute.networkAttachments.update"], false)
    error_message = "Vertex AI may do more than let machines join."
  }
}

run "in_a_perimeter_only_what_it_guards_is_reached" {
  command = plan

  module {
    source = "./modules/network"
  }

  variables {
    api_access = "restricted"
  }

  assert {
    condition     = google_compute_route.google_apis.dest_range == "199.36.153.4/30" && google_compute_firewall.allow_google_apis.destination_ranges == toset(["199.36.153.4/30"])
    error_message = "More is reached than the perimeter guards."
  }
}
