variable "name" {
  description = "Name of the cluster."
  type        = string
}

variable "kubernetes_version" {
  description = "Minor version of Kubernetes; the chart takes 1.31 and newer."
  type        = string
  default     = "1.34"
  validation {
    condition     = can(regex("^1\\.[0-9]+$", var.kubernetes_version)) && tonumber(split(".", var.kubernetes_version)[1]) >= 31
    error_message = "kubernetes_version: 1.31 or newer, as 1.NN."
  }
}

variable "subnet_ids" {
  description = "Private subnets, in at least two zones."
  type        = list(string)
  validation {
    condition     = length(var.subnet_ids) >= 2
    error_message = "subnet_ids: at least two."
  }
}

variable "public_access_cidrs" {
  description = "Who may reach the API server from outside of the network; nobody when empty."
  type        = list(string)
  default     = []
  validation {
    condition     = !contains(var.public_access_cidrs, "0.0.0.0/0")
    error_message = "public_access_cidrs: name your networks, not the whole internet."
  }
}

variable "administrators" {
  description = "ARNs of the roles that administer the cluster."
  type        = list(string)
  default     = []
}

variable "system" {
  description = "Nodes of the services: kind of machine, and how many."
  type        = object({ instance_type = string, min = number, max = number })
  default     = { instance_type = "m7i.large", min = 2, max = 6 }
  validation {
    condition     = var.system.min >= 1 && var.system.max >= var.system.min
    error_message = "system: max must not be below min."
  }
}

variable "executors" {
  description = "Nodes that only executors use (tainted kiln/executor): their privileged pods are root there. disk_gib holds images and sandboxes."
  type        = object({ instance_type = string, min = number, max = number, disk_gib = number })
  default     = { instance_type = "m7i.2xlarge", min = 1, max = 8, disk_gib = 200 }
  validation {
    condition     = var.executors.min >= 0 && var.executors.max >= var.executors.min && var.executors.disk_gib >= 50
    error_message = "executors: max must not be below min, and disk_gib not below 50."
  }
}

variable "tags" {
  description = "Tags of everything."
  type        = map(string)
  default     = {}
}
