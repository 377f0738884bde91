# Who may do what, and no more. Every role is given on the one resource where it is needed; only what has no resource of its own
# (starting jobs, writing logs) is given on the project. All of it is added to what others grant; nothing of theirs is taken away.

locals {
  # Accounts, with their roles on the project.

  accounts = {
    for name, account in {
      submitter = {
        when          = true
        display_name  = "Submits tuning jobs and pipelines"
        description   = "People and CI act as it; jobs themselves run as the runner."
        project_roles = ["roles/aiplatform.user", "roles/serviceusage.serviceUsageConsumer"]
        act_as        = ["runner"]
      }
      runner = {
        when          = true
        display_name  = "Runs pipelines and jobs"
        description   = "Pipelines, custom jobs and, where asked for, tuning jobs run as it."
        project_roles = ["roles/aiplatform.user", "roles/logging.logWriter", "roles/monitoring.metricWriter"]
        act_as        = ["runner"] # a step that starts a job as the same account
      }
      scheduler = {
        when          = length(var.schedules) > 0
        display_name  = "Starts pipelines by the clock"
        description   = "Cloud Scheduler calls Vertex AI as it."
        project_roles = ["roles/aiplatform.user"]
        act_as        = ["runner"]
      }
      reward = {
        when          = var.reward_service != null
        display_name  = "Runs the reward"
        description   = "The service that scores answers runs as it; it has no roles."
        project_roles = []
        act_as        = []
      }
    } : name => account if account.when
  }

  holders = merge(
    { for name in keys(local.accounts) : name => module.identities.members[name] },
    local.agents,
  )

  # Buckets. Google's clients look at a bucket itself before they use it, which is a role apart.

  look  = "roles/storage.legacyBucketReader"
  read  = "roles/storage.objectViewer"
  write = "roles/storage.objectUser"

  bucket_roles = {
    submitter = {
      datasets  = [local.look, local.write]
      pipelines = [local.look, local.write]
      artifacts = [local.look, local.read]
    }
    runner = {
      datasets  = [local.look, local.read]
      pipelines = [local.look, local.write]
      artifacts = [local.look, local.write]
    }
    scheduler = {
      pipelines = [local.look]
    }
    aiplatform = {
      datasets  = [local.write]
      artifacts = [local.write]
    }
    tuning = {
      datasets  = [local.write]
      pipelines = [local.read]
      artifacts = [local.write]
    }
    open_tuning = {
      datasets  = [local.look, local.write]
      pipelines = [local.look, local.read]
      artifacts = [local.look, local.write]
    }
  }
  bucket_grants = merge(flatten([
    for holder, buckets in local.bucket_roles : [
      for bucket, roles in buckets : {
        for role in roles : "${bucket}/${holder}/${role}" => { bucket = bucket, role = role, member = local.holders[holder] }
      }
    ] if contains(keys(local.holders), holder)
  ])...)

  # Registries.

  pull = "roles/artifactregistry.reader"
  push = "roles/artifactregistry.writer"

  registry_roles = {
    submitter = {
      images    = try(var.ci.push, false) ? [local.push] : []
      pipelines = try(var.ci.push, false) ? [local.pull, local.push] : [local.pull]
    }
    runner = {
      images    = [local.pull]
      pipelines = [local.pull]
    }
    scheduler = {
      pipelines = [local.pull]
    }
  }
  registry_grants = merge(flatten([
    for holder, repositories in local.registry_roles : [
      for repository, roles in repositories : {
        for role in roles : "${repository}/${holder}/${role}" => { repository = repository, role = role, member = local.holders[holder] }
      }
    ] if contains(keys(local.holders), holder)
  ])...)

  # The key: whichever services keep something with it.

  key_users = {
    for name, when in {
      aiplatform        = true
      artifact_registry = true
      bigquery          = true
      custom_code       = true
      open_tuning       = true
      pubsub            = var.budget != null
      run               = var.reward_service != null
      storage           = true
      tuning            = true
    } : name => local.agents[name] if when && contains(keys(local.agents), name)
  }

  # The reward: whoever tries it out, and the agent that calls it while it trains.

  reward_invokers = { for name in ["submitter", "tuning"] : name => local.holders[name] if contains(keys(local.holders), name) }

  # Tokens of an account: people act as the submitter, and the agents that tune act as the runner where a job names it.

  token_creators = merge(
    { for principal in toset(var.iam.submitters) : "submitter/${principal}" => { account = "submitter", member = principal } },
    {
      for agent in ["open_tuning", "tuning"] : "runner/${agent}" => { account = "runner", member = local.agents[agent] }
      if contains(keys(local.agents), agent)
    },
  )

  # People look at jobs, logs and metrics as themselves: the console does not impersonate.

  people = setunion(var.iam.submitters, var.iam.viewers)
  project_grants = merge([
    for role in ["roles/aiplatform.viewer", "roles/logging.viewer", "roles/monitoring.viewer"] : {
      for principal in local.people : "${principal}/${role}" => { role = role, member = principal }
    }
  ]...)
}
