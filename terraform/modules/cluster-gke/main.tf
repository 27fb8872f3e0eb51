# A private GKE cluster over the zones of a region, with nodes for the services, nodes that only executors use, and, where asked for,
# nodes whose pods run under gVisor.
locals {
  pools = merge(
    {
      system    = { machine = var.system.machine_type, min = var.system.min, max = var.system.max, disk = 50, own = false, sandbox = false }
      executors = { machine = var.executors.machine_type, min = var.executors.min, max = var.executors.max, disk = var.executors.disk_gib, own = true, sandbox = false }
    },
    var.tenants.max == 0 ? {} : {
      tenants = { machine = var.tenants.machine_type, min = 0, max = var.tenants.max, disk = 100, own = false, sandbox = true }
    },
  )
}

resource "google_compute_network" "this" {
  project                 = var.project
  name                    = var.name
  auto_create_subnetworks = false
}

resource "google_compute_subnetwork" "this" {
  project                  = var.project
  name                     = var.name
  region                   = var.region
  network                  = google_compute_network.this.id
  ip_cidr_range            = var.ranges.nodes
  private_ip_google_access = true
  secondary_ip_range {
    range_name    = "pods"
    ip_cidr_range = var.ranges.pods
  }
  secondary_ip_range {
    range_name    = "services"
    ip_cidr_range = var.ranges.services
  }
}

resource "google_compute_router" "this" {
  project = var.project
  name    = var.name
  region  = var.region
  network = google_compute_network.this.id
}

resource "google_compute_router_nat" "this" {
  project                            = var.project
  name                               = var.name
  region                             = var.region
  router                             = google_compute_router.this.name
  nat_ip_allocate_option             = "AUTO_ONLY"
  source_subnetwork_ip_ranges_to_nat = "ALL_SUBNETWORKS_ALL_IP_RANGES"
}

# The nodes may write logs and metrics and read images, nothing else.
resource "google_service_account" "nodes" {
  project      = var.project
  account_id   = "${var.name}-nodes"
  display_name = "Nodes of ${var.name}"
}

resource "google_project_iam_member" "nodes" {
  for_each = toset(["roles/container.defaultNodeServiceAccount", "roles/artifactregistry.reader"])
  project  = var.project
  role     = each.value
  member   = "serviceAccount:${google_service_account.nodes.email}"
}

resource "google_container_cluster" "this" {
  project                  = var.project
  name                     = var.name
  location                 = var.region
  network                  = google_compute_network.this.id
  subnetwork               = google_compute_subnetwork.this.id
  networking_mode          = "VPC_NATIVE"
  datapath_provider        = "ADVANCED_DATAPATH" # network policies in force
  remove_default_node_pool = true
  initial_node_count       = 1
  deletion_protection      = true
  enable_shielded_nodes    = true
  resource_labels          = var.labels

  release_channel {
    channel = "REGULAR"
  }
  ip_allocation_policy {
    cluster_secondary_range_name  = "pods"
    services_secondary_range_name = "services"
  }
  private_cluster_config {
    enable_private_nodes    = true
    enable_private_endpoint = false
    master_ipv4_cidr_block  = "172.16.0.0/28"
  }
  master_authorized_networks_config {
    dynamic "cidr_blocks" {
      for_each = var.administrators_cidrs
      content {
        display_name = cidr_blocks.key
        cidr_block   = cidr_blocks.value
      }
    }
  }
  workload_identity_config {
    workload_pool = "${var.project}.svc.id.goog"
  }
}

# GKE Sandbox is in the provider's preview.
resource "google_container_node_pool" "this" {
  provider = google-beta
  for_each = local.pools
  project  = var.project
  name     = each.key
  location = var.region
  cluster  = google_container_cluster.this.name

  initial_node_count = max(each.value.min, 1)
  autoscaling {
    min_node_count = each.value.min
    max_node_count = each.value.max
  }
  management {
    auto_repair  = true
    auto_upgrade = true
  }
  node_config {
    machine_type    = each.value.machine
    disk_size_gb    = each.value.disk
    disk_type       = "pd-balanced"
    image_type      = each.value.sandbox ? "COS_CONTAINERD" : each.value.own ? "UBUNTU_CONTAINERD" : "COS_CONTAINERD"
    service_account = google_service_account.nodes.email
    oauth_scopes    = ["https://www.googleapis.com/auth/cloud-platform"]
    labels          = each.value.own ? { "kiln/executor" = "true" } : {}
    resource_labels = var.labels
    shielded_instance_config {
      enable_secure_boot = true
    }
    workload_metadata_config {
      mode = "GKE_METADATA"
    }
    dynamic "taint" {
      for_each = each.value.own ? ["kiln/executor"] : []
      content {
        key    = taint.value
        value  = "true"
        effect = "NO_SCHEDULE"
      }
    }
    dynamic "sandbox_config" {
      for_each = each.value.sandbox ? ["gvisor"] : []
      content {
        sandbox_type = sandbox_config.value
      }
    }
  }
  lifecycle {
    ignore_changes = [initial_node_count]
  }
  depends_on = [google_project_iam_member.nodes]
}
