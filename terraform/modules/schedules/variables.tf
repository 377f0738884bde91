variable "encryption" {
  description = "The key that what the pipelines make is encrypted with: its full name, of a key in the region of the work. Null: Google's keys."
  type = object({
    kms_key_name = string
  })
  default = null
}

variable "labels" {
  description = "Labels of every pipeline that is started."
  type        = map(string)
  default     = {}
  nullable    = false
}

variable "location" {
  description = "Region of the pipelines, and of the clock."
  type        = string
  nullable    = false
}

variable "pipeline_root" {
  description = "Where pipelines keep what steps hand on: `gs://...`. Each schedule has a folder of its own in it."
  type        = string
  nullable    = false
}

variable "prefix" {
  description = "Put before the name of every job of the clock."
  type        = string
  nullable    = false
}

variable "project_id" {
  description = "Id of the project."
  type        = string
  nullable    = false
}

variable "runner_email" {
  description = "Email of the account that pipelines run as."
  type        = string
  nullable    = false
}

variable "scheduler_email" {
  description = "Email of the account that starts them. Not the agent of Cloud Scheduler."
  type        = string
  nullable    = false
}

variable "schedules" {
  description = "What to start when, by name. `cron`: five fields. `template_uri`: a compiled pipeline in a registry. `parameters`: its parameters; numbers, lists and objects as JSON."
  type = map(object({
    cron         = string
    template_uri = string
    time_zone    = optional(string, "Etc/UTC")
    parameters   = optional(map(string), {})
    paused       = optional(bool, false)
  }))
  nullable = false
}
