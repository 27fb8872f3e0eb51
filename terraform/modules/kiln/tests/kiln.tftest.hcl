mock_provider "helm" {}

variables {
  chart     = "../../../helm/kiln"
  namespace = "kiln"
  host      = "kiln.example.com"
}

run "a_try" {
  command = plan
  assert {
    condition     = yamldecode(helm_release.this.values[0]).postgres.bundled && yamldecode(helm_release.this.values[0]).nats.bundled
    error_message = "without anything of one's own the chart brings all"
  }
}

run "production" {
  command = plan
  variables {
    existing_secret = "kiln"
    nats            = { url = "nats://nats-0.nats-headless:4222", replicas = 3 }
    tls_secret      = "certificate"
    executor        = { slots = 24, memory_gib = 16 }
    images = {
      services = { repository = "registry.example.com/kiln", digest = "sha256:1111111111111111111111111111111111111111111111111111111111111111" }
      executor = { repository = "registry.example.com/kiln-executor", digest = "sha256:2222222222222222222222222222222222222222222222222222222222222222" }
    }
  }
  assert {
    condition     = yamldecode(helm_release.this.values[0]).secrets.existingSecret == "kiln" && !yamldecode(helm_release.this.values[0]).postgres.bundled
    error_message = "the Secret says where Postgres is"
  }
  assert {
    condition     = startswith(yamldecode(helm_release.this.values[1]).image.digest, "sha256:1111") && output.url == "https://kiln.example.com"
    error_message = "images by digest, people by TLS"
  }
}

run "nats_without_a_secret_is_refused" {
  command = plan
  variables { nats = { url = "nats://n:4222", replicas = 3 } }
  expect_failures = [helm_release.this]
}

run "copies_without_servers_are_refused" {
  command = plan
  variables { nats = { url = "", replicas = 3 } }
  expect_failures = [var.nats]
}

run "more_slots_than_memory_is_refused" {
  command = plan
  variables { executor = { slots = 64, memory_gib = 4 } }
  expect_failures = [var.executor]
}

run "a_registry_without_a_version_is_refused" {
  command = plan
  variables { chart = "oci://registry.example.com/charts/kiln" }
  expect_failures = [var.chart_version]
}
