variable "name" {
  description = "Name of the cluster."
  type        = string
  default     = "kiln"
  validation {
    condition     = can(regex("^[a-z0-9.-]+$", var.name))
    error_message = "name: lower-case letters, digits, dots and hyphens."
  }
}

variable "node_image" {
  description = "Image of the nodes, such as kindest/node:v1.34.0; that of the installed kind unless set."
  type        = string
  default     = ""
}

variable "kubeconfig" {
  description = "File that the access to the cluster is written to."
  type        = string
}
