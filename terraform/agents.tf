# The accounts by which Google's services work in a project. No role can be given to one that does not exist. Those of `early` exist
# once their service is used, or when asked for (README.md, "Before the first apply"); those of `late` are made by the first job of
# their kind, and get roles only where `tuning_agents` says that they exist.
locals {
  number = module.apis.project_number

  early_agents = {
    aiplatform        = "service-${local.number}@gcp-sa-aiplatform.iam.gserviceaccount.com"
    artifact_registry = "service-${local.number}@gcp-sa-artifactregistry.iam.gserviceaccount.com"
    bigquery          = "bq-${local.number}@bigquery-encryption.iam.gserviceaccount.com"
    pubsub            = "service-${local.number}@gcp-sa-pubsub.iam.gserviceaccount.com"
    run               = "service-${local.number}@serverless-robot-prod.iam.gserviceaccount.com"
    storage           = "service-${local.number}@gs-project-accounts.iam.gserviceaccount.com"
  }
  late_agents = {
    custom_code = "service-${local.number}@gcp-sa-aiplatform-cc.iam.gserviceaccount.com"
    open_tuning = "service-${local.number}@gcp-sa-vertex-moss-ft.iam.gserviceaccount.com"
    tuning      = "service-${local.number}@gcp-sa-vertex-tune.iam.gserviceaccount.com"
  }
  late_agents_exist = {
    custom_code = coalesce(var.tuning_agents.custom_jobs, var.tuning_agents.exist)
    open_tuning = coalesce(var.tuning_agents.open_models, var.tuning_agents.exist)
    tuning      = coalesce(var.tuning_agents.gemini, var.tuning_agents.exist)
  }

  agents = {
    for name, email in merge(local.early_agents, local.late_agents) :
    name => "serviceAccount:${email}" if lookup(local.late_agents_exist, name, true)
  }
}
