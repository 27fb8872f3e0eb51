variables {
  kubeconfig = "kubeconfig"
}

run "named" {
  command = plan
  assert {
    condition     = terraform_data.cluster.input == { name = "kiln", kubeconfig = "kubeconfig" }
    error_message = "the cluster has the name and the file that were given"
  }
}

run "a_bad_name_is_refused" {
  command = plan
  variables { name = "Not a name" }
  expect_failures = [var.name]
}
