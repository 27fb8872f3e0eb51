"""Six things that go wrong, each made to happen to the chart's pods as processes: the metric that its panel shows tells it within
a minute, and tells as well that it is over."""
import concurrent.futures
import json
import logging
import os
import pathlib
import re
import signal
import sys
import time
import urllib.error
import urllib.request

from processes import SERVICES, Serving, start_nats

SEEN_WITHIN_S = 40


class Watch:
    """What all processes say of themselves."""

    def __init__(self, cluster):
        self.cluster = cluster
        self.told = []

    def value(self, metric, **labels):
        """The sum over all processes and label sets that fit."""
        total = 0.0
        for name in SERVICES:
            try:
                with urllib.request.urlopen(f"http://127.0.0.1:{self.cluster.ports[f'{name}-metrics']}/metrics", timeout=5) as answer:
                    text = answer.read().decode()
            except OSError:
                continue
            for given, number in re.findall(rf"^{metric}(?:\{{(.*)\}})? (\S+)$", text, re.MULTILINE):
                if all(f'{key}="{wanted}"' in given for key, wanted in labels.items()):
                    total += float(number)
        return total

    def until(self, what, condition):
        begun = time.monotonic()
        while not condition():
            if time.monotonic() > begun + SEEN_WITHIN_S:
                self.cluster.fail(f"not seen within {SEEN_WITHIN_S} s: {what}")
            time.sleep(0.25)
        self.told.append(f"{what} {time.monotonic() - begun:.1f} s")


class Tenant:
    """Somebody who runs programs."""

    def __init__(self, cluster):
        self.cluster = cluster
        body = {"email": f"story-{os.getpid()}@example.com", "password": "a long pass phrase for it"}
        self.token = self.call("POST", "auth", "/auth/signup", body)["access_token"]

    def call(self, method, service, path, body):
        headers = {"content-type": "application/json", **({"authorization": f"Bearer {self.token}"} if hasattr(self, "token") else {})}
        address = f"http://127.0.0.1:{self.cluster.ports[service]}/api/v1{path}"
        request = urllib.request.Request(address, json.dumps(body).encode(), headers, method=method)
        with urllib.request.urlopen(request, timeout=70) as answer:
            return json.loads(answer.read() or "null")

    def run(self, code, wait_ms=0):
        return self.call("POST", "scheduler", f"/executions?wait_ms={wait_ms}" if wait_ms else "/executions", {"code": code})


def process(cluster, name):
    return next(process for known, process in cluster.running if known == name)


def children(pid):
    """All processes below this one."""
    found = []
    for entry in pathlib.Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                parent = int((entry / "stat").read_text().rsplit(")", 1)[1].split()[1])
            except (OSError, IndexError):
                continue
            if parent == pid:
                found += [int(entry.name), *children(int(entry.name))]
    return found


def stuck_queue(cluster, watch, tenant):
    executor = process(cluster, "executor")
    executor.send_signal(signal.SIGSTOP)
    watch.until("silent executor", lambda: watch.value("kiln_scheduler_executors", state="silent") == 1)
    tenant.run("print(1)")
    watch.until("stuck queue", lambda: watch.value("kiln_scheduler_oldest_queued_seconds") > 3)
    executor.send_signal(signal.SIGCONT)
    watch.until("queue that moves again", lambda: watch.value("kiln_scheduler_oldest_queued_seconds") == 0 and watch.value("kiln_scheduler_executors", state="live") == 1)


def slow_database(cluster, watch, _):
    stopped = children(process(cluster, "postgres").pid)
    failures = watch.value("kiln_database_ping_failures_total")
    for pid in stopped:
        os.kill(pid, signal.SIGSTOP)
    watch.until("slow database", lambda: watch.value("kiln_database_ping_failures_total") > failures)
    for pid in stopped:
        os.kill(pid, signal.SIGCONT)
    pings = watch.value("kiln_database_ping_duration_seconds_bucket", service="scheduler", le="0.5")
    watch.until("database that answers again", lambda: watch.value("kiln_database_ping_duration_seconds_bucket", service="scheduler", le="0.5") > pings)


def exhausted_pool(_, watch, tenant):
    misses = watch.value("kiln_executor_pool_takes_total", outcome="miss")
    with concurrent.futures.ThreadPoolExecutor(24) as many:
        list(many.map(lambda _: tenant.run("print(1)", 60000), range(48)))
    watch.until("exhausted warm pool", lambda: watch.value("kiln_executor_pool_takes_total", outcome="miss") > misses)


def greedy_tenant(_, watch, tenant):
    slots = watch.value("kiln_scheduler_slots")
    runs = [tenant.run("import time; time.sleep(8)") for _ in range(int(slots) + 3)]
    watch.until(
        "tenant that takes all",
        lambda: watch.value("kiln_scheduler_busiest_tenant_executions") >= slots and watch.value("kiln_scheduler_executions", state="queued") > 0,
    )
    for run in runs:
        try:
            tenant.call("POST", "result", f"/executions/{run['id']}/cancel", {})
        except urllib.error.HTTPError as over:
            if over.code != 409:
                raise
    watch.until("slots that are free again", lambda: watch.value("kiln_scheduler_executions") == 0)


def nats_down(cluster, watch, tenant):
    server = process(cluster, "nats")
    cluster.running.remove(("nats", server))
    server.kill()
    server.wait()
    watch.until("NATS down", lambda: watch.value("kiln_bus_connected") == 0)
    start_nats(cluster)
    # Stopped after those who use it.
    cluster.running.insert(1, cluster.running.pop())
    watch.until("NATS up", lambda: watch.value("kiln_bus_connected") == 4)
    if tenant.run("print(6 * 7)", 60000)["stdout"] != "42\n":
        cluster.fail("no runs after NATS came back")


def failing_sandboxes(cluster, watch, tenant):
    """What makes the sandboxes is killed under a run."""
    failures = watch.value("kiln_executor_sandbox_failures_total")
    run = tenant.run("import time; time.sleep(30)")
    watch.until("run", lambda: watch.value("kiln_executor_runs") == 1)
    spawners = [pid for pid in children(process(cluster, "executor").pid) if "sandbox-spawner" in pathlib.Path(f"/proc/{pid}/cmdline").read_text()]
    for pid in spawners:
        os.kill(pid, signal.SIGKILL)
    watch.until(f"sandboxes that fail ({run['id']})", lambda: watch.value("kiln_executor_sandbox_failures_total") > failures)


def main():
    logging.disable(logging.INFO)
    with Serving() as cluster:
        watch, tenant = Watch(cluster), Tenant(cluster)
        if tenant.run("print(6 * 7)", 60000)["stdout"] != "42\n":
            cluster.fail("the first run")
        # The last one may end the executor, which a cluster starts again.
        for story in (stuck_queue, slow_database, exhausted_pool, greedy_tenant, nats_down, failing_sandboxes):
            story(cluster, watch, tenant)
        print("; ".join(watch.told))


if __name__ == "__main__":
    sys.exit(main())
