# Kiln itself: the chart, with what the other modules made.
locals {
  images = [for images in var.images[*] : yamlencode({
    image    = { repository = images.services.repository, digest = images.services.digest }
    executor = { image = { repository = images.executor.repository, digest = images.executor.digest } }
  })]
  own_nodes = {
    nodeSelector = { "kiln/executor" = "true" }
    tolerations  = [{ key = "kiln/executor", operator = "Exists", effect = "NoSchedule" }]
  }
  executor = merge(
    {
      settings    = { for slots in var.executor.slots[*] : "slots" => slots }
      persistence = { size = "${var.executor.disk_gib}Gi", storageClass = "" }
      resources = {
        requests = { cpu = "1", memory = "${min(2, var.executor.memory_gib)}Gi" }
        limits   = { memory = "${var.executor.memory_gib}Gi" }
      }
    },
    { for key, value in local.own_nodes : key => value if var.executor.own_nodes },
  )
  values = {
    secrets    = { existingSecret = var.existing_secret }
    postgres   = { bundled = var.existing_secret == "" }
    nats       = { bundled = var.nats.url == "", url = var.nats.url, replicas = var.nats.replicas }
    ingress    = { enabled = true, host = var.host, className = var.ingress_class, tlsSecret = var.tls_secret }
    executor   = local.executor
    monitoring = { for part in ["serviceMonitor", "prometheusRule", "dashboards"] : part => { enabled = var.monitoring } }
  }
}

resource "helm_release" "this" {
  name         = "kiln"
  namespace    = var.namespace
  chart        = var.chart
  version      = var.chart_version
  atomic       = true
  timeout      = 900
  force_update = false
  values       = concat([yamlencode(local.values)], local.images, var.values)

  lifecycle {
    precondition {
      condition     = var.nats.url == "" || var.existing_secret != ""
      error_message = "existing_secret: an external NATS has accounts whose passwords the chart must be given in a Secret."
    }
  }
}
