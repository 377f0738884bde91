locals {
  act_as = merge([
    for name, account in var.accounts : {
      for other in account.act_as : "${name}/${other}" => { actor = name, account = other }
    }
  ]...)
  project_roles = merge([
    for name, account in var.accounts : {
      for role in account.project_roles : "${name}/${role}" => { account = name, role = role }
    }
  ]...)
}

resource "google_service_account" "this" {
  for_each = var.accounts

  project      = var.project_id
  account_id   = "${var.prefix}-${each.key}"
  display_name = each.value.display_name
  description  = each.value.description
}

resource "google_project_iam_member" "account" {
  for_each = local.project_roles

  project = var.project_id
  role    = each.value.role
  member  = google_service_account.this[each.value.account].member
}

resource "google_project_iam_member" "principal" {
  for_each = var.project_grants

  project = var.project_id
  role    = each.value.role
  member  = each.value.member
}

resource "google_service_account_iam_member" "act_as" {
  for_each = local.act_as

  service_account_id = google_service_account.this[each.value.account].name
  role               = "roles/iam.serviceAccountUser"
  member             = google_service_account.this[each.value.actor].member
}

resource "google_service_account_iam_member" "token_creator" {
  for_each = var.token_creators

  service_account_id = google_service_account.this[each.value.account].name
  role               = "roles/iam.serviceAccountTokenCreator"
  member             = each.value.member
}
