variable "key_id" {
  description = "Full name of a key that exists: `projects/.../locations/.../keyRings/.../cryptoKeys/...`. Null: a key ring and a key are made."
  type        = string
  default     = null
}

variable "labels" {
  description = "Labels of the key that is made."
  type        = map(string)
  default     = {}
  nullable    = false
}

variable "location" {
  description = "Region of the key that is made: that of what it encrypts."
  type        = string
  nullable    = false
}

variable "prefix" {
  description = "Put before the names of key ring and key: `vt` makes `vt-us-central1` and `vt-data`."
  type        = string
  nullable    = false
}

variable "project_id" {
  description = "Id of the project."
  type        = string
  nullable    = false
}

variable "rotation_period" {
  description = "How often the key that is made gets a new version, in seconds with an s. Default: 90 days."
  type        = string
  default     = "7776000s"
  nullable    = false
}

variable "users" {
  description = "Who encrypts and decrypts with the key, as IAM names them. The keys only tell them apart."
  type        = map(string)
  default     = {}
  nullable    = false
}
