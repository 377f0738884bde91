output "access_logs" {
  description = "Name of the bucket of access logs; null where there is none."
  value       = one(google_storage_bucket.access_logs[*].name)
}

output "names" {
  description = "Name of every bucket, by key, once access to it is granted."
  value       = { for key, bucket in google_storage_bucket.this : key => bucket.name }
  depends_on  = [google_storage_bucket_iam_member.this]
}

output "urls" {
  description = "URL of every bucket, by key, once access to it is granted: `gs://...`."
  value       = { for key, bucket in google_storage_bucket.this : key => bucket.url }
  depends_on  = [google_storage_bucket_iam_member.this]
}
