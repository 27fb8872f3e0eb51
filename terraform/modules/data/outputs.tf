output "urls" {
  description = "Addresses by role, for the keys database-<role>-url of the chart's Secret."
  sensitive   = true
  value = {
    for role, password in random_password.this :
    role => "postgres://${role == "owner" ? "kiln" : "kiln_${role}"}:${password.result}@${aws_db_instance.this.endpoint}/kiln?sslmode=require"
  }
}

output "endpoint" {
  description = "Host and port."
  value       = aws_db_instance.this.endpoint
}
