# Where things are tried out: cheap, and easily thrown away.
project_id = "acme-tuning-dev"
env        = "dev"

deletion_protection = false

buckets = {
  artifacts = { delete_age_days = 60 }
  pipelines = { delete_age_days = 14 }
}

logging = {
  retention_days = 30
}

iam = {
  submitters = ["group:tuners@example.com"]
}

budget = {
  billing_account = "000000-111111-222222"
  amount          = 200
  emails          = ["ml-costs@example.com"]
}
