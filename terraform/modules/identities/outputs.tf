output "emails" {
  description = "Email of every account, by name, once it has its roles."
  value       = { for name, account in google_service_account.this : name => account.email }
  depends_on = [
    google_project_iam_member.account,
    google_service_account_iam_member.act_as,
    google_service_account_iam_member.token_creator,
  ]
}

output "members" {
  description = "Every account as IAM names it, by name: `serviceAccount:vt-runner@...`."
  value       = { for name, account in google_service_account.this : name => account.member }
}

output "names" {
  description = "Full resource name of every account, by name: `projects/.../serviceAccounts/...`."
  value       = { for name, account in google_service_account.this : name => account.name }
}
