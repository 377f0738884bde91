# A project that is ready to tune: this file puts the modules together, grants.tf says who may do what, agents.tf names Google's own
# accounts.

locals {
  # On every job that the SDK or the clock starts, and, with who manages it, on everything here that takes labels.
  job_labels = merge({ app = "vertex-tuning" }, { for env in var.env[*] : "env" => env }, var.labels)
  labels     = merge(local.job_labels, { managed-by = "terraform" })

  encryption = var.cmek == null ? null : { kms_key_name = module.kms[0].key_id }

  services = toset(concat(
    [
      "aiplatform.googleapis.com",
      "artifactregistry.googleapis.com",
      "bigquery.googleapis.com",
      "cloudquotas.googleapis.com",
      "cloudresourcemanager.googleapis.com",
      "iam.googleapis.com",
      "iamcredentials.googleapis.com",
      "logging.googleapis.com",
      "monitoring.googleapis.com",
      "serviceusage.googleapis.com",
      "storage.googleapis.com",
    ],
    var.budget == null ? [] : ["billingbudgets.googleapis.com", "pubsub.googleapis.com"],
    var.ci == null ? [] : ["sts.googleapis.com"],
    var.cmek == null ? [] : ["cloudkms.googleapis.com"],
    var.network == null ? [] : ["compute.googleapis.com", "dns.googleapis.com"],
    var.perimeter == null ? [] : ["accesscontextmanager.googleapis.com"],
    var.reward_service == null ? [] : ["run.googleapis.com"],
    length(var.schedules) == 0 ? [] : ["cloudscheduler.googleapis.com"],
  ))
}

module "apis" {
  source = "./modules/apis"

  project_id = var.project_id
  services   = local.services
}

module "identities" {
  source = "./modules/identities"

  project_id     = module.apis.project_id
  prefix         = var.prefix
  accounts       = local.accounts
  project_grants = local.project_grants
  token_creators = local.token_creators
}

module "kms" {
  source = "./modules/kms"
  count  = var.cmek == null ? 0 : 1

  project_id      = module.apis.project_id
  prefix          = var.prefix
  location        = var.region
  key_id          = var.cmek.key_id
  rotation_period = var.cmek.rotation_period
  users           = local.key_users
  labels          = local.labels

  # It asks Google for two accounts, which can be done only once the services are on.
  depends_on = [module.apis]
}

module "storage" {
  source = "./modules/storage"

  project_id          = module.apis.project_id
  prefix              = var.prefix
  location            = var.region
  buckets             = var.buckets
  access_logs         = var.logging.access_logs ? { retention_days = var.logging.retention_days } : null
  encryption          = local.encryption
  grants              = local.bucket_grants
  deletion_protection = var.deletion_protection
  labels              = local.labels
}

module "registry" {
  source = "./modules/registry"

  project_id          = module.apis.project_id
  prefix              = var.prefix
  location            = var.region
  encryption          = local.encryption
  grants              = local.registry_grants
  deletion_protection = var.deletion_protection
  labels              = local.labels

  repositories = {
    images = {
      format      = "DOCKER"
      description = "Images of steps, of custom jobs and of the reward."
    }
    pipelines = {
      format      = "KFP"
      description = "Compiled pipelines."
    }
  }
}

module "observability" {
  source = "./modules/observability"

  project_id          = module.apis.project_id
  prefix              = var.prefix
  location            = var.region
  dataset             = coalesce(var.logging.dataset, "${replace(var.prefix, "-", "_")}_logs")
  retention_days      = var.logging.retention_days
  audited_services    = var.logging.data_access ? ["aiplatform.googleapis.com", "storage.googleapis.com"] : []
  alert_emails        = var.logging.alert_emails
  other_emails        = try(var.budget.emails, [])
  encryption          = local.encryption
  deletion_protection = var.deletion_protection
  labels              = local.labels
}

module "budget" {
  source = "./modules/budget"
  count  = var.budget == null ? 0 : 1

  project_id      = module.apis.project_id
  project_number  = module.apis.project_number
  prefix          = var.prefix
  billing_account = var.budget.billing_account
  amount          = var.budget.amount
  currency        = var.budget.currency
  thresholds      = var.budget.thresholds
  channels        = [for email in var.budget.emails : module.observability.channels[email]]
  encryption      = local.encryption
  labels          = local.labels
}

module "schedules" {
  source = "./modules/schedules"
  count  = length(var.schedules) == 0 ? 0 : 1

  project_id      = module.apis.project_id
  prefix          = var.prefix
  location        = var.region
  schedules       = var.schedules
  pipeline_root   = module.storage.urls["pipelines"]
  runner_email    = module.identities.emails["runner"]
  scheduler_email = module.identities.emails["scheduler"]
  encryption      = local.encryption
  labels          = local.job_labels
}

module "reward" {
  source = "./modules/reward"
  count  = var.reward_service == null ? 0 : 1

  project_id          = module.apis.project_id
  prefix              = var.prefix
  location            = var.region
  image               = var.reward_service.image
  service_account     = module.identities.emails["reward"]
  min_instances       = var.reward_service.min_instances
  max_instances       = var.reward_service.max_instances
  concurrency         = var.reward_service.concurrency
  cpu                 = var.reward_service.cpu
  memory              = var.reward_service.memory
  invokers            = local.reward_invokers
  encryption          = local.encryption
  deletion_protection = var.deletion_protection
  labels              = local.labels
}

module "ci" {
  source = "./modules/ci"
  count  = var.ci == null ? 0 : 1

  project_id      = module.apis.project_id
  prefix          = var.prefix
  host            = var.ci.provider
  repository      = var.ci.repository
  owner_id        = var.ci.owner_id
  repository_id   = var.ci.repository_id
  ref             = var.ci.ref
  environment     = var.ci.environment
  issuer_uri      = var.ci.issuer_uri
  service_account = module.identities.names["submitter"]
}

module "endpoint" {
  source = "./modules/endpoint"
  count  = var.endpoint == null ? 0 : 1

  project_id          = module.apis.project_id
  prefix              = var.prefix
  location            = var.region
  id                  = var.endpoint.id
  display_name        = coalesce(var.endpoint.display_name, "${var.prefix}-tuned")
  dedicated           = var.endpoint.dedicated
  encryption          = local.encryption
  deletion_protection = var.deletion_protection
  labels              = local.labels
}

module "network" {
  source = "./modules/network"
  count  = var.network == null ? 0 : 1

  project_id = module.apis.project_id
  prefix     = var.prefix
  region     = var.region
  cidr       = var.network.cidr
  agent      = local.agents["aiplatform"]
  api_access = var.perimeter == null ? "private" : "restricted"
  labels     = local.labels
}

# In dry run: what the perimeter would have refused is logged, and nothing is. Whoever owns the perimeter enforces it.
resource "google_access_context_manager_service_perimeter_dry_run_resource" "this" {
  count = var.perimeter == null ? 0 : 1

  perimeter_name = var.perimeter
  resource       = "projects/${module.apis.project_number}"
}
