# Second state: what changes with every release. It reads of the first what it needs.
variable "region" {
  description = "Region of AWS."
  type        = string
}

variable "infra_state" {
  description = "Where the first state lies."
  type        = object({ bucket = string, key = string })
}

variable "host" {
  description = "Name under which people reach Kiln."
  type        = string
}

variable "ingress_class" {
  description = "Class of the Ingress."
  type        = string
}

variable "tls_secret" {
  description = "Secret with the certificate."
  type        = string
}

variable "chart_version" {
  description = "Version of the released chart."
  type        = string
}

variable "chart" {
  description = "The released chart, such as oci://ghcr.io/<owner>/charts/kiln."
  type        = string
}

provider "aws" {
  region = var.region
}

data "terraform_remote_state" "infra" {
  backend = "s3"
  config  = { bucket = var.infra_state.bucket, key = var.infra_state.key, region = var.region }
}

data "aws_eks_cluster" "this" {
  name = data.terraform_remote_state.infra.outputs.cluster
}

data "aws_eks_cluster_auth" "this" {
  name = data.aws_eks_cluster.this.name
}

locals {
  cluster = {
    host                   = data.aws_eks_cluster.this.endpoint
    cluster_ca_certificate = base64decode(data.aws_eks_cluster.this.certificate_authority[0].data)
    token                  = data.aws_eks_cluster_auth.this.token
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

resource "kubernetes_storage_class_v1" "fast" {
  metadata {
    name = "kiln-gp3"
  }
  storage_provisioner    = "ebs.csi.aws.com"
  volume_binding_mode    = "WaitForFirstConsumer"
  reclaim_policy         = "Retain"
  allow_volume_expansion = true
  parameters             = { type = "gp3", encrypted = "true" }
}

module "bootstrap" {
  source          = "../../../modules/bootstrap"
  database_urls   = data.terraform_remote_state.infra.outputs.database_urls
  nats            = { servers = 3, disk_gib = 20, storage_class = kubernetes_storage_class_v1.fast.metadata[0].name }
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
  ingress_class   = var.ingress_class
  tls_secret      = var.tls_secret
  executor        = { slots = 64, disk_gib = 200, memory_gib = 28 }
  monitoring      = true
  values = [yamlencode({
    executor = { persistence = { size = "200Gi", storageClass = kubernetes_storage_class_v1.fast.metadata[0].name }, priorityClassName = module.bootstrap.priority_class }
  })]
}

output "url" {
  description = "Where people reach it."
  value       = module.kiln.url
}
