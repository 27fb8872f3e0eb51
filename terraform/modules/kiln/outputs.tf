output "url" {
  description = "Where people reach it."
  value       = "${var.tls_secret == "" ? "http" : "https"}://${var.host}"
}

output "version" {
  description = "Version that runs."
  value       = helm_release.this.metadata.app_version
}
