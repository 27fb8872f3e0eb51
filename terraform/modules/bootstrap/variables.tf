variable "namespace" {
  description = "Namespace of Kiln."
  type        = string
  default     = "kiln"
}

variable "database_urls" {
  description = "Addresses of Postgres by role (owner, auth, scheduler, result); none: the chart's own Postgres is used, and its Secret is made by the chart."
  type        = map(string)
  default     = {}
  sensitive   = true
  validation {
    condition     = length(var.database_urls) == 0 || toset(keys(var.database_urls)) == toset(["auth", "owner", "result", "scheduler"])
    error_message = "database_urls: all of owner, auth, scheduler and result, or none."
  }
}

variable "nats" {
  description = "A NATS cluster of its own: how many servers, and their disks. None when servers is 0: then the chart's own is used."
  type        = object({ servers = number, disk_gib = number, storage_class = optional(string), chart_version = optional(string, "2.12.1") })
  default     = { servers = 3, disk_gib = 20 }
  validation {
    condition     = contains([0, 3, 5], var.nats.servers) && var.nats.disk_gib >= 20
    error_message = "nats: 0, 3 or 5 servers, each with at least 20 GiB (the streams reserve 15)."
  }
}

variable "nats_users_file" {
  description = "Accounts as `kiln nats-config` prints them: helm/kiln/files/nats-users.json."
  type        = string
}

variable "executor_priority" {
  description = "Priority of executors and services over what else runs in the cluster."
  type        = number
  default     = 100000
}
