# First state: network and cluster. Postgres is one's own here (Cloud SQL with a private address, or any other): its addresses go to app.
variable "project" {
  description = "Project that pays for it."
  type        = string
}

variable "region" {
  description = "Region of Google Cloud."
  type        = string
}

variable "administrators_cidrs" {
  description = "Who may reach the API server from outside, by name."
  type        = map(string)
}

provider "google" {
  project = var.project
  region  = var.region
}

provider "google-beta" {
  project = var.project
  region  = var.region
}

module "cluster" {
  source               = "../../../modules/cluster-gke"
  name                 = "kiln"
  project              = var.project
  region               = var.region
  administrators_cidrs = var.administrators_cidrs
  labels               = { application = "kiln", managed-by = "terraform" }
}

output "cluster" {
  description = "Access to the cluster but for the token."
  value       = { endpoint = module.cluster.endpoint, certificate_authority = module.cluster.certificate_authority }
}
