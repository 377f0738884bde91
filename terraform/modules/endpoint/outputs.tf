output "name" {
  description = "Full name of the endpoint: `projects/.../locations/.../endpoints/...`."
  value       = google_vertex_ai_endpoint.this.id
}
