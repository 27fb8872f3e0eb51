variable "chart" {
  description = "The chart: a directory, or oci://ghcr.io/<owner>/charts/kiln."
  type        = string
}

variable "chart_version" {
  description = "Version of the chart; needed for oci://, as nobody should run what is newest by chance."
  type        = string
  default     = null
  validation {
    condition     = !startswith(var.chart, "oci://") || var.chart_version != null
    error_message = "chart_version: a chart from a registry wants its version."
  }
}

variable "namespace" {
  description = "Namespace, which is there already."
  type        = string
}

variable "images" {
  description = "Images of the services and the executor, by digest; those of a released chart unless set."
  type        = object({ services = object({ repository = string, digest = string }), executor = object({ repository = string, digest = string }) })
  default     = null
  validation {
    condition     = var.images == null ? true : alltrue([for image in [var.images.services, var.images.executor] : can(regex("^sha256:[0-9a-f]{64}$", image.digest))])
    error_message = "images: a digest is sha256: and 64 hexadecimal digits."
  }
}

variable "host" {
  description = "Name under which people reach it."
  type        = string
}

variable "ingress_class" {
  description = "Class of the Ingress; the cluster's own unless set."
  type        = string
  default     = ""
}

variable "tls_secret" {
  description = "Secret with the certificate; no TLS when empty."
  type        = string
  default     = ""
}

variable "existing_secret" {
  description = "Secret with addresses and passwords; the chart makes one when empty, which needs the chart's own Postgres."
  type        = string
  default     = ""
}

variable "nats" {
  description = "Address of NATS and copies of each stream; the chart's own when the address is empty."
  type        = object({ url = string, replicas = number })
  default     = { url = "", replicas = 1 }
  validation {
    condition     = var.nats.url != "" || var.nats.replicas == 1
    error_message = "nats: the chart's own is one server; more copies want a url."
  }
}

variable "executor" {
  description = "Slots of the executor, its disk, and whether it has nodes of its own (labelled and tainted kiln/executor)."
  type        = object({ slots = optional(number), disk_gib = optional(number, 50), own_nodes = optional(bool, true), memory_gib = optional(number, 8) })
  default     = {}
  validation {
    condition     = var.executor.slots == null ? true : var.executor.slots * 256 <= var.executor.memory_gib * 1024
    error_message = "executor: each slot needs 256 MiB, so memory_gib must hold slots of them."
  }
}

variable "monitoring" {
  description = "ServiceMonitor, alerts and dashboards, for the Prometheus operator and Grafana's sidecar."
  type        = bool
  default     = false
}

variable "values" {
  description = "Further values of the chart, as YAML; later ones win."
  type        = list(string)
  default     = []
}
