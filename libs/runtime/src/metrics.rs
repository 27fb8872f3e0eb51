//! The process's metrics: one Prometheus recorder, rendered on a port of its own.

use std::time::Duration;

use axum::Router;
use axum::http::header::CONTENT_TYPE;
use axum::routing::get;
use metrics_exporter_prometheus::{BuildError, Matcher, PrometheusBuilder, PrometheusHandle};
use tokio_util::sync::CancellationToken;

/// Upper bounds in seconds, on and around the service levels.
const SECONDS: [f64; 14] = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0];

/// How often histograms are folded together, so that they stay small between two scrapes.
const UPKEEP: Duration = Duration::from_secs(5);

/// Installs the recorder of this process; called once.
///
/// # Errors
/// When a recorder is already installed.
pub fn install() -> Result<PrometheusHandle, BuildError> {
    PrometheusBuilder::new().set_buckets_for_metric(Matcher::Suffix("_seconds".into()), &SECONDS)?.install_recorder()
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
