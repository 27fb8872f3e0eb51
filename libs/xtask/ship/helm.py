"""The chart, rendered by Helm's own engine for every file in ci/: schema, lint, the kinds' own schemas, and what must hold of
every manifest. Values that contradict each other are refused with what to change."""
import json
import logging
import os
import sys

import kubernetes_validate
import yaml
from helm_python.chart import Chart, lint

from checks import ROOT, Faults, kiln, run, skipped

CHART = ROOT / "helm/kiln"
OLDEST, NEWEST = "1.31.0", kubernetes_validate.latest_version()
# Served by operators, not by Kubernetes; the check `helm: custom resources` has their schemas.
CUSTOM = {"ServiceMonitor", "PrometheusRule", "ScaledObject", "HTTPRoute"}
COMPONENTS = ("auth", "scheduler", "result", "web", "executor")


def documents(chart, values, **options):
    rendered = chart.render(values, name="kiln", namespace="kiln", **options)
    found = []
    for path, text in rendered.items():
        if not path.endswith("NOTES.txt"):
            found += [(path, document) for document in yaml.safe_load_all(text) if document]
    return found


def pod_of(document):
    if document["kind"] == "Pod":
        return document
    if document["kind"] in ("Deployment", "StatefulSet", "Job"):
        return document["spec"]["template"]
    return None


def check_kinds(faults, place, found):
    for version in (OLDEST, NEWEST):
        for path, document in found:
            if document["kind"] in CUSTOM:
                continue
            try:
                kubernetes_validate.validate(document, version, strict=True)
            except kubernetes_validate.ValidationError as error:
                faults.add(f"{place} {path} {document['kind']} (Kubernetes {version})", error.message)
            except (kubernetes_validate.InvalidSchemaError, kubernetes_validate.SchemaNotFoundError) as error:
                faults.add(f"{place} {path} {document['kind']} (Kubernetes {version})", f"unknown kind: {error}")


def check_pods(faults, place, found):
    """Every container is hardened, but the one that makes sandboxes; no token, no service links; bounded."""
    for path, document in found:
        pod = pod_of(document)
        if pod is None:
            continue
        where = f"{place} {document['kind']} {document['metadata']['name']}"
        spec = pod["spec"]
        faults.expect(spec.get("automountServiceAccountToken") is False, where, "mounts a token")
        faults.expect(spec.get("enableServiceLinks") is False, where, "has service links")
        for container in spec.get("initContainers", []) + spec["containers"]:
            name, security = container["name"], container.get("securityContext", {})
            faults.expect("@sha256:" in container["image"] or not container["image"].endswith(":latest"), where, f"{name}: no fixed image")
            faults.expect("memory" in container["resources"].get("limits", {}), where, f"{name}: no memory limit")
            faults.expect(set(container["resources"].get("requests", {})) >= {"cpu", "memory"}, where, f"{name}: no requests")
            if name == "executor":
                faults.expect(security.get("privileged") is True, where, "the local sandbox needs a privileged executor")
                continue
            hard = (
                security.get("allowPrivilegeEscalation") is False
                and security.get("readOnlyRootFilesystem") is True
                and security.get("runAsNonRoot") is True
                and security.get("capabilities") == {"drop": ["ALL"]}
            )
            faults.expect(hard, where, f"{name}: is not hardened")


def check_references(faults, place, found, values):
    """What one manifest names in another is there."""
    names = [(document["kind"], document["metadata"]["name"]) for _, document in found]
    for name in {name for name in names if names.count(name) > 1}:
        faults.add(place, f"{name[0]} {name[1]} is there twice")
    present = set(names)
    made = {d["metadata"]["name"]: set(d["data"]) for _, d in found if d["kind"] == "Secret"}
    own = values.get("secrets", {}).get("existingSecret")
    pods = [(d["metadata"]["name"], pod_of(d)) for _, d in found if pod_of(d)]
    for owner, pod in pods:
        for container in pod["spec"].get("initContainers", []) + pod["spec"]["containers"]:
            variables = [entry["name"] for entry in container.get("env", [])]
            for twice in {name for name in variables if variables.count(name) > 1}:
                faults.add(f"{place} {owner}", f"variable {twice} is there twice")
            for entry in container.get("env", []):
                reference = entry.get("valueFrom", {}).get("secretKeyRef")
                if reference and reference["name"] != own:
                    known = reference["key"] in made.get(reference["name"], set())
                    faults.expect(known, f"{place} {owner}", f"no key {reference['key']} in {reference['name']}")
    for _, document in found:
        where = f"{place} {document['kind']} {document['metadata']['name']}"
        if document["kind"] == "Service":
            selector = document["spec"]["selector"].items()
            matched = [pod for _, pod in pods if selector <= pod["metadata"]["labels"].items()]
            faults.expect(len(matched) == 1, where, f"selects {len(matched)} kinds of pods")
            ports = {port["name"] for pod in matched for c in pod["spec"]["containers"] for port in c.get("ports", [])}
            for port in document["spec"]["ports"]:
                faults.expect(port["targetPort"] in ports, where, f"no port {port['targetPort']}")
        if document["kind"] == "Ingress":
            for path in document["spec"]["rules"][0]["http"]["paths"]:
                service = path["backend"]["service"]["name"]
                faults.expect(("Service", service) in present, where, f"no Service {service}")
        if document["kind"] == "HTTPRoute":
            for rule in document["spec"]["rules"]:
                faults.expect(("Service", rule["backendRefs"][0]["name"]) in present, where, "no such Service")


def check_settings(faults, place, found):
    """The program itself reads every pod's variables: `kiln wait` that may not wait gets as far as the connection."""
    program = kiln()
    for _, document in found:
        pod = pod_of(document)
        for container in (pod or {"spec": {"containers": []}})["spec"]["containers"]:
            if container["name"] not in COMPONENTS:
                continue
            # What comes from the Secret is not known here, but its shape is.
            unknown = {"KILN_DATABASE": "postgres://kiln:kx@127.0.0.1:1/kiln", "KILN_NATS": "kx"}
            environment = {"PATH": os.environ["PATH"]}
            for entry in container["env"]:
                environment[entry["name"]] = entry.get("value") or unknown["__".join(entry["name"].split("__")[:1])]
            if "KILN_NATS__URL" in environment:
                environment["KILN_NATS__URL"] = "nats://127.0.0.1:1"
            _, output = run([program, "wait", "--target", container["name"], "--within-s", "0"], env=environment)
            right = "not there within" in output or (container["name"] == "web" and output == "")
            faults.expect(right, f"{place} {container['name']}", output.strip())


def check_nats(faults, place, found):
    """NATS takes its configuration."""
    server = os.environ.get("KILN_NATS_SERVER", "")
    for _, document in found:
        if document["kind"] == "ConfigMap" and "nats.conf" in document.get("data", {}):
            if not os.access(server, os.X_OK):
                skipped(f"nats-server -t: there is none at KILN_NATS_SERVER={server!r}")
                return
            file = os.path.join(os.environ["SHIP_SCRATCH"], "nats.conf")
            with open(file, "w", encoding="utf-8") as out:
                out.write(document["data"]["nats.conf"])
            users = ("OPERATOR", "AUTH", "SCHEDULER", "EXECUTOR", "RESULT")
            environment = {"POD_NAME": "kiln-nats-0", **{f"NATS_{user}_PASSWORD": "k1" for user in users}}
            fine, output = run([server, "-t", "-c", file], env=environment)
            faults.expect(fine, f"{place} nats.conf", output)


# Values that must be refused, and what the refusal must name.
REFUSED = [
    ({"image": {"digest": "sha256:12"}}, "digest"),
    ({"auth": {"replica": 2}}, "replica"),
    ({"scheduler": {"replicas": 2}}, "scheduler"),
    ({"executor": {"sandbox": "kubernetes"}}, "sandbox"),
    ({"nats": {"replicas": 3}}, "nats.replicas"),
    ({"nats": {"bundled": False}}, "nats.url"),
    ({"postgres": {"bundled": False}}, "secrets.existingSecret"),
    ({"httpRoute": {"enabled": True}}, "httpRoute.parentRefs"),
    ({"executor": {"keda": {"enabled": True}}}, "executor.keda.prometheus"),
    ({"image": {"repository": ""}}, "image.repository"),
    ({"ingress": {"host": "Not a host"}}, "host"),
]


def merged(base, over):
    result = dict(base)
    for key, value in over.items():
        result[key] = merged(base.get(key, {}), value) if isinstance(value, dict) else value
    return result


def check_refusals(faults, chart, base):
    for values, word in REFUSED:
        try:
            chosen = merged(base, values)
            chart.validate_schema(chosen)
            chart.render(chosen, name="kiln", namespace="kiln")
        except Exception as error:  # pylint: disable=broad-exception-caught: whatever the engine raises is the refusal
            faults.expect(word in str(error), f"refusal of {json.dumps(values)}", f"does not name {word}: {error}")
        else:
            faults.add(f"refusal of {json.dumps(values)}", "was accepted")


def main():
    logging.disable(logging.INFO)
    faults, chart = Faults(), Chart.load(CHART)
    files = sorted((CHART / "ci").glob("*-values.yaml"))
    for file in files:
        place, values = file.name, yaml.safe_load(file.read_text())
        for message in lint(CHART, values, strict=True, namespace="kiln")["messages"]:
            if message["severity"] >= 2:
                faults.add(f"{place} lint", f"{message['path']}: {message['error']}")
        chart.validate_schema(values)
        for options in ({"is_install": True}, {"is_upgrade": True, "revision": 7}):
            found = documents(chart, values, **options)
            check_kinds(faults, place, found)
            check_pods(faults, place, found)
            check_references(faults, place, found, values)
        check_settings(faults, place, found)
        check_nats(faults, place, found)
    check_refusals(faults, chart, yaml.safe_load(files[0].read_text()))
    faults.finish(f"{len(files)} files of values, Kubernetes {OLDEST} and {NEWEST}, {len(REFUSED)} refusals")


if __name__ == "__main__":
    sys.exit(main())
