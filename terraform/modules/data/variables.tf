variable "name" {
  description = "Name of the database server."
  type        = string
}

variable "vpc_id" {
  description = "Network that it is in."
  type        = string
}

variable "subnet_ids" {
  description = "Private subnets, in at least two zones."
  type        = list(string)
  validation {
    condition     = length(var.subnet_ids) >= 2
    error_message = "subnet_ids: at least two."
  }
}

variable "client_security_group_ids" {
  description = "Groups that may connect: that of the nodes."
  type        = list(string)
}

variable "instance_class" {
  description = "Size of the server."
  type        = string
  default     = "db.m7g.large"
}

variable "storage_gib" {
  description = "Disk, and the size that it may grow to by itself."
  type        = object({ begin = number, most = number })
  default     = { begin = 50, most = 500 }
  validation {
    condition     = var.storage_gib.begin >= 20 && var.storage_gib.most > var.storage_gib.begin
    error_message = "storage_gib: begin at 20 or more, and most above it."
  }
}

variable "highly_available" {
  description = "A second server in another zone that takes over."
  type        = bool
  default     = true
}

variable "backup_days" {
  description = "Days for which every moment can be restored."
  type        = number
  default     = 14
  validation {
    condition     = var.backup_days >= 1 && var.backup_days <= 35
    error_message = "backup_days: 1 to 35."
  }
}

variable "tags" {
  description = "Tags of everything."
  type        = map(string)
  default     = {}
}
