variable "alert_emails" {
  description = "Addresses that are told when a job fails."
  type        = set(string)
  default     = []
  nullable    = false
}

variable "audited_services" {
  description = "Services of which reads and writes of data are logged, each with nobody exempted. Empty: none, and what else configures it stays."
  type        = set(string)
  nullable    = false
}

variable "dataset" {
  description = "Name of the BigQuery dataset that keeps the logs."
  type        = string
  nullable    = false
}

variable "deletion_protection" {
  description = "Whether Terraform refuses to delete the dataset."
  type        = bool
  default     = true
  nullable    = false
}

variable "encryption" {
  description = "The key that the dataset is encrypted with: its full name, of a key in the region of the work. Null: Google's keys."
  type = object({
    kms_key_name = string
  })
  default = null
}

variable "labels" {
  description = "Labels of everything here that takes them."
  type        = map(string)
  default     = {}
  nullable    = false
}

variable "location" {
  description = "Region of the dataset."
  type        = string
  nullable    = false
}

variable "other_emails" {
  description = "Addresses that get a channel for notifications, and are not told of failed jobs: those of the budget."
  type        = set(string)
  default     = []
  nullable    = false
}

variable "prefix" {
  description = "Put before the name of everything here."
  type        = string
  nullable    = false
}

variable "project_id" {
  description = "Id of the project."
  type        = string
  nullable    = false
}

variable "retention_days" {
  description = "How long a day's logs are kept in the dataset."
  type        = number
  default     = 90
  nullable    = false
}
