output "name" {
  description = "Name of the cluster."
  value       = google_container_cluster.this.name
}

output "endpoint" {
  description = "Address of the API server."
  value       = "https://${google_container_cluster.this.endpoint}"
}

output "certificate_authority" {
  description = "Its certificate authority, PEM in base64."
  value       = one(google_container_cluster.this.master_auth[*].cluster_ca_certificate)
}

output "network_id" {
  description = "Network of the nodes, for what is to be reached from there."
  value       = google_compute_network.this.id
}
