# Where the state lies is told to `terraform init`: -backend-config=environments/backend.hcl. A root that calls this one as a module
# brings its own backend, and Terraform warns that this block then counts for nothing.
terraform {
  backend "gcs" {}
}
