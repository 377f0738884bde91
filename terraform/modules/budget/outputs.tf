output "budget" {
  description = "Full name of the budget."
  value       = google_billing_budget.this.id
}

output "topic" {
  description = "Full name of the topic to which spending is published."
  value       = google_pubsub_topic.this.id
}
