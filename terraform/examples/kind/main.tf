# Kiln on a cluster in containers on this machine. First the cluster, since the providers below speak to it:
#   terraform apply -target module.cluster && terraform apply
variable "images" {
  description = "Images that `kind load docker-image` has put on the node, by repository; the tag is `test`."
  type        = object({ services = string, executor = string })
  default     = { services = "registry.example.com/kiln", executor = "registry.example.com/kiln-executor" }
}

module "cluster" {
  source     = "../../modules/cluster-kind"
  kubeconfig = abspath("${path.root}/kubeconfig")
}

provider "kubernetes" {
  config_path    = module.cluster.kubeconfig
  config_context = module.cluster.context
}

provider "helm" {
  kubernetes = { config_path = module.cluster.kubeconfig, config_context = module.cluster.context }
}

module "bootstrap" {
  source          = "../../modules/bootstrap"
  nats            = { servers = 0, disk_gib = 20 }
  nats_users_file = "${path.module}/../../../helm/kiln/files/nats-users.json"
}

module "kiln" {
  source    = "../../modules/kiln"
  chart     = "${path.module}/../../../helm/kiln"
  namespace = module.bootstrap.namespace
  host      = "kiln.localhost"
  executor  = { slots = 8, disk_gib = 4, own_nodes = false, memory_gib = 4 }
  values = [
    file("${path.module}/../../../helm/kiln/ci/small-values.yaml"),
    yamlencode({
      image    = { repository = var.images.services, tag = "test", pullPolicy = "Never" }
      executor = { image = { repository = var.images.executor, tag = "test" } }
    }),
  ]
}

output "url" {
  description = "Where people reach it, once an ingress controller is in the cluster."
  value       = module.kiln.url
}
