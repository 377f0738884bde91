variable "agent" {
  description = "Vertex AI's own account in the project, which lets training machines join the network: `serviceAccount:service-...`."
  type        = string
  nullable    = false
}

variable "api_access" {
  description = "Which of Google's addresses lead to its APIs: `private` (every API), or `restricted` (only those that a perimeter of VPC Service Controls guards)."
  type        = string
  default     = "private"
  nullable    = false

  validation {
    condition     = contains(["private", "restricted"], var.api_access)
    error_message = "The access is `private` or `restricted`."
  }
}

variable "cidr" {
  description = "Addresses of the subnet. Every training machine takes one."
  type        = string
  nullable    = false
}

variable "labels" {
  description = "Labels of every DNS zone."
  type        = map(string)
  default     = {}
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

variable "region" {
  description = "Region of the subnet and of the attachment: that of the jobs."
  type        = string
  nullable    = false
}
