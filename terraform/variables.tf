variable "buckets" {
  description = "What differs from the usual in the three buckets. `name` (PROJECT-PREFIX-KEY), `location` (the region), `versioning`, `delete_age_days` (objects go after so many days; null: never), `noncurrent_days` (how long what was overwritten or deleted is kept as a version), `soft_delete_days` (how long what was deleted can be brought back: 0, or 7 to 90), `force_destroy` (destroy deletes what is in it). Left out, pipelines are scratch: no versions, gone after 90 days."
  type = object({
    artifacts = optional(object({
      name             = optional(string)
      location         = optional(string)
      versioning       = optional(bool, true)
      delete_age_days  = optional(number)
      noncurrent_days  = optional(number, 30)
      soft_delete_days = optional(number, 7)
      force_destroy    = optional(bool, false)
    }), {})
    datasets = optional(object({
      name             = optional(string)
      location         = optional(string)
      versioning       = optional(bool, true)
      delete_age_days  = optional(number)
      noncurrent_days  = optional(number, 30)
      soft_delete_days = optional(number, 7)
      force_destroy    = optional(bool, false)
    }), {})
    pipelines = optional(object({
      name             = optional(string)
      location         = optional(string)
      versioning       = optional(bool, false)
      delete_age_days  = optional(number, 90)
      noncurrent_days  = optional(number, 30)
      soft_delete_days = optional(number, 7)
      force_destroy    = optional(bool, false)
    }), {})
  })
  default  = {}
  nullable = false

  validation {
    condition     = alltrue([for bucket in var.buckets : bucket.soft_delete_days == 0 || (bucket.soft_delete_days >= 7 && bucket.soft_delete_days <= 90)])
    error_message = "`buckets.*.soft_delete_days` is 0, or 7 to 90."
  }
  validation {
    condition     = alltrue([for bucket in var.buckets : (bucket.delete_age_days == null || try(bucket.delete_age_days >= 1, false)) && bucket.noncurrent_days >= 1])
    error_message = "`buckets.*.delete_age_days` and `buckets.*.noncurrent_days` are at least 1: at 0 everything would go at once."
  }
  validation {
    condition     = alltrue([for bucket in var.buckets : bucket.name == null || can(regex("^[a-z0-9][a-z0-9._-]{1,61}[a-z0-9]$", bucket.name))])
    error_message = "`buckets.*.name` has 3 to 63 small letters, digits, hyphens, underscores and dots; the names of all of Cloud Storage are one space."
  }
}

variable "budget" {
  description = "A budget for the whole project, in a calendar month; it tells, and stops nothing. `amount`: whole units of `currency` (null: the billing account's). `thresholds`: shares of it that are told once spent; a forecast of the whole amount is told too. `emails`: who is told, five at most, besides the topic. Null: none."
  type = object({
    billing_account = string
    amount          = number
    currency        = optional(string)
    thresholds      = optional(list(number), [0.5, 0.9, 1])
    emails          = optional(list(string), [])
  })
  default = null

  validation {
    condition     = var.budget == null || can(regex("^[0-9A-F]{6}-[0-9A-F]{6}-[0-9A-F]{6}$", var.budget.billing_account))
    error_message = "`budget.billing_account` is three groups of six digits or capitals, such as 000000-11AA11-222222: `gcloud billing accounts list`."
  }
  validation {
    condition     = var.budget == null || try(var.budget.amount >= 1 && floor(var.budget.amount) == var.budget.amount, false)
    error_message = "`budget.amount` is a whole number of at least 1."
  }
  validation {
    condition     = try(var.budget.currency, null) == null || can(regex("^[A-Z]{3}$", var.budget.currency))
    error_message = "`budget.currency` is three capitals, such as USD."
  }
  validation {
    condition     = alltrue([for share in try(var.budget.thresholds, []) : share > 0 && share <= 10])
    error_message = "`budget.thresholds` are shares of the amount: 0.5 is half of it."
  }
  validation {
    condition     = length(try(var.budget.emails, [])) <= 5 && alltrue([for email in try(var.budget.emails, []) : can(regex("^[^@\\s]+@[^@\\s]+\\.[^@\\s]+$", email))])
    error_message = "`budget.emails` are five addresses at most, such as ml-costs@example.com."
  }
}

variable "ci" {
  description = "Runs of one branch of one repository that may act as the submitter, without keys. `provider`: github or gitlab. `environment`: of GitHub, that a run must name. `owner_id`, `repository_id`: GitHub's numbers of both, needed for a repository that was made or renamed since 2026-07-15. `issuer_uri`: of a server of your own. `push`: runs may also push images and pipelines. Null: none."
  type = object({
    provider      = optional(string, "github")
    repository    = string
    owner_id      = optional(string)
    repository_id = optional(string)
    ref           = optional(string, "refs/heads/main")
    environment   = optional(string)
    issuer_uri    = optional(string)
    push          = optional(bool, false)
  })
  default = null

  validation {
    condition     = var.ci == null || contains(["github", "gitlab"], try(var.ci.provider, ""))
    error_message = "`ci.provider` is github or gitlab."
  }
  validation {
    condition     = var.ci == null || can(regex("^[A-Za-z0-9_.-]+(/[A-Za-z0-9_.-]+)+$", var.ci.repository))
    error_message = "`ci.repository` names owner and repository, such as acme/tuner, and neither a URL nor a pattern: whoever matches may submit."
  }
  validation {
    condition     = var.ci == null || can(regex("^refs/heads/[A-Za-z0-9_./-]+$", var.ci.ref))
    error_message = "`ci.ref` is one branch, such as refs/heads/main: a pattern or a pull request would let others submit."
  }
  validation {
    condition     = try(var.ci.environment, null) == null || (try(var.ci.provider, "") == "github" && can(regex("^[A-Za-z0-9_.-]+$", var.ci.environment)))
    error_message = "`ci.environment` is the name of an environment of GitHub; GitLab has none here."
  }
  validation {
    condition     = (try(var.ci.owner_id, null) == null && try(var.ci.repository_id, null) == null) || (try(var.ci.provider, "") == "github" && can(regex("^[0-9]+$", var.ci.owner_id)) && can(regex("^[0-9]+$", var.ci.repository_id)))
    error_message = "`ci.owner_id` and `ci.repository_id` are GitHub's numbers, both or neither: gh api repos/OWNER/REPOSITORY --jq '.owner.id, .id'."
  }
  validation {
    condition     = try(var.ci.issuer_uri, null) == null || can(regex("^https://[^/\\s]+", var.ci.issuer_uri))
    error_message = "`ci.issuer_uri` is an https URL."
  }
}

variable "cmek" {
  description = "Encrypt with a key of your own. `key_id`: one that exists, in the region (null: a key ring and a key are made, which destroy does not touch). `rotation_period`: of the key that is made, in seconds with an s; at most 90 days. Null: Google's keys."
  type = object({
    key_id          = optional(string)
    rotation_period = optional(string, "7776000s")
  })
  default = null

  validation {
    condition     = try(var.cmek.key_id, null) == null || can(regex("^projects/[^/]+/locations/[^/]+/keyRings/[^/]+/cryptoKeys/[^/]+$", var.cmek.key_id))
    error_message = "`cmek.key_id` is a key's full name, without a version: projects/PROJECT/locations/REGION/keyRings/RING/cryptoKeys/KEY."
  }
  validation {
    condition     = var.cmek == null || try(tonumber(trimsuffix(var.cmek.rotation_period, "s")) >= 86400 && tonumber(trimsuffix(var.cmek.rotation_period, "s")) <= 7776000 && endswith(var.cmek.rotation_period, "s"), false)
    error_message = "`cmek.rotation_period` is one to ninety days, in seconds with an s: 2592000s is thirty days."
  }
}

variable "deletion_protection" {
  description = "Whether Terraform refuses to delete buckets, repositories, the dataset of logs, the reward and the endpoint. Set it to false, and apply, before a destroy."
  type        = bool
  default     = true
  nullable    = false
}

variable "endpoint" {
  description = "An endpoint for tuned models; it costs nothing until a model is deployed to it. `display_name` (PREFIX-tuned), `id` (a number of ten digits at most; null: worked out from project and prefix), `dedicated` (a name of its own). Null: none; Gemini models bring their own."
  type = object({
    display_name = optional(string)
    id           = optional(string)
    dedicated    = optional(bool, false)
  })
  default = null

  validation {
    condition     = try(var.endpoint.id, null) == null || can(regex("^[1-9][0-9]{0,9}$", var.endpoint.id))
    error_message = "`endpoint.id` is a number of ten digits at most, without leading zeros."
  }
}

variable "env" {
  description = "Label `env` of everything: dev, prod. Null: no such label."
  type        = string
  default     = null

  validation {
    condition     = var.env == null || can(regex("^[a-z0-9_-]{1,63}$", var.env))
    error_message = "`env` becomes a label: small letters, digits, hyphens and underscores."
  }
}

variable "iam" {
  description = "People, as IAM names them (`group:tuners@example.com`). `submitters` may act as the submitter account; they and `viewers` see jobs, logs and metrics."
  type = object({
    submitters = optional(list(string), [])
    viewers    = optional(list(string), [])
  })
  default  = {}
  nullable = false

  validation {
    condition     = alltrue([for principal in concat(var.iam.submitters, var.iam.viewers) : can(regex("^(user|group|serviceAccount|domain|principal|principalSet):\\S+$", principal))])
    error_message = "`iam` takes principals, such as group:tuners@example.com or user:ada@example.com; allUsers and allAuthenticatedUsers are none that may tune."
  }
}

variable "labels" {
  description = "Labels of everything that takes them, and of every job. `app` is vertex-tuning unless given; `managed-by` is always terraform."
  type        = map(string)
  default     = {}
  nullable    = false

  validation {
    condition = alltrue([
      for name, value in var.labels : can(regex("^[a-z][a-z0-9_-]{0,62}$", name)) && can(regex("^[a-z0-9_-]{0,63}$", value))
    ])
    error_message = "Labels have small letters, digits, hyphens and underscores, 63 at most; names begin with a letter."
  }
  validation {
    condition     = !contains(keys(var.labels), "managed-by") && !contains(keys(var.labels), "env")
    error_message = "`managed-by` is set here, and `env` is an input of its own."
  }
}

variable "logging" {
  description = "What is logged and kept. `dataset`: in BigQuery (PREFIX_logs). `retention_days`: of its partitions, and of the logs of access to buckets. `data_access`: audit logs of who read and wrote data, of Vertex AI and of Cloud Storage. `access_logs`: a bucket for logs of access to the others. `alert_emails`: who is told of a failed job."
  type = object({
    dataset        = optional(string)
    retention_days = optional(number, 90)
    data_access    = optional(bool, true)
    access_logs    = optional(bool, true)
    alert_emails   = optional(list(string), [])
  })
  default  = {}
  nullable = false

  validation {
    condition     = var.logging.dataset == null || can(regex("^[A-Za-z0-9_]{1,1024}$", var.logging.dataset))
    error_message = "`logging.dataset` has letters, digits and underscores."
  }
  validation {
    condition     = var.logging.retention_days >= 1 && floor(var.logging.retention_days) == var.logging.retention_days
    error_message = "`logging.retention_days` is a whole number of at least 1."
  }
  validation {
    condition     = alltrue([for email in var.logging.alert_emails : can(regex("^[^@\\s]+@[^@\\s]+\\.[^@\\s]+$", email))])
    error_message = "`logging.alert_emails` are addresses, such as ml-oncall@example.com."
  }
}

variable "network" {
  description = "A network for custom training, that reaches Google's services and nothing else, and an attachment by which jobs join it. `cidr`: addresses of its subnet. Managed tuning does not use it. Null: none."
  type = object({
    cidr = optional(string, "10.10.0.0/20")
  })
  default = null

  validation {
    condition     = var.network == null || can(cidrhost(var.network.cidr, 0))
    error_message = "`network.cidr` is a range, such as 10.10.0.0/20."
  }
}

variable "perimeter" {
  description = "A perimeter of VPC Service Controls that the project joins in dry run: `accessPolicies/123/servicePerimeters/tuning`. Null: none."
  type        = string
  default     = null

  validation {
    condition     = var.perimeter == null || can(regex("^accessPolicies/[0-9]+/servicePerimeters/[A-Za-z0-9_]+$", var.perimeter))
    error_message = "`perimeter` is a full name: accessPolicies/NUMBER/servicePerimeters/NAME."
  }
}

variable "prefix" {
  description = "Begins the names of everything, so that several can live in a project."
  type        = string
  default     = "vt"
  nullable    = false

  validation {
    condition     = can(regex("^[a-z]([a-z0-9-]{0,10}[a-z0-9])?$", var.prefix))
    error_message = "`prefix` has 1 to 12 small letters, digits and hyphens, begins with a letter and does not end with a hyphen."
  }
  validation {
    condition     = !startswith(var.prefix, "gcp") && !strcontains(var.prefix, "goog")
    error_message = "`prefix` does not begin with gcp, nor hold goog: Google keeps such names of pools and buckets to itself."
  }
}

variable "project_id" {
  description = "Id of a project that exists and has billing."
  type        = string
  nullable    = false

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{4,28}[a-z0-9]$", var.project_id))
    error_message = "`project_id` is an id, not a name or a number: 6 to 30 small letters, digits and hyphens, such as acme-tuning."
  }
}

variable "region" {
  description = "Region of jobs, data and everything else. `vertex-tuning catalog` says which model is tuned where."
  type        = string
  default     = "us-central1"
  nullable    = false

  validation {
    condition     = can(regex("^[a-z]+-[a-z]+[0-9]+$", var.region))
    error_message = "`region` is one region, such as europe-west4; not a zone, and not a multi-region."
  }
}

variable "reward_service" {
  description = "A service on Cloud Run that scores answers for reinforcement tuning. `image`: it answers over HTTP at `PORT` (`vertex-tuning reward serve`). `min_instances` 0 costs nothing while nobody calls; `max_instances` bounds the cost; `concurrency`: answers scored by one instance at a time. Null: none."
  type = object({
    image         = string
    min_instances = optional(number, 0)
    max_instances = optional(number, 10)
    concurrency   = optional(number, 16)
    cpu           = optional(string, "1")
    memory        = optional(string, "512Mi")
  })
  default = null

  validation {
    condition     = var.reward_service == null || can(regex("^[a-z0-9.-]+/\\S+[:@]\\S+$", var.reward_service.image))
    error_message = "`reward_service.image` names registry, image, and a tag or, better, a digest: us-central1-docker.pkg.dev/acme-tuning/vt-images/reward@sha256:..."
  }
  validation {
    condition     = var.reward_service == null || try(var.reward_service.min_instances >= 0 && var.reward_service.max_instances >= 1 && var.reward_service.max_instances >= var.reward_service.min_instances, false)
    error_message = "`reward_service.max_instances` is at least 1, and at least `reward_service.min_instances`."
  }
}

variable "schedules" {
  description = "Pipelines that start by the clock, by name. `cron`: five fields. `template_uri`: a compiled pipeline, with a tag or version, in a registry. `time_zone`: of the cron. `parameters`: of the pipeline; numbers, lists and objects as JSON. `paused`: made, and not started."
  type = map(object({
    cron         = string
    template_uri = string
    time_zone    = optional(string, "Etc/UTC")
    parameters   = optional(map(string), {})
    paused       = optional(bool, false)
  }))
  default  = {}
  nullable = false

  validation {
    condition     = alltrue([for name in keys(var.schedules) : can(regex("^[a-z][a-z0-9-]{0,40}$", name))])
    error_message = "A schedule's name has small letters, digits and hyphens, and begins with a letter."
  }
  validation {
    condition     = alltrue([for schedule in var.schedules : can(regex("^\\s*[0-9A-Za-z*,/-]+(\\s+[0-9A-Za-z*,/-]+){4}\\s*$", schedule.cron))])
    error_message = "`schedules.*.cron` has five fields: minute, hour, day, month, day of the week. 0 2 * * 1 is every Monday at two."
  }
  validation {
    condition     = alltrue([for schedule in var.schedules : can(regex("^https://[a-z0-9-]+-kfp\\.pkg\\.dev/[^/]+/[^/]+/[^/]+/[^/]+$", schedule.template_uri))])
    error_message = "`schedules.*.template_uri` is a pipeline in a registry: https://REGION-kfp.pkg.dev/PROJECT/REPOSITORY/PIPELINE/TAG."
  }
}

variable "tuning_agents" {
  description = "Which accounts of Google's exist that only the first job of its kind makes: `custom_jobs`, `gemini` (tuning), `open_models` (tuning); each is `exist` unless given. Only those that exist can be given roles: README.md, \"The agents that tune\"."
  type = object({
    exist       = optional(bool, false)
    custom_jobs = optional(bool)
    gemini      = optional(bool)
    open_models = optional(bool)
  })
  default  = {}
  nullable = false
}
