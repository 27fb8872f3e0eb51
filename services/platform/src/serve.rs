//! `kiln serve`: chosen services against a Postgres and a NATS that somebody else runs.

use std::net::SocketAddr;
use std::path::PathBuf;

use anyhow::Context;
use axum::Router;
use kiln_runtime::{metrics, shutdown};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::output::say;
use crate::process::{Listeners, Process};
use crate::settings::Settings;
use crate::target::Targets;

/// Runs some of Kiln's services.
#[derive(Debug, clap::Args)]
pub struct Serve {
    /// Services, with commas: auth, scheduler, executor, result, web, or all
    #[arg(long)]
    target: Targets,
    /// Where HTTP is served, instead of the setting `listen`
    #[arg(long, value_name = "ADDR:PORT")]
    listen: Option<SocketAddr>,
    /// Where metrics are served, instead of the setting `metrics_listen`
    #[arg(long, value_name = "ADDR:PORT")]
    metrics_listen: Option<SocketAddr>,
    /// Settings file (TOML)
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
}

impl Serve {
    pub async fn run(self) -> anyhow::Result<()> {
        let mut settings = Settings::load(self.config)?;
        settings.listen = self.listen.unwrap_or(settings.listen);
        settings.metrics_listen = self.metrics_listen.or(settings.metrics_listen);

        let shutdown = shutdown::on_signals()?;
        let public = bind(settings.listen, "listen").await?;
        let address = public.local_addr().context("the listener has no address")?;
        let metrics = match settings.metrics_listen {
            Some(address) => Some((bind(address, "metrics-listen").await?, metrics_router(&shutdown)?)),
            None => None,
        };
        let process = Process::build(&self.target.0, &settings, &shutdown).await?;
        say(&format!("Kiln serves at http://{address}"));
        process.run(Listeners { public, metrics }, shutdown).await
    }
}

/// Listens on `address`, which the flag `--<flag>` can change.
pub async fn bind(address: SocketAddr, flag: &str) -> anyhow::Result<TcpListener> {
    TcpListener::bind(address).await.with_context(|| {
        format!("cannot listen on {address}: choose another with --{flag} ADDR:PORT (port 0 takes any free one)")
    })
}

/// Installs the metrics recorder and keeps it small until `shutdown`.
pub fn metrics_router(shutdown: &CancellationToken) -> anyhow::Result<Router> {
    let handle = metrics::install(env!("CARGO_PKG_VERSION")).context("metrics")?;
    tokio::spawn(metrics::upkeep(handle.clone(), shutdown.clone()));
    Ok(metrics::router(handle))
}
