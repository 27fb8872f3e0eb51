mock_provider "aws" {}

variables {
  name  = "kiln"
  zones = ["eu-central-1a", "eu-central-1b", "eu-central-1c"]
}

run "a_gateway_in_every_zone" {
  command = plan
  assert {
    condition     = length(aws_nat_gateway.this) == 3 && length(aws_subnet.private) == 3
    error_message = "three zones, three gateways, three private subnets"
  }
  assert {
    condition     = length(distinct(concat([for subnet in aws_subnet.private : subnet.cidr_block], [for subnet in aws_subnet.public : subnet.cidr_block]))) == 6
    error_message = "subnets must not overlap"
  }
}

run "one_gateway_for_all" {
  command = plan
  variables { nat_per_zone = false }
  assert {
    condition     = length(aws_nat_gateway.this) == 1 && length(aws_route.private) == 3
    error_message = "one gateway serves all zones"
  }
}

run "one_zone_is_refused" {
  command = plan
  variables { zones = ["eu-central-1a"] }
  expect_failures = [var.zones]
}

run "a_small_range_is_refused" {
  command = plan
  variables { cidr = "10.0.0.0/24" }
  expect_failures = [var.cidr]
}
