output "channels" {
  description = "Full name of every channel for notifications, by address."
  value       = { for email, channel in google_monitoring_notification_channel.email : email => channel.id }
}

output "dataset" {
  description = "Full name of the dataset that keeps the logs, once the sink may write to it."
  value       = google_bigquery_dataset.logs.id
  depends_on  = [google_bigquery_dataset_iam_member.sink]
}
