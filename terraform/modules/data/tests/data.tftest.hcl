mock_provider "aws" {
  mock_resource "aws_db_instance" {
    defaults = { endpoint = "kiln.example.internal:5432" }
  }
  mock_resource "aws_kms_key" {
    defaults = { arn = "arn:aws:kms:eu-central-1:123456789012:key/00000000-0000-0000-0000-000000000000" }
  }
}
mock_provider "random" {}

variables {
  name                      = "kiln"
  vpc_id                    = "vpc-1"
  subnet_ids                = ["subnet-1", "subnet-2"]
  client_security_group_ids = ["sg-nodes"]
}

run "private_encrypted_and_kept" {
  command = apply
  assert {
    condition     = aws_db_instance.this.storage_encrypted && !aws_db_instance.this.publicly_accessible && aws_db_instance.this.deletion_protection
    error_message = "the database must be private, encrypted and protected"
  }
  assert {
    condition     = length(aws_vpc_security_group_ingress_rule.clients) == 1 && aws_vpc_security_group_ingress_rule.clients["0"].referenced_security_group_id == "sg-nodes"
    error_message = "only the nodes may connect"
  }
  assert {
    condition     = join(" ", keys(output.urls)) == "auth owner result scheduler" && startswith(output.urls["auth"], "postgres://kiln_auth:") && endswith(output.urls["owner"], "@kiln.example.internal:5432/kiln?sslmode=require")
    error_message = "an address for each role, over TLS"
  }
}

run "a_disk_that_cannot_grow_is_refused" {
  command = plan
  variables { storage_gib = { begin = 100, most = 100 } }
  expect_failures = [var.storage_gib]
}
