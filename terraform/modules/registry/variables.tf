variable "deletion_protection" {
  description = "Whether Terraform refuses to delete the repositories."
  type        = bool
  default     = true
  nullable    = false
}

variable "encryption" {
  description = "The key that contents are encrypted with: its full name, of a key in the region of the repositories. Null: Google's keys."
  type = object({
    kms_key_name = string
  })
  default = null
}

variable "grants" {
  description = "Roles on the repositories. The keys only tell them apart."
  type = map(object({
    repository = string
    role       = string
    member     = string
  }))
  default  = {}
  nullable = false
}

variable "labels" {
  description = "Labels of every repository."
  type        = map(string)
  default     = {}
  nullable    = false
}

variable "location" {
  description = "Region of the repositories."
  type        = string
  nullable    = false
}

variable "prefix" {
  description = "Put before the key in the name of a repository: `vt` makes `vt-images`."
  type        = string
  nullable    = false
}

variable "project_id" {
  description = "Id of the project."
  type        = string
  nullable    = false
}

variable "repositories" {
  description = "Repositories to make, by key. `format`: DOCKER, or KFP for compiled pipelines. Untagged versions go after `untagged_days`, except the newest `keep_versions` of each package."
  type = map(object({
    format        = string
    description   = string
    untagged_days = optional(number, 30)
    keep_versions = optional(number, 10)
  }))
  nullable = false

  validation {
    condition     = alltrue([for repository in var.repositories : contains(["DOCKER", "KFP"], repository.format)])
    error_message = "The format of a repository is DOCKER (images) or KFP (compiled pipelines)."
  }
}
