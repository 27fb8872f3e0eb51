# A cluster in containers on this machine, for trying; needs Docker and the command `kind`.
locals {
  configuration = {
    kind       = "Cluster"
    apiVersion = "kind.x-k8s.io/v1alpha4"
    nodes      = [{ role = "control-plane" }]
  }
}

resource "terraform_data" "cluster" {
  triggers_replace = [var.name, var.node_image]
  input            = { name = var.name, kubeconfig = var.kubeconfig }

  provisioner "local-exec" {
    command = "printf '%s' \"$CONFIGURATION\" | kind create cluster --name \"$NAME\" --kubeconfig \"$FILE\" --config - --wait 120s $${IMAGE:+--image \"$IMAGE\"}"
    environment = {
      CONFIGURATION = jsonencode(local.configuration)
      NAME          = var.name
      FILE          = var.kubeconfig
      IMAGE         = var.node_image
    }
  }
  provisioner "local-exec" {
    when    = destroy
    command = "kind delete cluster --name \"$NAME\" --kubeconfig \"$FILE\""
    environment = {
      NAME = self.output.name
      FILE = self.output.kubeconfig
    }
  }
}
