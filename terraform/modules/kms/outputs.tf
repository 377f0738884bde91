output "key_id" {
  description = "Full name of the key, once all its users may use it."
  value       = local.key_id
  depends_on  = [google_kms_crypto_key_iam_member.this]
}
