variable "name" {
  description = "Name of the network, and prefix of what is in it."
  type        = string
  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{1,30}$", var.name))
    error_message = "name: a lower-case letter, then letters, digits and hyphens, at most 31 in all."
  }
}

variable "cidr" {
  description = "Address range; a /16 has room for every pod to have an address of its own."
  type        = string
  default     = "10.60.0.0/16"
  validation {
    condition     = can(cidrnetmask(var.cidr)) && tonumber(split("/", var.cidr)[1]) <= 20
    error_message = "cidr: an IPv4 range of /20 or larger."
  }
}

variable "zones" {
  description = "Availability zones, at least two."
  type        = list(string)
  validation {
    condition     = length(var.zones) >= 2 && length(var.zones) == length(distinct(var.zones))
    error_message = "zones: at least two different ones."
  }
}

variable "nat_per_zone" {
  description = "A NAT gateway in every zone. One for all is cheaper, and one zone's failure then cuts the others off."
  type        = bool
  default     = true
}

variable "tags" {
  description = "Tags of everything."
  type        = map(string)
  default     = {}
}
