// Validates Kubernetes objects, as a JSON array on standard input, by the schemas of their operators; prints what is wrong.
import { HTTPRoute } from "@kubernetes-models/gateway-api/gateway.networking.k8s.io/v1/HTTPRoute";
import { ScaledObject } from "@kubernetes-models/keda/keda.sh/v1alpha1/ScaledObject";
import { PrometheusRule } from "@kubernetes-models/prometheus-operator/monitoring.coreos.com/v1/PrometheusRule";
import { ServiceMonitor } from "@kubernetes-models/prometheus-operator/monitoring.coreos.com/v1/ServiceMonitor";

const kinds = { HTTPRoute, ScaledObject, PrometheusRule, ServiceMonitor };
let text = "";
for await (const piece of process.stdin) text += piece;
for (const object of JSON.parse(text)) {
  const place = `${object.kind} ${object.metadata.name}`;
  const Kind = kinds[object.kind];
  if (!Kind) {
    console.log(`${place}: no schema`);
    continue;
  }
  try {
    new Kind(object).validate();
  } catch (error) {
    console.log(`${place}: ${error.message}`);
  }
}
