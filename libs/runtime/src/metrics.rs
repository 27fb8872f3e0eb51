//! The process's metrics: one Prometheus recorder, rendered on a port of its own. What each metric means stands here, in one
//! table; names are `kiln_<part>_<noun>_<unit>[_total]`, and no label names a tenant, a run, a person or a path.

use std::time::Duration;

use axum::Router;
use axum::http::header::CONTENT_TYPE;
use axum::routing::get;
use metrics::{Unit, describe_counter, describe_gauge, describe_histogram, gauge};
use metrics_exporter_prometheus::{BuildError, Matcher, PrometheusBuilder, PrometheusHandle};
use tokio_util::sync::CancellationToken;

/// Upper bounds in seconds, on and around the service levels.
const SECONDS: [f64; 14] = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0];
/// Programs run for up to five minutes.
const RUN_SECONDS: [f64; 11] = [0.01, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0, 15.0, 60.0, 150.0, 300.0];

/// How often histograms are folded together, so that they stay small between two scrapes.
const UPKEEP: Duration = Duration::from_secs(5);

/// What a metric is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Counter,
    Gauge,
    Histogram,
}

/// One metric of Kiln.
#[derive(Debug, Clone, Copy)]
pub struct Metric {
    pub name: &'static str,
    pub kind: Kind,
    pub labels: &'static str,
    pub help: &'static str,
}

const fn metric(kind: Kind, name: &'static str, labels: &'static str, help: &'static str) -> Metric {
    Metric { name, kind, labels, help }
}

/// Every metric, by part.
pub const METRICS: &[Metric] = &{
    use Kind::{Counter, Gauge, Histogram};
    [
        metric(Gauge, "kiln_build_info", "version", "1, for the version of the program."),
        metric(Counter, "kiln_http_requests_total", "service, route, method, status", "Requests answered."),
        metric(
            Histogram,
            "kiln_http_request_duration_seconds",
            "service, route, method",
            "Time until an answer, or until a stream began.",
        ),
        metric(Gauge, "kiln_http_requests_in_flight", "service", "Requests that are being answered."),
        metric(
            Counter,
            "kiln_bus_messages_total",
            "consumer, outcome",
            "Messages handled: done, retry (comes again), reject (never comes again).",
        ),
        metric(Histogram, "kiln_bus_batch_duration_seconds", "consumer", "Time to handle one batch of messages."),
        metric(Gauge, "kiln_bus_connected", "service", "Whether the service's connection to NATS is up."),
        metric(Gauge, "kiln_bus_stream_messages", "stream", "Messages that a stream holds."),
        metric(Gauge, "kiln_bus_stream_bytes", "stream", "Bytes that a stream holds."),
        metric(Gauge, "kiln_bus_stream_limit_bytes", "stream", "Bytes that a stream may hold."),
        metric(Gauge, "kiln_bus_consumer_pending", "stream, consumer", "Messages not yet delivered to a consumer: its lag."),
        metric(Gauge, "kiln_bus_consumer_unacknowledged", "stream, consumer", "Messages delivered and not yet acknowledged."),
        metric(Gauge, "kiln_bus_consumer_redelivered", "stream, consumer", "Unacknowledged messages that came more than once."),
        metric(Gauge, "kiln_database_connections", "service, state", "Connections of a service's pool: used, idle."),
        metric(Gauge, "kiln_database_connections_limit", "service", "Connections that the pool may have."),
        metric(
            Histogram,
            "kiln_database_ping_duration_seconds",
            "service",
            "Time of an empty statement, with the wait for a connection.",
        ),
        metric(Counter, "kiln_database_ping_failures_total", "service", "Empty statements that Postgres did not answer."),
        metric(Counter, "kiln_scheduler_executions_accepted_total", "", "Executions taken in."),
        metric(Counter, "kiln_scheduler_executions_refused_total", "code", "Executions refused, by the code of the refusal."),
        metric(
            Counter,
            "kiln_scheduler_executions_ended_total",
            "status, reason",
            "Executions that ended, by state and cause; `lost` is the only one that is not the user's doing.",
        ),
        metric(
            Histogram,
            "kiln_scheduler_start_duration_seconds",
            "start",
            "From the acceptance of an execution to the start of its program, warm or cold: queue, bus and sandbox.",
        ),
        metric(Histogram, "kiln_scheduler_run_duration_seconds", "status", "From the start of a program to its end."),
        metric(Gauge, "kiln_scheduler_executions", "state", "Executions that have not ended: queued, dispatched, running."),
        metric(
            Gauge,
            "kiln_scheduler_oldest_queued_seconds",
            "",
            "Age of the execution that has waited longest; 0 when none waits.",
        ),
        metric(
            Gauge,
            "kiln_scheduler_reservations",
            "",
            "Places reserved in tenants' quotas; equals dispatched and running executions but for moments.",
        ),
        metric(
            Gauge,
            "kiln_scheduler_busiest_tenant_executions",
            "",
            "Dispatched and running executions of the tenant that has most.",
        ),
        metric(Gauge, "kiln_scheduler_outbox_messages", "", "Messages committed and not yet taken by NATS."),
        metric(Gauge, "kiln_scheduler_outbox_oldest_seconds", "", "Age of the oldest of these; 0 when there is none."),
        metric(Gauge, "kiln_scheduler_executors", "state", "Executors by what they last said: live, draining, silent."),
        metric(Gauge, "kiln_scheduler_slots", "", "Slots of all live executors."),
        metric(
            Counter,
            "kiln_scheduler_reservations_mended_total",
            "",
            "Tenants whose reservations did not equal their executions.",
        ),
        metric(Gauge, "kiln_executor_slots", "", "Runs that this executor can hold at once."),
        metric(Gauge, "kiln_executor_runs", "", "Runs that it holds."),
        metric(Gauge, "kiln_executor_sessions", "", "Sessions that it holds."),
        metric(Counter, "kiln_executor_runs_total", "status, start", "Runs and cells reported, by their end."),
        metric(Histogram, "kiln_executor_run_cpu_seconds", "", "CPU time of a run or cell."),
        metric(Gauge, "kiln_executor_waiting_sandboxes", "", "Sandboxes made ahead that wait for a run."),
        metric(
            Counter,
            "kiln_executor_pool_takes_total",
            "outcome",
            "Runs that found a sandbox waiting (hit) or did not (miss).",
        ),
        metric(Counter, "kiln_executor_sandbox_failures_total", "", "Runs whose sandbox could not be made or broke."),
        metric(Counter, "kiln_executor_output_bytes_total", "", "Bytes that programs print and show."),
    ]
};

/// Installs the recorder of this process, with every metric described; called once.
///
/// # Errors
/// When a recorder is already installed.
pub fn install(version: &'static str) -> Result<PrometheusHandle, BuildError> {
    let handle = PrometheusBuilder::new()
        .set_buckets_for_metric(Matcher::Suffix("_seconds".into()), &SECONDS)?
        .set_buckets_for_metric(Matcher::Full("kiln_scheduler_run_duration_seconds".into()), &RUN_SECONDS)?
        .install_recorder()?;
    METRICS.iter().for_each(describe);
    gauge!("kiln_build_info", "version" => version).set(1);
    Ok(handle)
}

fn describe(metric: &Metric) {
    let unit = match metric.name.trim_end_matches("_total").rsplit('_').next() {
        Some("seconds") => Unit::Seconds,
        Some("bytes") => Unit::Bytes,
        _ => Unit::Count,
    };
    match metric.kind {
        Kind::Counter => describe_counter!(metric.name, unit, metric.help),
        Kind::Gauge => describe_gauge!(metric.name, unit, metric.help),
        Kind::Histogram => describe_histogram!(metric.name, unit, metric.help),
    }
}

/// The table as it stands in grafana/README.md.
pub fn table() -> String {
    let mut text = "| metric | kind | labels | what |\n|---|---|---|---|\n".to_owned();
    for Metric { name, kind, labels, help } in METRICS {
        let kind = match kind {
            Kind::Counter => "counter",
            Kind::Gauge => "gauge",
            Kind::Histogram => "histogram",
        };
        text.extend(["| `", name, "` | ", kind, " | ", labels, " | ", help, " |\n"]);
    }
    text
}

/// Serves `/metrics` for a scraper.
pub fn router(handle: PrometheusHandle) -> Router {
    Router::new()
        .route("/metrics", get(async move || ([(CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], handle.render())))
}

/// Keeps the recorder's memory bounded until `stop`.
pub async fn upkeep(handle: PrometheusHandle, stop: CancellationToken) {
    let mut every = tokio::time::interval(UPKEEP);
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            _ = every.tick() => handle.run_upkeep(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_follow_the_rules() {
        for Metric { name, kind, labels, help } in METRICS {
            assert!(
                name.starts_with("kiln_") && name.chars().all(|letter| letter.is_ascii_lowercase() || letter == '_'),
                "{name}"
            );
            assert_eq!(name.ends_with("_total"), *kind == Kind::Counter, "{name}");
            assert!(help.ends_with('.'), "{name}");
            for forbidden in ["tenant", "user", "execution_id", "path", "email"] {
                assert!(!labels.split(", ").any(|label| label == forbidden), "{name} has the label {forbidden}");
            }
        }
        let mut names: Vec<_> = METRICS.iter().map(|metric| metric.name).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), METRICS.len());
    }
}
