# Second state: what changes with every release.
variable "infra_state" {
  description = "Where the first state lies."
  type        = object({ bucket = string, prefix = string })
}

variable "database_urls" {
  description = "Addresses of Postgres by role: owner, auth, scheduler, result."
  type        = map(string)
  sensitive   = true
}

variable "host" {
  description = "Name under which people reach Kiln."
  type        = string
}

variable "tls_secret" {
  description = "Secret with the certificate."
  type        = string
}

variable "chart" {
  description = "The released chart, such as oci://ghcr.io/<owner>/charts/kiln."
  type        = string
}

variable "chart_version" {
  description = "Version of the released chart."
  type        = string
}

data "terraform_remote_state" "infra" {
  backend = "gcs"
  config  = { bucket = var.infra_state.bucket, prefix = var.infra_state.prefix }
}

data "google_client_config" "this" {}

locals {
  cluster = {
    host                   = data.terraform_remote_state.infra.outputs.cluster.endpoint
    cluster_ca_certificate = base64decode(data.terraform_remote_state.infra.outputs.cluster.certificate_authority)
    token                  = data.google_client_config.this.access_token
  }
}

provider "kubernetes" {
  host                   = local.cluster.host
  cluster_ca_certificate = local.cluster.cluster_ca_certificate
  token                  = local.cluster.token
}

provider "helm" {
  kubernetes = local.cluster
}

module "bootstrap" {
  source          = "../../../modules/bootstrap"
  database_urls   = var.database_urls
  nats            = { servers = 3, disk_gib = 20, storage_class = "premium-rwo" }
  nats_users_file = "${path.module}/../../../../helm/kiln/files/nats-users.json"
}

module "kiln" {
  source          = "../../../modules/kiln"
  chart           = var.chart
  chart_version   = var.chart_version
  namespace       = module.bootstrap.namespace
  existing_secret = module.bootstrap.existing_secret
  nats            = module.bootstrap.nats
  host            = var.host
  ingress_class   = "gce"
  tls_secret      = var.tls_secret
  executor        = { slots = 64, disk_gib = 200, memory_gib = 28 }
}

output "url" {
  description = "Where people reach it."
  value       = module.kiln.url
}
