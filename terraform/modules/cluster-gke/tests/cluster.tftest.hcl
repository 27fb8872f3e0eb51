mock_provider "google" {}
mock_provider "google-beta" {}

variables {
  name    = "kiln"
  project = "example"
  region  = "europe-west3"
}

run "private_with_policies" {
  command = plan
  assert {
    condition     = google_container_cluster.this.private_cluster_config[0].enable_private_nodes && google_container_cluster.this.datapath_provider == "ADVANCED_DATAPATH"
    error_message = "nodes have no public address, and policies are in force"
  }
  assert {
    condition     = join(" ", keys(google_container_node_pool.this)) == "executors system" && one(google_container_node_pool.this["executors"].node_config[0].taint).key == "kiln/executor"
    error_message = "executors have nodes of their own, and there are no others"
  }
}

run "gvisor_for_tenants" {
  command = plan
  variables { tenants = { machine_type = "c3-standard-8", max = 10 } }
  assert {
    condition     = google_container_node_pool.this["tenants"].node_config[0].sandbox_config[0].sandbox_type == "gvisor"
    error_message = "tenants' nodes run GKE Sandbox"
  }
}

run "everybody_is_refused" {
  command = plan
  variables { administrators_cidrs = { all = "0.0.0.0/0" } }
  expect_failures = [var.administrators_cidrs]
}
