# What cannot be meant is refused before anything is planned.

mock_provider "google" {
  source = "./tests/mocks"
}

variables {
  project_id = "demo-tuning"
}

run "a_project_is_named_by_its_id" {
  command = plan
  variables {
    project_id = "Demo Tuning"
  }
  expect_failures = [var.project_id]
}

run "a_zone_is_no_region" {
  command = plan
  variables {
    region = "us-central1-a"
  }
  expect_failures = [var.region]
}

run "a_prefix_is_short" {
  command = plan
  variables {
    prefix = "our-tuning-platform"
  }
  expect_failures = [var.prefix]
}

run "googles_own_names_are_not_ours" {
  command = plan
  variables {
    prefix = "gcp-vt"
  }
  expect_failures = [var.prefix]
}

run "nobody_is_everybody" {
  command = plan
  variables {
    iam = { submitters = ["allAuthenticatedUsers"] }
  }
  expect_failures = [var.iam]
}

run "a_label_is_small_letters" {
  command = plan
  variables {
    labels = { Team = "search" }
  }
  expect_failures = [var.labels]
}

run "who_manages_it_cannot_be_said_otherwise" {
  command = plan
  variables {
    labels = { managed-by = "hand" }
  }
  expect_failures = [var.labels]
}

run "a_version_is_no_key" {
  command = plan
  variables {
    cmek = { key_id = "projects/p/locations/us-central1/keyRings/r/cryptoKeys/k/cryptoKeyVersions/1" }
  }
  expect_failures = [var.cmek]
}

run "keys_rotate_within_ninety_days" {
  command = plan
  variables {
    cmek = { rotation_period = "31536000s" }
  }
  expect_failures = [var.cmek]
}

run "a_billing_account_is_three_groups" {
  command = plan
  variables {
    budget = { billing_account = "my-account", amount = 10 }
  }
  expect_failures = [var.budget]
}

run "a_budget_is_more_than_nothing" {
  command = plan
  variables {
    budget = { billing_account = "000000-111111-222222", amount = 0 }
  }
  expect_failures = [var.budget]
}

run "six_people_are_too_many" {
  command = plan
  variables {
    budget = {
      billing_account = "000000-111111-222222"
      amount          = 10
      emails          = [for n in range(6) : "p${n}@example.com"]
    }
  }
  expect_failures = [var.budget]
}

run "a_repository_is_no_pattern" {
  command = plan
  variables {
    ci = { repository = "acme/*" }
  }
  expect_failures = [var.ci]
}

run "a_pull_request_is_no_branch" {
  command = plan
  variables {
    ci = { repository = "acme/tuner", ref = "refs/pull/1/merge" }
  }
  expect_failures = [var.ci]
}

run "a_schedule_has_five_fields" {
  command = plan
  variables {
    schedules = {
      nightly = {
        cron         = "at two"
        template_uri = "https://us-central1-kfp.pkg.dev/p/r/t/v1"
      }
    }
  }
  expect_failures = [var.schedules]
}

run "a_template_lies_in_a_registry" {
  command = plan
  variables {
    schedules = {
      nightly = {
        cron         = "0 2 * * *"
        template_uri = "pipeline.yaml"
      }
    }
  }
  expect_failures = [var.schedules]
}

run "an_image_has_a_tag" {
  command = plan
  variables {
    reward_service = { image = "reward" }
  }
  expect_failures = [var.reward_service]
}

run "no_instances_cannot_score" {
  command = plan
  variables {
    reward_service = { image = "us-docker.pkg.dev/p/r/reward:1", max_instances = 0 }
  }
  expect_failures = [var.reward_service]
}

run "an_endpoint_is_a_number" {
  command = plan
  variables {
    endpoint = { id = "tuned" }
  }
  expect_failures = [var.endpoint]
}

run "a_network_is_a_range" {
  command = plan
  variables {
    network = { cidr = "10.10.0.0" }
  }
  expect_failures = [var.network]
}

run "a_perimeter_has_a_full_name" {
  command = plan
  variables {
    perimeter = "tuning"
  }
  expect_failures = [var.perimeter]
}

run "three_days_are_too_short_for_soft_deletion" {
  command = plan
  variables {
    buckets = { datasets = { soft_delete_days = 3 } }
  }
  expect_failures = [var.buckets]
}

run "logs_are_kept_for_a_day_at_least" {
  command = plan
  variables {
    logging = { retention_days = 0 }
  }
  expect_failures = [var.logging]
}

run "numbers_of_github_come_in_pairs" {
  command = plan
  variables {
    ci = { repository = "acme/tuner", repository_id = "456789" }
  }
  expect_failures = [var.ci]
}

run "nothing_goes_the_moment_it_comes" {
  command = plan
  variables {
    buckets = { datasets = { delete_age_days = 0 } }
  }
  expect_failures = [var.buckets]
}

run "nothing_that_was_overwritten_is_lost_at_once" {
  command = plan
  variables {
    buckets = { datasets = { noncurrent_days = 0 } }
  }
  expect_failures = [var.buckets]
}
