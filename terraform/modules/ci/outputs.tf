output "workload_identity_provider" {
  description = "Full name of the provider, for `google-github-actions/auth`: `projects/NUMBER/locations/global/workloadIdentityPools/.../providers/...`."
  value       = google_iam_workload_identity_pool_provider.this.name
  depends_on  = [google_service_account_iam_member.this]
}
