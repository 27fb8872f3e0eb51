"""The pods of the chart as processes: each container's own command and variables, as rendered, with nothing changed but addresses,
against a real Postgres and the chart's own NATS configuration. Migrates, waits, serves, runs a program by `helm test`'s script."""
import base64
import logging
import os
import pathlib
import pwd
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request

import yaml
from helm_python.chart import Chart

from checks import kiln, run, skip
from helm import CHART, documents, pod_of

SCRATCH = pathlib.Path(os.environ.get("SHIP_SCRATCH", "/tmp"))
SERVICES = ("auth", "scheduler", "result", "web", "executor")
READY_WITHIN_S, ENDS_WITHIN_S = 60, 40


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Cluster:
    """What was rendered, and where each address of it is here."""

    def __init__(self):
        values = yaml.safe_load((CHART / "ci/default-values.yaml").read_text())
        values["executor"] |= {"environments": [], "settings": {"slots": 4, "waiting_bytes": 134217728}}
        found = [document for _, document in documents(Chart.load(CHART), values, is_install=True)]
        self.secret = {key: base64.b64decode(value).decode() for d in found if d["kind"] == "Secret" for key, value in d["data"].items()}
        self.pods = {pod["metadata"]["labels"]["app.kubernetes.io/component"]: pod["spec"] for pod in map(pod_of, found) if pod}
        self.nats = next(d["data"]["nats.conf"] for d in found if d["kind"] == "ConfigMap" and "nats.conf" in d["data"])
        self.ports = {name: free_port() for name in (*SERVICES, "nats", "monitoring", "postgres", *(f"{name}-metrics" for name in SERVICES))}
        self.running = []

    def here(self, text):
        """Addresses of the cluster as addresses of this machine."""
        for server, port in (("postgres", 5432), ("nats", 4222)):
            text = text.replace(f"kiln-{server}:{port}", f"127.0.0.1:{self.ports[server]}")
        for name in SERVICES:
            text = text.replace(f"kiln-{name}:8080", f"127.0.0.1:{self.ports[name]}")
        return text

    def environment(self, container):
        found = {"PATH": os.environ["PATH"]}
        for entry in container.get("env", []):
            reference = entry.get("valueFrom", {}).get("secretKeyRef")
            found[entry["name"]] = self.here(self.secret[reference["key"]] if reference else entry.get("value", "kiln-nats-0"))
        if "KILN_AUTH__SECRET_KEY_FILE" in found:
            keys = SCRATCH / "secret-keys"
            keys.write_text(self.secret["auth-secret-keys"])
            keys.chmod(0o600)
            found["KILN_AUTH__SECRET_KEY_FILE"] = str(keys)
        if "KILN_EXECUTOR__DATA_DIR" in found:
            found["KILN_EXECUTOR__DATA_DIR"] = str(SCRATCH / "executor")
        return found

    def arguments(self, component, container):
        given = [argument.replace("0.0.0.0:8080", f"127.0.0.1:{self.ports[component]}") for argument in container["args"]]
        return [argument.replace("0.0.0.0:9090", f"127.0.0.1:{self.ports[f'{component}-metrics']}") for argument in given]

    def start(self, name, command, **options):
        with open(SCRATCH / f"{name}.log", "w", encoding="utf-8") as log:
            process = subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT, **options)
        self.running.append((name, process))
        return process

    def once(self, name, command, environment):
        fine, output = run(command, env=environment, timeout=90)
        if not fine:
            self.fail(f"{name}: {output}")

    def fail(self, what):
        logs = "".join(f"--- {name}\n{(SCRATCH / f'{name}.log').read_text()[-2000:]}\n" for name, _ in self.running)
        self.stop()
        sys.exit(f"{what}\n{logs}")

    def stop(self):
        for _, process in reversed(self.running):
            if process.poll() is None:
                process.send_signal(signal.SIGINT)
                try:
                    process.wait(timeout=ENDS_WITHIN_S)
                except subprocess.TimeoutExpired:
                    process.kill()
                    process.wait()
        self.running = []

    def until(self, what, condition):
        deadline = time.monotonic() + READY_WITHIN_S
        while not condition():
            ended = [name for name, process in self.running if process.poll() is not None]
            if ended or time.monotonic() > deadline:
                self.fail(f"{what}: {f'{ended} ended' if ended else f'not within {READY_WITHIN_S} s'}")
            time.sleep(0.1)


def answers(address):
    try:
        with urllib.request.urlopen(address, timeout=3) as answer:
            return answer.status == 200
    except OSError:
        return False


def start_postgres(cluster):
    """As the account `postgres` when we are root, which Postgres refuses to be."""
    programs = pathlib.Path(os.environ.get("KILN_PG_BIN", ""))
    if not (programs / "initdb").exists():
        skip("no Postgres at KILN_PG_BIN")
    options = {}
    if os.geteuid() == 0:
        account = next((entry for name in ("postgres", "nobody") for entry in pwd.getpwall() if entry.pw_name == name), None)
        options = {"user": account.pw_uid, "group": account.pw_gid, "extra_groups": []}
    # Somewhere that account reaches, whatever directories lie above ours.
    home = pathlib.Path(f"/tmp/kiln-ship-postgres-{os.getpid()}")
    home.mkdir(mode=0o700)
    if options:
        os.chown(home, options["user"], options["group"])
    password = home / "password"
    password.write_text(cluster.secret["postgres-password"])
    password.chmod(0o644)
    made, output = run([programs / "initdb", "-D", home / "data", "-U", "kiln", "-A", "scram-sha-256", f"--pwfile={password}", "-N"], cwd=home, **options)
    if not made:
        shutil.rmtree(home)
        sys.exit(output)
    arguments = ["-D", home / "data", "-p", str(cluster.ports["postgres"]), "-k", home, "-h", "127.0.0.1", "-c", "fsync=off"]
    cluster.start("postgres", [programs / "postgres", *arguments], cwd=home, **options)
    environment = {**os.environ, "PGPASSWORD": cluster.secret["postgres-password"]}
    query = [programs / "psql", "-h", "127.0.0.1", "-p", str(cluster.ports["postgres"]), "-U", "kiln", "-d", "postgres", "-c", "CREATE DATABASE kiln"]
    cluster.until("Postgres", lambda: run(query, env=environment)[0])
    return home


def start_nats(cluster):
    server = os.environ.get("KILN_NATS_SERVER", "")
    if not os.access(server, os.X_OK):
        skip("no nats-server at KILN_NATS_SERVER")
    text = cluster.nats.replace("0.0.0.0:4222", f"127.0.0.1:{cluster.ports['nats']}").replace("0.0.0.0:8222", f"127.0.0.1:{cluster.ports['monitoring']}")
    (SCRATCH / "nats.conf").write_text(text.replace('"/data"', f'"{SCRATCH}/nats"').replace("/data,", f'"{SCRATCH}/nats",'))
    cluster.start("nats", [server, "-c", str(SCRATCH / "nats.conf")], env=cluster.environment(cluster.pods["nats"]["containers"][0]))
    cluster.until("NATS", lambda: answers(f"http://127.0.0.1:{cluster.ports['monitoring']}/healthz"))


class Serving:
    """The whole of it, migrated and ready; stopped and removed at the end."""

    def __init__(self):
        self.program, self.cluster, self.postgres = kiln(), Cluster(), None
        if os.geteuid() != 0:
            skip("the executor's pod is root, and this is not")

    def __enter__(self):
        cluster = self.cluster
        self.postgres = start_postgres(cluster)
        try:
            start_nats(cluster)
            self.migrate_while_services_wait()
            for name in SERVICES:
                container = cluster.pods[name]["containers"][0]
                cluster.start(name, [self.program, *cluster.arguments(name, container)], env=cluster.environment(container))
            for name in SERVICES:
                cluster.until(f"{name} ready", lambda name=name: answers(f"http://127.0.0.1:{cluster.ports[name]}/readyz"))
        except BaseException:
            self.__exit__()
            raise
        return cluster

    def migrate_while_services_wait(self):
        """Services come first, as in a cluster: their init containers wait until the migrations have run."""
        cluster = self.cluster
        for name in (name for name in SERVICES if name != "web"):
            container = cluster.pods[name]["initContainers"][0]
            cluster.start(f"{name}-wait", [self.program, *container["args"]], env=cluster.environment(container))
        migrate = cluster.pods["migrate"]["containers"][0]
        cluster.once("migrate", [self.program, *migrate["args"]], cluster.environment(migrate))
        for name, process in [entry for entry in cluster.running if entry[0].endswith("-wait")]:
            if process.wait(timeout=30) != 0:
                cluster.fail(f"{name} gave up")
            cluster.running.remove((name, process))

    def __exit__(self, *_):
        self.cluster.stop()
        if self.postgres:
            shutil.rmtree(self.postgres)


def main():
    logging.disable(logging.INFO)
    with Serving() as cluster:
        test = cluster.pods["test"]["containers"][0]
        addresses = {entry["name"]: cluster.here(entry["value"]) for entry in test["env"]}
        cluster.once("helm test", [sys.executable, *test["command"][1:], *test["args"]], {"PATH": os.environ["PATH"], **addresses})
    print("migrated, waited for, served and ran a program")


if __name__ == "__main__":
    sys.exit(main())
