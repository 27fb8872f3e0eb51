mock_provider "aws" {
  mock_resource "aws_eks_cluster" {
    defaults = { certificate_authority = [{ data = "Y2VydGlmaWNhdGU=" }] }
  }
  mock_resource "aws_iam_role" {
    defaults = { arn = "arn:aws:iam::123456789012:role/mock" }
  }
  mock_resource "aws_kms_key" {
    defaults = { arn = "arn:aws:kms:eu-central-1:123456789012:key/00000000-0000-0000-0000-000000000000" }
  }
}

variables {
  name       = "kiln"
  subnet_ids = ["subnet-1", "subnet-2"]
}

run "closed_and_encrypted" {
  command = apply
  assert {
    condition     = !aws_eks_cluster.this.vpc_config[0].endpoint_public_access
    error_message = "the API server must not be reached from outside unless somebody is named"
  }
  assert {
    condition     = aws_eks_cluster.this.encryption_config[0].provider[0].key_arn == aws_kms_key.secrets.arn
    error_message = "secrets must be encrypted by the key"
  }
  assert {
    condition     = alltrue([for template in aws_launch_template.this : template.metadata_options[0].http_tokens == "required" && template.metadata_options[0].http_put_response_hop_limit == 1])
    error_message = "pods must not get the nodes' credentials"
  }
}

run "executors_have_nodes_of_their_own" {
  command = plan
  assert {
    condition     = one(aws_eks_node_group.this["executors"].taint).key == "kiln/executor" && length(aws_eks_node_group.this["system"].taint) == 0
    error_message = "only the nodes of executors are tainted"
  }
}

run "everybody_is_refused" {
  command = plan
  variables { public_access_cidrs = ["0.0.0.0/0"] }
  expect_failures = [var.public_access_cidrs]
}

run "an_old_kubernetes_is_refused" {
  command = plan
  variables { kubernetes_version = "1.29" }
  expect_failures = [var.kubernetes_version]
}

run "fewer_than_none_is_refused" {
  command = plan
  variables { executors = { instance_type = "m7i.large", min = 4, max = 2, disk_gib = 100 } }
  expect_failures = [var.executors]
}
