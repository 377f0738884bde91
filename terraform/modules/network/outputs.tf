output "attachment" {
  description = "Full name of the network attachment: `projects/.../regions/.../networkAttachments/...`."
  value       = google_compute_network_attachment.this.id
}

output "network" {
  description = "Full name of the network."
  value       = google_compute_network.this.id
}

output "subnet" {
  description = "Full name of the subnet."
  value       = google_compute_subnetwork.this.id
}
