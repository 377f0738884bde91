variable "concurrency" {
  description = "How many answers one instance scores at a time."
  type        = number
  default     = 16
  nullable    = false
}

variable "cpu" {
  description = "Processors of an instance."
  type        = string
  default     = "1"
  nullable    = false
}

variable "deletion_protection" {
  description = "Whether Terraform refuses to delete the service."
  type        = bool
  default     = true
  nullable    = false
}

variable "encryption" {
  description = "The key that images of its revisions are encrypted with: its full name, of a key in the region of the work. Null: Google's keys."
  type = object({
    kms_key_name = string
  })
  default = null
}

variable "image" {
  description = "Image that answers over HTTP at the port in `PORT`, preferably by digest."
  type        = string
  nullable    = false
}

variable "invokers" {
  description = "Who may call the service, as IAM names them. The keys only tell them apart. Nobody else can: it is never public."
  type        = map(string)
  default     = {}
  nullable    = false

  validation {
    condition     = alltrue([for member in var.invokers : !contains(["allUsers", "allAuthenticatedUsers"], member)])
    error_message = "A reward is never public: whoever can call it can learn what it pays for. Name the accounts that may."
  }
}

variable "labels" {
  description = "Labels of the service and its revisions."
  type        = map(string)
  default     = {}
  nullable    = false
}

variable "location" {
  description = "Region of the service: that of the jobs."
  type        = string
  nullable    = false
}

variable "max_instances" {
  description = "How many instances there are at most: what bounds the cost."
  type        = number
  default     = 10
  nullable    = false
}

variable "memory" {
  description = "Memory of an instance."
  type        = string
  default     = "512Mi"
  nullable    = false
}

variable "min_instances" {
  description = "How many instances there are at least. 0: nothing is paid for while nobody calls."
  type        = number
  default     = 0
  nullable    = false
}

variable "prefix" {
  description = "Put before the name of the service."
  type        = string
  nullable    = false
}

variable "project_id" {
  description = "Id of the project."
  type        = string
  nullable    = false
}

variable "service_account" {
  description = "Email of the account that it runs as; it needs no role."
  type        = string
  nullable    = false
}

variable "timeout_seconds" {
  description = "How long one answer may take. Vertex AI waits 300 seconds for a reward."
  type        = number
  default     = 300
  nullable    = false
}
