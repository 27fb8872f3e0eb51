"""The dashboards, written as what they ask; `python3 grafana/dashboards.py` writes dashboards/*.json, which are committed.

A panel is (title, unit, what it tells, {legend: query}). What a panel shows has a metric in Kiln's own table, and a query that
gives a number on any Kiln that has run something: both are tested.
"""
import json
import pathlib
import sys

HERE = pathlib.Path(__file__).resolve().parent
PROMETHEUS = {"type": "prometheus", "uid": "${prometheus}"}
POSTGRES = {"type": "grafana-postgresql-datasource", "uid": "${postgres}"}
RATE = "[$__rate_interval]"


def rate(metric, labels="", over=RATE):
    return f"rate({metric}{{{labels}}}{over})" if labels else f"rate({metric}{over})"


def quantile(q, metric, by="", labels=""):
    by = f"le, {by}" if by else "le"
    return f"histogram_quantile({q}, sum by ({by}) ({rate(metric + '_bucket', labels)}))"


def share(part, whole):
    """Of nothing nothing fails: no request is no error."""
    return f"(sum({part}) or vector(0)) / clamp_min(sum({whole}), 1e-9)"


HTTP, HTTP_TIME = "kiln_http_requests_total", "kiln_http_request_duration_seconds"
ENDED, START = "kiln_scheduler_executions_ended_total", "kiln_scheduler_start_duration_seconds"
RUN, PING = "kiln_scheduler_run_duration_seconds", "kiln_database_ping_duration_seconds"

DASHBOARDS = {
    "overview": ("Kiln: overview", "Begin here: is it up, is it quick, does work get done.", [
        ("stat", "Availability, 1 h", "percentunit", "Requests that were not answered with a 5xx.",
         {"": "1 - " + share(rate(HTTP, 'status=~"5.."', "[1h]"), rate(HTTP, over="[1h]"))}),
        ("stat", "Programs start within, p95", "s", "From the acceptance of an execution to the start of its program.",
         {"": quantile(0.95, START)}),
        ("stat", "Waiting", "short", "Executions in the queue.", {"": 'max(kiln_scheduler_executions{state="queued"})'}),
        ("stat", "Running", "short", "Executions that run.", {"": 'max(kiln_scheduler_executions{state="running"})'}),
        ("stat", "Lost, 1 h", "short", "Executions that ended through no doing of their user's.",
         {"": f'sum(increase({ENDED}{{status="lost"}}[1h]))'}),
        ("stat", "Executors", "short", "Executors that have called within four seconds.",
         {"": 'max(kiln_scheduler_executors{state="live"})'}),
        ("graph", "Requests", "reqps", "Requests answered, by service.", {"{{service}}": f"sum by (service) ({rate(HTTP)})"}),
        ("graph", "Server errors", "percentunit", "Share of 5xx among the answers.",
         {"5xx": share(rate(HTTP, 'status=~"5.."'), rate(HTTP))}),
        ("graph", "Answers within, p95", "s", "Time to an answer, by service; waits that clients asked for are in it.",
         {"{{service}}": quantile(0.95, HTTP_TIME, "service")}),
        ("graph", "Ends", "ops", "Executions that ended, by how.", {"{{status}}": f"sum by (status) ({rate(ENDED)})"}),
        ("graph", "Queue and slots", "short", "What waits, what runs, and how much could run.",
         {"{{state}}": "max by (state) (kiln_scheduler_executions)", "slots": "max(kiln_scheduler_slots)"}),
        ("graph", "Postgres answers within, p95", "s", "An empty statement with the wait for a connection, by service.",
         {"{{service}}": quantile(0.95, PING, "service")}),
        ("graph", "Lag on the bus", "short", "Messages not yet delivered, by consumer.",
         {"{{consumer}}": "max by (consumer) (kiln_bus_consumer_pending)"}),
        ("graph", "Connected to NATS", "short", "1 while a service's connection to NATS is up.",
         {"{{service}}": "min by (service) (kiln_bus_connected)"}),
    ]),
    "executions": ("Kiln: executions", "From the submission to the end of every program.", [
        ("graph", "Taken in", "ops", "Executions accepted.", {"accepted": f"sum({rate('kiln_scheduler_executions_accepted_total')})"}),
        ("graph", "Refused", "ops", "Executions refused, by code: quotas, rates, what is wrong with them.",
         {"{{code}}": f"sum by (code) ({rate('kiln_scheduler_executions_refused_total')})"}),
        ("graph", "Waiting longest", "s", "Age of the execution that has waited longest. Rising without end: the queue is stuck.",
         {"oldest": "max(kiln_scheduler_oldest_queued_seconds)"}),
        ("graph", "Not ended", "short", "Executions that wait, are on their way, or run.",
         {"{{state}}": "max by (state) (kiln_scheduler_executions)"}),
        ("graph", "Start within", "s", "From the acceptance to the start of the program, warm and cold.",
         {"{{start}} p50": quantile(0.5, START, "start"), "{{start}} p95": quantile(0.95, START, "start"),
          "{{start}} p99": quantile(0.99, START, "start")}),
        ("graph", "Run for", "s", "From the start of a program to its end, by how it ended.",
         {"{{status}} p50": quantile(0.5, RUN, "status"), "{{status}} p95": quantile(0.95, RUN, "status")}),
        ("graph", "Ends by cause", "ops", "Why executions ended other than well.",
         {"{{status}} {{reason}}": f"sum by (status, reason) ({rate(ENDED)})"}),
        ("graph", "Of one tenant", "short", "Executions of the tenant that has most, beside all slots: a tenant that eats everything.",
         {"busiest tenant": "max(kiln_scheduler_busiest_tenant_executions)", "slots": "max(kiln_scheduler_slots)"}),
    ]),
    "executors": ("Kiln: executors and warm pools", "Where programs run: room, warmth, failures.", [
        ("graph", "Slots in use", "percentunit", "Runs of each executor, of what it can hold.",
         {"{{instance}}": "max by (instance) (kiln_executor_runs / clamp_min(kiln_executor_slots, 1))"}),
        ("graph", "Executors", "short", "By what the scheduler last heard of them.",
         {"{{state}}": "max by (state) (kiln_scheduler_executors)"}),
        ("graph", "Found a sandbox waiting", "percentunit", "Share of runs whose sandbox had been made ahead. Falling: the warm pool is exhausted.",
         {"hits": share(rate("kiln_executor_pool_takes_total", 'outcome="hit"'), rate("kiln_executor_pool_takes_total"))}),
        ("graph", "Sandboxes waiting", "short", "Sandboxes made ahead, by executor.",
         {"{{instance}}": "max by (instance) (kiln_executor_waiting_sandboxes)"}),
        ("graph", "Sandboxes that failed", "ops", "Runs whose sandbox could not be made or broke.",
         {"{{instance}}": f"sum by (instance) ({rate('kiln_executor_sandbox_failures_total')})"}),
        ("graph", "Runs", "ops", "Runs and cells reported, warm and cold, by their end.",
         {"{{start}} {{status}}": f"sum by (start, status) ({rate('kiln_executor_runs_total')})"}),
        ("graph", "Sessions", "short", "Sessions that are open.", {"{{instance}}": "max by (instance) (kiln_executor_sessions)"}),
        ("graph", "CPU of programs", "short", "Cores that programs use.",
         {"{{instance}}": f"sum by (instance) ({rate('kiln_executor_run_cpu_seconds_sum')})"}),
        ("graph", "Output", "Bps", "What programs print and show.",
         {"{{instance}}": f"sum by (instance) ({rate('kiln_executor_output_bytes_total')})"}),
    ]),
    "tenants": ("Kiln: tenants", "Who uses what. Read from Postgres, since no metric names a tenant.", [
        ("table", "Running and waiting now", "short", "The ten tenants with the most at this moment.",
         "SELECT tenant_id::text AS tenant, active AS running, queued AS waiting, cpu_ms_spent / 1000.0 AS cpu_seconds_today, suspended"
         " FROM scheduler.tenant ORDER BY active + queued DESC, cpu_ms_spent DESC LIMIT 10"),
        ("table", "Used today", "short", "The ten tenants that used most CPU time today (UTC).",
         "SELECT tenant_id::text AS tenant, sum(executions) AS executions, sum(cpu_ms) / 1000.0 AS cpu_seconds,"
         " sum(wall_ms) / 1000.0 AS wall_seconds FROM scheduler.usage WHERE day = (now() AT TIME ZONE 'UTC')::date"
         " GROUP BY tenant_id ORDER BY sum(cpu_ms) DESC LIMIT 10"),
        ("table", "Used in 30 days, by runtime", "short", "Executions and CPU time by runtime.",
         "SELECT runtime, sum(executions) AS executions, sum(cpu_ms) / 1000.0 AS cpu_seconds FROM scheduler.usage"
         " WHERE day > (now() AT TIME ZONE 'UTC')::date - 30 GROUP BY runtime ORDER BY sum(cpu_ms) DESC LIMIT 10"),
        ("table", "Executions a day", "short", "Executions of all tenants in 30 days.",
         "SELECT day::timestamp AS time, sum(executions) AS executions, count(DISTINCT tenant_id) AS tenants FROM scheduler.usage"
         " WHERE day > (now() AT TIME ZONE 'UTC')::date - 30 GROUP BY day ORDER BY day"),
    ]),
    "nats": ("Kiln: NATS", "Streams and consumers of JetStream, as Kiln sees them.", [
        ("graph", "Connected", "short", "1 while a service's connection is up. Falling to 0 at all: a server is down.",
         {"{{service}}": "min by (service) (kiln_bus_connected)"}),
        ("graph", "Messages held", "short", "Messages in each stream.", {"{{stream}}": "max by (stream) (kiln_bus_stream_messages)"}),
        ("graph", "Of the room", "percentunit", "Bytes held, of what the stream may hold. KILN_TASKS refuses work when full; the others forget the oldest.",
         {"{{stream}}": "max by (stream) (kiln_bus_stream_bytes / kiln_bus_stream_limit_bytes)"}),
        ("graph", "Lag", "short", "Messages not yet delivered.",
         {"{{stream}} {{consumer}}": "max by (stream, consumer) (kiln_bus_consumer_pending)"}),
        ("graph", "In hand", "short", "Messages delivered and not yet acknowledged, and how many of them came again.",
         {"{{consumer}}": "max by (consumer) (kiln_bus_consumer_unacknowledged)",
          "{{consumer}} again": "max by (consumer) (kiln_bus_consumer_redelivered)"}),
        ("graph", "Handled", "ops", "Messages by what became of them: done, retry, reject.",
         {"{{consumer}} {{outcome}}": f"sum by (consumer, outcome) ({rate('kiln_bus_messages_total')})"}),
        ("graph", "Batches take, p95", "s", "Time to handle one batch.",
         {"{{consumer}}": quantile(0.95, "kiln_bus_batch_duration_seconds", "consumer")}),
    ]),
    "postgres": ("Kiln: Postgres", "The database as the services find it.", [
        ("graph", "Answers within", "s", "An empty statement, with the wait for a connection.",
         {"{{service}} p50": quantile(0.5, PING, "service"), "{{service}} p95": quantile(0.95, PING, "service")}),
        ("graph", "Does not answer", "ops", "Statements that were not answered.",
         {"{{service}}": f"sum by (service) ({rate('kiln_database_ping_failures_total')})"}),
        ("graph", "Connections in use", "percentunit", "Of what the pool may have.",
         {"{{service}}": 'max by (service) (kiln_database_connections{state="used"} / ignoring (state) kiln_database_connections_limit)'}),
        ("graph", "Connections", "short", "Open connections of each service.",
         {"{{service}} {{state}}": "sum by (service, state) (kiln_database_connections)"}),
        ("graph", "Committed and not published", "short", "Messages in the outbox.", {"messages": "max(kiln_scheduler_outbox_messages)"}),
        ("graph", "Oldest of these", "s", "Age of the oldest message in the outbox.", {"oldest": "max(kiln_scheduler_outbox_oldest_seconds)"}),
        ("graph", "Reservations", "short", "Places reserved, beside the executions that hold one. They differ for moments only.",
         {"reserved": "max(kiln_scheduler_reservations)",
          "held": 'sum(max by (state) (kiln_scheduler_executions{state=~"dispatched|running"}))'}),
    ]),
    "slo": ("Kiln: service levels", "What is promised, and how much of the error budget is left.", [
        ("stat", "Availability, 30 d", "percentunit", "Promised: 99.9 % of requests are not answered with a 5xx.",
         {"": "1 - avg_over_time(kiln:http_errors:ratio_rate1h[30d])"}),
        ("stat", "Starts within 1 s, 30 d", "percentunit", "Promised: 95 % of programs start within a second of their acceptance.",
         {"": "1 - avg_over_time(kiln:slow_starts:ratio_rate1h[30d])"}),
        ("stat", "Not lost, 30 d", "percentunit", "Promised: 99.9 % of executions end by their user's doing, not by ours.",
         {"": "1 - avg_over_time(kiln:lost_runs:ratio_rate1h[30d])"}),
        ("graph", "Burn of the budget: availability", "short", "1 spends the budget in 30 days, 14.4 in two: then somebody is called.",
         {"1 h": "kiln:http_errors:ratio_rate1h / 0.001", "6 h": "kiln:http_errors:ratio_rate6h / 0.001"}),
        ("graph", "Burn of the budget: starts", "short", "1 spends the budget in 30 days, 14.4 in two.",
         {"1 h": "kiln:slow_starts:ratio_rate1h / 0.05", "6 h": "kiln:slow_starts:ratio_rate6h / 0.05"}),
        ("graph", "Burn of the budget: lost executions", "short", "1 spends the budget in 30 days, 14.4 in two.",
         {"1 h": "kiln:lost_runs:ratio_rate1h / 0.001", "6 h": "kiln:lost_runs:ratio_rate6h / 0.001"}),
    ]),
}


def target(index, legend, query):
    return {"refId": chr(ord("A") + index), "datasource": PROMETHEUS, "expr": query, "legendFormat": legend or "__auto", "editorMode": "code"}


def panel(number, kind, title, unit, description, asked, place):
    fields = {"defaults": {"unit": unit, "min": 0} if kind == "graph" else {"unit": unit}, "overrides": []}
    base = {"id": number, "title": title, "description": description, "gridPos": place, "fieldConfig": fields}
    if kind == "table":
        query = {"refId": "A", "datasource": POSTGRES, "rawSql": asked, "format": "table", "rawQuery": True, "editorMode": "code"}
        return {**base, "type": "table", "datasource": POSTGRES, "targets": [query], "options": {"showHeader": True}}
    targets = [target(index, *pair) for index, pair in enumerate(asked.items())]
    if kind == "stat":
        options = {"reduceOptions": {"calcs": ["lastNotNull"], "fields": "", "values": False}, "colorMode": "none", "graphMode": "area"}
        return {**base, "type": "stat", "datasource": PROMETHEUS, "targets": targets, "options": options}
    fields["defaults"]["custom"] = {"drawStyle": "line", "lineWidth": 1, "fillOpacity": 8, "showPoints": "never", "spanNulls": True}
    options = {"legend": {"displayMode": "list", "placement": "bottom", "showLegend": True}, "tooltip": {"mode": "multi", "sort": "desc"}}
    return {**base, "type": "timeseries", "datasource": PROMETHEUS, "targets": targets, "options": options}


def places(panels):
    """Numbers in one row at the top, the others two in a row."""
    stats = [kind for kind, *_ in panels].count("stat")
    top = 4 if stats else 0
    seen = {"stat": 0, "other": 0}
    for kind, *_ in panels:
        if kind == "stat":
            width = 24 // stats
            yield {"x": seen["stat"] * width, "y": 0, "w": width, "h": 4}
            seen["stat"] += 1
        else:
            yield {"x": seen["other"] % 2 * 12, "y": top + seen["other"] // 2 * 8, "w": 12, "h": 8}
            seen["other"] += 1


def variable(name, kind, label):
    return {"name": name, "label": label, "type": "datasource", "query": kind, "refresh": 1, "hide": 0, "regex": "", "includeAll": False, "multi": False}


def dashboard(name):
    title, description, panels = DASHBOARDS[name]
    variables = [variable("prometheus", "prometheus", "Prometheus")]
    if any(kind == "table" for kind, *_ in panels):
        variables = [variable("postgres", "grafana-postgresql-datasource", "Postgres")]
    drawn = [panel(number + 1, *one, place) for number, (one, place) in enumerate(zip(panels, places(panels)))]
    return {
        "uid": f"kiln-{name}", "title": title, "description": description, "tags": ["kiln"], "schemaVersion": 41, "version": 1,
        "editable": False, "graphTooltip": 1, "refresh": "30s", "time": {"from": "now-6h", "to": "now"}, "timezone": "utc",
        "links": [{"title": "Kiln", "type": "dashboards", "tags": ["kiln"], "asDropdown": True, "includeVars": True, "keepTime": True}],
        "templating": {"list": variables}, "annotations": {"list": []}, "panels": drawn,
    }


def text(name):
    return json.dumps(dashboard(name), indent=1, ensure_ascii=False) + "\n"


def main():
    for name in DASHBOARDS:
        (HERE / "dashboards" / f"{name}.json").write_text(text(name), encoding="utf-8")


if __name__ == "__main__":
    sys.exit(main())
