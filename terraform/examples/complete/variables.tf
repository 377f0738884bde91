variable "deletion_protection" {
  description = "Whether Terraform refuses to delete what holds data. False only where it may all go."
  type        = bool
  default     = true
}

variable "key_id" {
  description = "Full name of a key that exists; null: one is made."
  type        = string
  default     = null
}

variable "project_id" {
  description = "Id of a project that exists and has billing."
  type        = string
  default     = "demo-tuning"
}

variable "region" {
  description = "Region of everything."
  type        = string
  default     = "us-central1"
}

variable "reward_digest" {
  description = "Digest of the reward's image, 64 hexadecimal digits."
  type        = string
  default     = "0f1e2d3c4b5a69788796a5b4c3d2e1f00f1e2d3c4b5a69788796a5b4c3d2e1f0"
}

variable "tuning_agents_exist" {
  description = "Whether the accounts that the first jobs make are there."
  type        = bool
  default     = true
}
