variable "accounts" {
  description = "Service accounts to make, by name: what they are for, their roles on the project, and which of these accounts they may act as."
  type = map(object({
    display_name  = string
    description   = string
    project_roles = optional(set(string), [])
    act_as        = optional(set(string), [])
  }))
  nullable = false
}

variable "prefix" {
  description = "Put before the name of every account: `vt` makes `vt-runner`."
  type        = string
  nullable    = false
}

variable "project_grants" {
  description = "Roles on the project for principals that are made elsewhere, such as groups of people. The keys only tell them apart."
  type = map(object({
    role   = string
    member = string
  }))
  default  = {}
  nullable = false
}

variable "project_id" {
  description = "Id of the project."
  type        = string
  nullable    = false
}

variable "token_creators" {
  description = "Who may get tokens of one of these accounts, on that account alone. The keys only tell them apart."
  type = map(object({
    account = string
    member  = string
  }))
  default  = {}
  nullable = false
}
