output "namespace" {
  description = "Namespace of Kiln."
  value       = kubernetes_namespace_v1.this.metadata[0].name
}

output "existing_secret" {
  description = "Name of the Secret for the chart; empty when the chart makes its own."
  value       = local.own_secret ? kubernetes_secret_v1.this[0].metadata[0].name : ""
}

output "nats" {
  description = "Address and copies of each stream for the chart; an empty address when the chart brings its own."
  value = {
    url      = var.nats.servers > 0 ? join(",", [for at in range(var.nats.servers) : "nats://nats-${at}.nats-headless.${var.namespace}.svc:4222"]) : ""
    replicas = var.nats.servers > 0 ? 3 : 1
  }
}

output "priority_class" {
  description = "Priority class of Kiln's pods."
  value       = kubernetes_priority_class_v1.this.metadata[0].name
}
