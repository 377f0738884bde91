variable "access_logs" {
  description = "A bucket for logs of who reads and writes, kept for `retention_days`. Null: none, and access is not logged."
  type = object({
    retention_days = optional(number, 90)
  })
  default = {}
}

variable "buckets" {
  description = "Buckets to make, by key; the key ends their name. `delete_age_days`: objects go after so many days (null: never). `noncurrent_days`: how long what was overwritten or deleted is kept as a version. `soft_delete_days`: how long a deleted object can be brought back (0, or 7 to 90)."
  type = map(object({
    name             = optional(string)
    location         = optional(string)
    versioning       = optional(bool, true)
    delete_age_days  = optional(number)
    noncurrent_days  = optional(number, 30)
    soft_delete_days = optional(number, 7)
    force_destroy    = optional(bool, false)
  }))
  nullable = false
}

variable "deletion_protection" {
  description = "Whether Terraform refuses to delete the buckets."
  type        = bool
  default     = true
  nullable    = false
}

variable "encryption" {
  description = "The key that objects are encrypted with: its full name, of a key in the region of the buckets. Null: Google's keys."
  type = object({
    kms_key_name = string
  })
  default = null
}

variable "grants" {
  description = "Roles on the buckets. The keys only tell them apart."
  type = map(object({
    bucket = string
    role   = string
    member = string
  }))
  default  = {}
  nullable = false
}

variable "labels" {
  description = "Labels of every bucket."
  type        = map(string)
  default     = {}
  nullable    = false
}

variable "location" {
  description = "Region of the buckets that name none of their own."
  type        = string
  nullable    = false
}

variable "prefix" {
  description = "Stands between the project and the key in the name of a bucket."
  type        = string
  nullable    = false
}

variable "project_id" {
  description = "Id of the project."
  type        = string
  nullable    = false
}
