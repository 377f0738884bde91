# The least that there is: a project, and everything else as it comes.

terraform {
  required_version = ">= 1.7.0"

  required_providers {
    google = {
      source  = "hashicorp/google"
      version = ">= 7.41.0, < 9.0.0"
    }
  }
}

provider "google" {
  project = var.project_id
}

variable "project_id" {
  description = "Id of a project that exists and has billing."
  type        = string
  default     = "demo-tuning"
}

module "tuning" {
  source = "../.."

  project_id = var.project_id
}

output "sdk_config" {
  description = "What vertex-tuning needs to know of the project."
  value       = module.tuning.sdk_config
}
