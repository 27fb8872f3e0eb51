# First state: what lives long. Network, cluster, database.
variable "region" {
  description = "Region of AWS."
  type        = string
}

variable "zones" {
  description = "Its availability zones that are used."
  type        = list(string)
}

variable "name" {
  description = "Name of everything."
  type        = string
  default     = "kiln"
}

variable "administrators" {
  description = "ARNs of the roles that administer the cluster."
  type        = list(string)
}

variable "public_access_cidrs" {
  description = "Who may reach the API server from outside."
  type        = list(string)
  default     = []
}

locals {
  tags = { application = var.name, managed-by = "terraform" }
}

provider "aws" {
  region = var.region
}

module "network" {
  source = "../../../modules/network"
  name   = var.name
  zones  = var.zones
  tags   = local.tags
}

module "cluster" {
  source              = "../../../modules/cluster-eks"
  name                = var.name
  subnet_ids          = module.network.private_subnet_ids
  administrators      = var.administrators
  public_access_cidrs = var.public_access_cidrs
  tags                = local.tags
}

module "data" {
  source                    = "../../../modules/data"
  name                      = var.name
  vpc_id                    = module.network.vpc_id
  subnet_ids                = module.network.private_subnet_ids
  client_security_group_ids = [module.cluster.node_security_group_id]
  tags                      = local.tags
}

output "cluster" {
  description = "Name of the cluster."
  value       = module.cluster.name
}

output "database_urls" {
  description = "Addresses of Postgres by role."
  value       = module.data.urls
  sensitive   = true
}
