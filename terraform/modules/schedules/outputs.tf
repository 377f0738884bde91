output "jobs" {
  description = "Full name of every job of the clock, by name."
  value       = { for name, job in google_cloud_scheduler_job.this : name => job.id }
}
