# What must be in the cluster before Kiln: its namespace, its Secret, its NATS.
locals {
  own_secret = length(nonsensitive(keys(var.database_urls))) > 0 || var.nats.servers > 0
  users      = jsondecode(file(var.nats_users_file))
  passwords  = { for user, password in random_password.nats : "nats-${user}-password" => "k${password.result}" }
}

resource "kubernetes_namespace_v1" "this" {
  metadata {
    name = var.namespace
    labels = {
      # The executor makes its sandboxes itself, in a privileged pod.
      "pod-security.kubernetes.io/enforce" = "privileged"
      "pod-security.kubernetes.io/warn"    = "baseline"
    }
  }
}

resource "kubernetes_priority_class_v1" "this" {
  metadata {
    name = "kiln"
  }
  description = "Kiln's services and executors"
  value       = var.executor_priority
}

# They begin with a letter when they are used: NATS takes what looks like a number for one.
resource "random_password" "nats" {
  for_each = toset([for user in local.users : user.user])
  length   = 39
  special  = false
}

resource "random_bytes" "secret_key" {
  length = 32
}

resource "kubernetes_secret_v1" "this" {
  count = local.own_secret ? 1 : 0
  metadata {
    name      = "kiln"
    namespace = kubernetes_namespace_v1.this.metadata[0].name
  }
  data = merge(
    local.passwords,
    { "auth-secret-keys" = "${random_bytes.secret_key.base64}\n" },
    { for role, url in var.database_urls : "database-${role}-url" => url },
  )
  lifecycle {
    precondition {
      condition     = length(nonsensitive(keys(var.database_urls))) > 0
      error_message = "database_urls: a NATS of its own wants a Secret of its own, and that wants the addresses of Postgres; give them, or set nats.servers = 0."
    }
    # A key that is turned over by hand stays.
    ignore_changes = [data["auth-secret-keys"]]
  }
}

resource "helm_release" "nats" {
  count      = var.nats.servers > 0 ? 1 : 0
  name       = "nats"
  namespace  = kubernetes_namespace_v1.this.metadata[0].name
  repository = "https://nats-io.github.io/k8s/helm/charts/"
  chart      = "nats"
  version    = var.nats.chart_version
  atomic     = true
  values = [yamlencode({
    config = {
      cluster = { enabled = true, replicas = var.nats.servers }
      jetstream = {
        enabled = true
        fileStore = {
          pvc = { size = "${var.nats.disk_gib}Gi", storageClassName = var.nats.storage_class }
        }
        merge = { sync_interval = "always" }
      }
      merge = {
        max_payload = "<< 8MB >>"
        authorization = {
          users = [for user in local.users : {
            user        = user.user
            password    = "<< $NATS_${upper(user.user)}_PASSWORD >>"
            permissions = user.permissions
          }]
        }
      }
    }
    container = {
      env = { for user in local.users : "NATS_${upper(user.user)}_PASSWORD" => {
        valueFrom = { secretKeyRef = { name = "kiln", key = "nats-${user.user}-password" } }
      } }
    }
    podTemplate = {
      topologySpreadConstraints = { "kubernetes.io/hostname" = { maxSkew = 1, whenUnsatisfiable = "DoNotSchedule" } }
    }
    natsBox = { enabled = false }
  })]
  depends_on = [kubernetes_secret_v1.this]
}
