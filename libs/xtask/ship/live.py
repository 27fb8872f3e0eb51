"""A Kiln that runs, with the Prometheus beside it: its metrics are those of the table in the code and well formed, every dashboard
is what `grafana/dashboards.py` writes, every metric that a panel or a rule names exists, and every query gives a number."""
import importlib.util
import json
import os
import pathlib
import re
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.parse
import urllib.request

import yaml

from checks import ROOT, Faults, debian, kiln, run, skipped

GRAFANA = ROOT / "grafana"
SCRATCH = pathlib.Path(os.environ.get("SHIP_SCRATCH", "/tmp"))
READY_WITHIN_S, NUMBERS_WITHIN_S = 60, 75
# What Grafana puts in their place.
INTERVAL = "1m"
UNITS = {"short", "s", "percentunit", "reqps", "ops", "Bps", "bytes"}


def call(method, address, body=None, token=None):
    headers = {"content-type": "application/json"}
    if token:
        headers["authorization"] = f"Bearer {token}"
    request = urllib.request.Request(address, None if body is None else json.dumps(body).encode(), headers, method=method)
    try:
        with urllib.request.urlopen(request, timeout=60) as answer:
            return answer.status, json.loads(answer.read() or "null")
    except urllib.error.HTTPError as refused:
        return refused.code, refused.read().decode(errors="replace")


class Up:
    """`kiln up --observability` on free ports, stopped at the end."""

    def __init__(self, prometheus):
        environment = {**os.environ, **({"KILN_PROMETHEUS": prometheus} if prometheus else {"PATH": "/usr/bin:/bin"})}
        self.log = open(SCRATCH / "up.log", "w+", encoding="utf-8")
        command = [kiln(), "up", "--listen", "127.0.0.1:0", "--data", SCRATCH / "data", "--no-open", "--observability"]
        self.process = subprocess.Popen(command, stdout=self.log, stderr=subprocess.STDOUT, env=environment)

    def __enter__(self):
        deadline = time.monotonic() + READY_WITHIN_S
        state = SCRATCH / "data/kiln.json"
        while not state.exists():
            if self.process.poll() is not None or time.monotonic() > deadline:
                self.__exit__()
                sys.exit(f"kiln up is not ready:\n{self.said()}")
            time.sleep(0.1)
        return json.loads(state.read_text())

    def said(self):
        self.log.seek(0)
        return self.log.read()

    def __exit__(self, *_):
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGINT)
        try:
            self.process.wait(timeout=60)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


class Work:
    """Something of everything that panels show: once, and then a little again and again, since a rate wants a change."""

    def __init__(self, faults, url):
        self.faults, self.url = faults, url
        status, account = call("POST", f"{url}/api/v1/auth/signup", {"email": "live@example.com", "password": "a long pass phrase for it"})
        faults.expect(status == 201, "sign-up", account)
        self.token = account["access_token"]
        self.run("import time; time.sleep(9)", timeout_ms=200)
        status, self.session = self.post("/sessions", {})
        faults.expect(status == 201, "session", self.session)

    def post(self, path, body):
        return call("POST", f"{self.url}/api/v1{path}", body, self.token)

    def run(self, code, **limits):
        status, ended = self.post("/executions?wait_ms=30000", {"code": code, "limits": limits})
        self.faults.expect(status == 200, f"run of {code}", ended)

    def some_more(self):
        for code in ("print(6 * 7)", "raise SystemExit(3)"):
            self.run(code)
        status, refused = self.post("/executions", {"code": "1", "workspace_id": "01900000-0000-7000-8000-000000000000"})
        self.faults.expect(status == 422, "run in no workspace", refused)
        status, cell = self.post(f"/sessions/{self.session['id']}/executions?wait_ms=30000", {"code": "1 + 1"})
        self.faults.expect(status == 200, "cell", cell)


def table_of_code():
    fine, text = run([kiln(), "metrics"])
    if not fine:
        sys.exit(text)
    return text, {row.split("`")[1] for row in text.splitlines() if row.startswith("| `")}


def named_in(query):
    names = re.findall(r"\bkiln_[a-z0-9_]+", query)
    return {re.sub(r"_(bucket|sum|count)$", "", name) if re.search(r"_seconds_(bucket|sum|count)$", name) else name for name in names}


def dashboards(faults):
    """(file, panel, kind, query) of everything that is asked; and what must hold of each dashboard."""
    module = importlib.util.spec_from_file_location("dashboards", GRAFANA / "dashboards.py")
    source = importlib.util.module_from_spec(module)
    module.loader.exec_module(source)
    files = sorted((GRAFANA / "dashboards").glob("*.json"))
    faults.expect({file.stem for file in files} == set(source.DASHBOARDS), "dashboards/", "other files than dashboards.py writes")
    uids = set()
    for file in files:
        text = file.read_text()
        faults.expect(text == source.text(file.stem), file.name, "is not what dashboards.py writes: python3 grafana/dashboards.py")
        dashboard = json.loads(text)
        faults.expect(dashboard["uid"] == f"kiln-{file.stem}" and dashboard["uid"] not in uids, file.name, "uid")
        uids.add(dashboard["uid"])
        variables = {variable["name"] for variable in dashboard["templating"]["list"]}
        for panel in dashboard["panels"]:
            place = f"{file.stem}: {panel['title']}"
            faults.expect(len(panel["description"]) > 10, place, "no description")
            faults.expect(panel["fieldConfig"]["defaults"]["unit"] in UNITS, place, "unknown unit")
            faults.expect(panel["datasource"]["uid"] in {f"${{{name}}}" for name in variables}, place, "data source is no variable")
            for target in panel["targets"]:
                yield (place, "sql", target["rawSql"]) if "rawSql" in target else (place, "promql", target["expr"])


def ask(prometheus, query):
    address = f"{prometheus}/api/v1/query?" + urllib.parse.urlencode({"query": query})
    status, answer = call("GET", address)
    return (answer["data"]["result"], "") if status == 200 else ([], answer)


def check_queries(faults, prometheus, queries, some_more):
    """Every query gives a number in the end. Rules are evaluated every half minute, so the first take a while."""
    deadline, open_ = time.monotonic() + NUMBERS_WITHIN_S, {}
    waiting = [(place, query.replace("$__rate_interval", INTERVAL)) for place, query in queries]
    while waiting and time.monotonic() < deadline:
        some_more()
        open_ = {(place, query): ask(prometheus, query) for place, query in waiting}
        waiting = [key for key, (result, _) in open_.items() if not any(one["value"][1] != "NaN" for one in result)]
        if waiting:
            time.sleep(1)
    for place, query in waiting:
        faults.add(place, f"gives nothing: {query} {open_[place, query][1]}")


def check_sql(faults, state, queries):
    """The tables are read as the owner: the queries are what is tested, not Grafana's role."""
    psql = next((str(path) for path in [pathlib.Path(os.environ.get("KILN_PG_BIN", "/nowhere")) / "psql"] if path.exists()), None)
    if psql is None:
        return skipped("SQL of the dashboard tenants: no psql at KILN_PG_BIN")
    data = pathlib.Path(state["data"])
    password = json.loads((data / "secrets.json").read_text())["postgres"]["owner"]
    found = [file for top in (data, pathlib.Path("/var/lib/kiln-postgres")) for file in top.glob("**/postmaster.pid")]
    places = [file.read_text().splitlines() for file in found]
    for socket, port in ((lines[4], lines[3]) for lines in places if len(lines) > 4):
        environment = {**os.environ, "PGPASSWORD": password, "PGHOST": socket, "PGPORT": port, "PGUSER": "kiln", "PGDATABASE": "kiln"}
        reachable, _ = run([psql, "-Atc", "SELECT 1"], env=environment)
        if reachable:
            for place, query in queries:
                fine, output = run([psql, "-v", "ON_ERROR_STOP=1", "-Atc", query], env=environment)
                faults.expect(fine and output.strip(), place, f"{query} gives {output!r}")
            return None
    return skipped("SQL of the dashboard tenants: the socket of Postgres was not found")


def check_rules(faults, prometheus):
    """Prometheus has evaluated every rule, and none of the alerts fires on a Kiln that is well."""
    _, answer = call("GET", f"{prometheus}/api/v1/rules")
    for rule in (rule for group in answer["data"]["groups"] for rule in group["rules"]):
        faults.expect(rule["health"] == "ok", rule["name"], f"health {rule['health']} {rule.get('lastError', '')}")
        faults.expect(rule.get("state") != "firing", rule["name"], "fires on a Kiln that is well")


def main():
    faults = Faults()
    text, known = table_of_code()
    readme = (GRAFANA / "README.md").read_text()
    faults.expect(text.strip() in readme, "grafana/README.md", "its table of metrics is not what `kiln metrics` prints")
    asked = list(dashboards(faults))
    rules = [rule for group in yaml.safe_load((GRAFANA / "alerts/kiln.yaml").read_text())["groups"] for rule in group["rules"]]
    recorded = {rule["record"] for rule in rules if "record" in rule}
    for place, query in [(place, query) for place, kind, query in asked if kind == "promql"] + [
        (rule.get("alert") or rule["record"], rule["expr"]) for rule in rules
    ]:
        for name in named_in(query) - known:
            faults.add(place, f"no metric {name}")
        for name in set(re.findall(r"\bkiln:[a-z0-9_:]+", query)) - recorded:
            faults.add(place, f"no rule records {name}")
    prometheus, promtool = debian("prometheus", "prometheus"), debian("promtool", "prometheus")
    up = Up(prometheus)
    with up as state:
        work = Work(faults, state["url"])
        work.some_more()
        with urllib.request.urlopen(state["metrics_url"], timeout=10) as answer:
            metrics = answer.read().decode()
        live = set(re.findall(r"^# TYPE (\S+)", metrics, re.MULTILINE))
        for name in sorted(live - known):
            faults.add("/metrics", f"{name} is not in the table of the code")
        named = set().union(*(named_in(query) for _, kind, query in asked if kind == "promql"), *(named_in(rule["expr"]) for rule in rules))
        for name in sorted((named & known) - live):
            faults.add("/metrics", f"{name} is asked for and not there")
        for secret in ("live@example.com", "a long pass phrase", "print("):
            faults.expect(secret not in metrics, "/metrics", f"tells {secret!r}")
        if promtool:
            fine, output = run([promtool, "check", "metrics"], input=metrics)
            faults.expect(fine, "promtool check metrics", output)
        if not prometheus or not state.get("prometheus_url"):
            skipped(f"queries: no prometheus on PATH nor from Debian ({up.said().strip().splitlines()[:1]})")
        else:
            check_queries(faults, state["prometheus_url"], [(place, query) for place, kind, query in asked if kind == "promql"], work.some_more)
            check_rules(faults, state["prometheus_url"])
        check_sql(faults, state, [(place, query) for place, kind, query in asked if kind == "sql"])
    faults.finish(f"{len(live)} metrics, {len(asked)} queries, {len(rules)} rules")


if __name__ == "__main__":
    sys.exit(main())
