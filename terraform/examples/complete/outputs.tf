output "sdk_config" {
  description = "What vertex-tuning needs to know of the project."
  value       = module.tuning.sdk_config
}

output "workload_identity_provider" {
  description = "Full name of the provider for keyless CI."
  value       = module.tuning.workload_identity_provider
}
