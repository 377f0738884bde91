output "access_logs_bucket" {
  description = "Name of the bucket of access logs; null where there is none."
  value       = module.storage.access_logs
}

output "budget_topic" {
  description = "Full name of the topic to which spending is published; null without a budget."
  value       = one(module.budget[*].topic)
}

output "log_dataset" {
  description = "Full name of the dataset of logs."
  value       = module.observability.dataset
}

output "scheduled_jobs" {
  description = "Full name of every job of Cloud Scheduler, by the name of its schedule."
  value       = merge(module.schedules[*].jobs...)
}

output "sdk_config" {
  description = "What vertex-tuning needs to know of the project: `vertex-tuning init --from-terraform` reads it. No secret is in it."
  value = {
    schema_version = 1
    project        = module.apis.project_id
    project_number = module.apis.project_number
    location       = var.region
    buckets        = module.storage.urls
    service_accounts = {
      reward    = lookup(module.identities.emails, "reward", null)
      runner    = module.identities.emails["runner"]
      scheduler = lookup(module.identities.emails, "scheduler", null)
      submitter = module.identities.emails["submitter"]
    }
    registries         = module.registry.uris
    kms_key            = one(module.kms[*].key_id)
    reward_uri         = one(module.reward[*].uri)
    endpoint           = one(module.endpoint[*].name)
    network_attachment = one(module.network[*].attachment)
    labels             = local.job_labels
  }
}

output "service_agents" {
  description = "Emails of Google's own accounts in the project, by name, whether or not they exist yet."
  value       = merge(local.early_agents, local.late_agents)
}

output "services" {
  description = "Services that are on."
  value       = module.apis.services
}

output "workload_identity_provider" {
  description = "Full name of the provider for keyless CI; null without `ci`."
  value       = one(module.ci[*].workload_identity_provider)
}
