variable "dedicated" {
  description = "Whether it answers at a name of its own, apart from what else runs in the region."
  type        = bool
  default     = false
  nullable    = false
}

variable "deletion_protection" {
  description = "Whether Terraform refuses to delete the endpoint."
  type        = bool
  default     = true
  nullable    = false
}

variable "display_name" {
  description = "Its name for people."
  type        = string
  nullable    = false
}

variable "encryption" {
  description = "The key that the endpoint is encrypted with: its full name, of a key in the region of the work. Null: Google's keys."
  type = object({
    kms_key_name = string
  })
  default = null
}

variable "id" {
  description = "Number that names it, of ten digits at most and without leading zeros. Null: one worked out from project and prefix."
  type        = string
  default     = null
}

variable "labels" {
  description = "Labels of the endpoint."
  type        = map(string)
  default     = {}
  nullable    = false
}

variable "location" {
  description = "Region of the endpoint: that of its models."
  type        = string
  nullable    = false
}

variable "prefix" {
  description = "With the project, what the id is worked out from."
  type        = string
  nullable    = false
}

variable "project_id" {
  description = "Id of the project."
  type        = string
  nullable    = false
}
