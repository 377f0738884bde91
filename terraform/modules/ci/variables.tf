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

variable "owner_id" {
  description = "GitHub's number of the repository's owner; with `repository_id`, or not at all."
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

variable "repository_id" {
  description = "GitHub's number of the repository, where the subjects of its tokens have numbers. Null: names alone."
  type        = string
  default     = null

  validation {
    condition     = var.repository_id == null || can(regex("^[0-9]+$", var.repository_id))
    error_message = "The id of a repository is a number."
  }
}

variable "service_account" {
  description = "Full name of the account that runs act as: `projects/.../serviceAccounts/...`."
  type        = string
  nullable    = false
}
