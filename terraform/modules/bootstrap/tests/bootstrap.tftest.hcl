mock_provider "helm" {}
mock_provider "kubernetes" {}
mock_provider "random" {}

variables {
  nats_users_file = "../../../helm/kiln/files/nats-users.json"
}

run "a_cluster_of_nats_with_the_accounts_of_the_code" {
  command = apply
  variables {
    database_urls = { owner = "postgres://o", auth = "postgres://a", scheduler = "postgres://s", result = "postgres://r" }
  }
  assert {
    condition     = length(yamldecode(helm_release.nats[0].values[0]).config.merge.authorization.users) == 5
    error_message = "operator and four services have an account"
  }
  assert {
    condition     = join(" ", keys(kubernetes_secret_v1.this[0].data)) == "auth-secret-keys database-auth-url database-owner-url database-result-url database-scheduler-url nats-auth-password nats-executor-password nats-operator-password nats-result-password nats-scheduler-password"
    error_message = "the Secret has every key that the chart reads"
  }
  assert {
    condition     = output.existing_secret == "kiln" && length(split(",", output.nats.url)) == 3 && output.nats.replicas == 3
    error_message = "the chart is told of both"
  }
}

run "a_small_one_uses_the_charts_own" {
  command = apply
  variables { nats = { servers = 0, disk_gib = 20 } }
  assert {
    condition     = length(helm_release.nats) == 0 && output.existing_secret == "" && output.nats.url == ""
    error_message = "nothing but the namespace"
  }
}

run "nats_without_a_database_is_refused" {
  command         = plan
  expect_failures = [kubernetes_secret_v1.this]
}

run "half_of_the_addresses_is_refused" {
  command = plan
  variables { database_urls = { owner = "postgres://o" } }
  expect_failures = [var.database_urls]
}

run "two_servers_are_refused" {
  command = plan
  variables { nats = { servers = 2, disk_gib = 20 } }
  expect_failures = [var.nats]
}
