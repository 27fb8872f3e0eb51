output "kubeconfig" {
  description = "File with the access to the cluster."
  value       = terraform_data.cluster.output.kubeconfig
}

output "context" {
  description = "Context in it."
  value       = "kind-${terraform_data.cluster.output.name}"
}
