variable "name" {
  description = "Name of the cluster, and prefix of what belongs to it."
  type        = string
  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{1,20}$", var.name))
    error_message = "name: a lower-case letter, then letters, digits and hyphens, at most 21 in all."
  }
}

variable "project" {
  description = "Project that pays for it."
  type        = string
}

variable "region" {
  description = "Region; the control plane and the nodes are in its zones."
  type        = string
}

variable "administrators_cidrs" {
  description = "Who may reach the API server from outside, by name."
  type        = map(string)
  default     = {}
  validation {
    condition     = !contains(values(var.administrators_cidrs), "0.0.0.0/0")
    error_message = "administrators_cidrs: name your networks, not the whole internet."
  }
}

variable "ranges" {
  description = "Address ranges of nodes, pods and services."
  type        = object({ nodes = string, pods = string, services = string })
  default     = { nodes = "10.70.0.0/20", pods = "10.72.0.0/14", services = "10.71.0.0/20" }
}

variable "system" {
  description = "Nodes of the services: kind of machine, and how many in each zone."
  type        = object({ machine_type = string, min = number, max = number })
  default     = { machine_type = "e2-standard-4", min = 1, max = 3 }
  validation {
    condition     = var.system.max >= var.system.min
    error_message = "system: max must not be below min."
  }
}

variable "executors" {
  description = "Nodes that only executors use (tainted kiln/executor): their privileged pods are root there."
  type        = object({ machine_type = string, min = number, max = number, disk_gib = number })
  default     = { machine_type = "c3-standard-8", min = 0, max = 4, disk_gib = 200 }
  validation {
    condition     = var.executors.max >= var.executors.min && var.executors.disk_gib >= 50
    error_message = "executors: max must not be below min, and disk_gib not below 50."
  }
}

variable "tenants" {
  description = "Nodes for tenants' pods under GKE Sandbox (gVisor); none when max is 0. For the executor that runs programs in pods."
  type        = object({ machine_type = string, max = number })
  default     = { machine_type = "c3-standard-8", max = 0 }
}

variable "labels" {
  description = "Labels of everything."
  type        = map(string)
  default     = {}
}
