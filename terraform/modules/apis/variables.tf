variable "project_id" {
  description = "Id of the project."
  type        = string
  nullable    = false
}

variable "services" {
  description = "Services to turn on, as Service Usage names them: `aiplatform.googleapis.com`. Destroy leaves them on, since others may use them."
  type        = set(string)
  nullable    = false
}
