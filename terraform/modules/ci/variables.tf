variable "environment" {
  description = "Environment of GitHub that a run must name: its reviewers then stand before every submission. Null: the ref alone counts."
  type        = string
  default     = null
}

variable "host" {
  description = "Where CI runs: `github` or `gitlab`."
  type        = string
  nullable    = false

  validation {
    condition     = contains(["github", "gitlab"], var.host)
    error_message = "CI runs at `github` or at `gitlab`."
  }
}

variable "issuer_uri" {
  description = "Who signs the tokens, where that is a server of your own. Null: github.com or gitlab.com."
  type        = string
  default     = null
}

variable "prefix" {
  description = "Put before the name of the pool."
  type        = string
  nullable    = false
}

variable "project_id" {
  description = "Id of the project."
  type        = string
  nullable    = false
}

variable "ref" {
  description = "Branch whose runs may submit: `refs/heads/main`."
  type        = string
  default     = "refs/heads/main"
  nullable    = false
}

variable "repository" {
  description = "Repository whose runs may submit: `acme/tuner`."
  type        = string
  nullable    = false
}

variable "service_account" {
  description = "Full name of the account that runs act as: `projects/.../serviceAccounts/...`."
  type        = string
  nullable    = false
}
