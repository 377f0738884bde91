variable "amount" {
  description = "What may be spent in a calendar month, in whole units of the currency."
  type        = number
  nullable    = false
}

variable "billing_account" {
  description = "Id of the billing account that pays for the project: `000000-111111-222222`."
  type        = string
  nullable    = false
}

variable "channels" {
  description = "Full names of channels for notifications that are told of each threshold; five at most."
  type        = list(string)
  default     = []
  nullable    = false
}

variable "currency" {
  description = "Currency of the billing account, such as USD. Null: whatever it is."
  type        = string
  default     = null
}

variable "encryption" {
  description = "The key that the topic is encrypted with: its full name, of a key in the region of the work. Null: Google's keys."
  type = object({
    kms_key_name = string
  })
  default = null
}

variable "labels" {
  description = "Labels of the topic."
  type        = map(string)
  default     = {}
  nullable    = false
}

variable "prefix" {
  description = "Put before the name of the topic."
  type        = string
  nullable    = false
}

variable "project_id" {
  description = "Id of the project."
  type        = string
  nullable    = false
}

variable "project_number" {
  description = "Number of the project: spending is counted by it."
  type        = string
  nullable    = false
}

variable "thresholds" {
  description = "Shares of the amount at which to tell, once spent. That the month is forecast to reach the whole amount is always told."
  type        = list(number)
  default     = [0.5, 0.9, 1]
  nullable    = false
}
