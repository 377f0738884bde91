# Where models are made that people use: a key of its own, submissions by CI alone, a longer memory.
project_id = "acme-tuning-prod"
env        = "prod"

cmek = {}

ci = {
  provider    = "github"
  repository  = "acme/tuner"
  environment = "production"
}

iam = {
  viewers = ["group:tuners@example.com"]
}

logging = {
  retention_days = 365
  alert_emails   = ["ml-oncall@example.com"]
}

budget = {
  billing_account = "000000-111111-222222"
  amount          = 2000
  emails          = ["ml-costs@example.com"]
}
