output "project_id" {
  description = "Id of the project, once its services are on."
  value       = var.project_id
  depends_on  = [google_project_service.this]
}

output "project_number" {
  description = "Number of the project, once its services are on. Google's own accounts in it are named by it."
  value       = data.google_project.this.number
  depends_on  = [google_project_service.this]
}

output "services" {
  description = "Services that are on."
  value       = sort([for service in google_project_service.this : service.service])
}
