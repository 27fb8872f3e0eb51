//! The command `kiln up` itself: prerequisites, servers, migrations, services, the line that says it is ready; and back.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::Context;
use kiln_runtime::shutdown;
use tokio_util::sync::CancellationToken;

use super::embedded::Embedded;
use super::instance::{Held, State};
use super::{isolation, nats, postgres};
use crate::assemble::Readiness;
use crate::migrate;
use crate::output::say;
use crate::paths;
use crate::process::{Listeners, Process};
use crate::serve::{bind, metrics_router};
use crate::settings::Settings;
use crate::target::Target;

/// Longest wait for the services to be ready once they are built.
const READY_WITHIN: Duration = Duration::from_mins(1);
/// How often they are asked meanwhile.
const ASK_EVERY: Duration = Duration::from_millis(20);

/// Starts everything on this machine and serves until Ctrl-C.
#[derive(Debug, clap::Args)]
pub struct Up {
    /// Where HTTP is served; port 0 takes any free one [default: 127.0.0.1:8080]
    #[arg(long, value_name = "ADDR:PORT")]
    listen: Option<SocketAddr>,
    /// Where data lives [default: $XDG_DATA_HOME/kiln, ~/.local/share/kiln, for root /var/lib/kiln]
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    /// Opens no browser
    #[arg(long)]
    no_open: bool,
    /// Starts although this machine isolates runs only to this degree (see `kiln doctor`)
    #[arg(long, value_name = "TIER")]
    accept_isolation: Option<String>,
    /// Runs Prometheus beside the stack, where it is installed, with Kiln's alerts
    #[arg(long)]
    observability: bool,
    /// Settings file (TOML)
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
}

impl Up {
    pub async fn run(self) -> anyhow::Result<()> {
        let mut settings = Settings::load(self.config.clone())?;
        settings.listen = self.listen.unwrap_or(settings.listen);
        let home = paths::data_dir(self.data.as_deref())?;
        let isolation = isolation::accept(self.accept_isolation, &mut settings)?;
        let held = Held::take(&home)?;

        let shutdown = shutdown::on_signals()?;
        let public = bind(settings.listen, "listen").await?;
        let address = reachable(public.local_addr().context("the listener has no address")?);
        let metrics_address = settings.metrics_listen.unwrap_or(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)));
        let metrics = (bind(metrics_address, "metrics-listen").await?, metrics_router(&shutdown)?);
        let metrics_address = reachable(metrics.0.local_addr().context("the metrics listener")?);
        let metrics_url = format!("http://{metrics_address}/metrics");

        let postgres = postgres::locate().or_else(postgres::fetch)?;
        let nats = nats::locate().or_else(nats::fetch)?;
        let mut state = State {
            url: format!("http://{address}"),
            metrics_url: Some(metrics_url),
            prometheus_url: None,
            pid: i32::try_from(std::process::id()).context("pid")?,
            started_at: jiff::Timestamp::now(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            data: home.clone(),
            postgres: postgres.version.clone(),
            nats: nats.version.clone(),
            isolation,
        };
        let mut embedded = Embedded::start(&home, postgres, nats).await?;
        if self.observability {
            match embedded.observe(&home, metrics_address).await {
                Ok(url) => state.prometheus_url = Some(url),
                Err(error) => eprintln!("kiln: goes on without Prometheus: {error:#}"),
            }
        }
        settings.database = embedded.database(settings.database.max_connections);
        settings.nats = embedded.nats();
        if settings.auth.secret_key.is_none() && settings.auth.secret_key_file.is_none() {
            settings.auth.secret_key_file = Some(embedded.secret_key_file().to_owned());
        }
        settings.place_below(&home);
        if settings.auth.public_url == kiln_auth::Config::default().public_url {
            settings.auth.public_url = format!("http://{address}");
        }

        let listeners = Listeners { public, metrics: Some(metrics) };
        let outcome = tokio::select! {
            outcome = serve(&settings, listeners, &shutdown, &held, &state, self.no_open) => outcome,
            error = embedded.keep() => Err(error),
        };
        let stopped = embedded.stop().await;
        held.retract()?;
        outcome.and(stopped)
    }
}

async fn serve(
    settings: &Settings,
    listeners: Listeners,
    shutdown: &CancellationToken,
    held: &Held,
    state: &State,
    no_open: bool,
) -> anyhow::Result<()> {
    tokio::try_join!(migrate::database(settings), migrate::streams(settings))?;
    let process = Process::build(&Target::ALL, settings, shutdown).await?;
    let readiness = process.readiness();
    let running = process.run(listeners, shutdown.clone());
    tokio::pin!(running);
    tokio::select! {
        outcome = &mut running => return outcome,
        ready = all_ready(&readiness) => ready?,
    }
    held.publish(state)?;
    announce(state);
    if !no_open {
        open_browser(&state.url);
    }
    tokio::select! {
        outcome = &mut running => return outcome,
        () = shutdown.cancelled() => eprintln!("Kiln is stopping; a second Ctrl-C ends it at once"),
    }
    running.await
}

async fn all_ready(readiness: &Readiness) -> anyhow::Result<()> {
    let mut every = tokio::time::interval(ASK_EVERY);
    let asked = async {
        loop {
            every.tick().await;
            if readiness.ask().await.iter().all(|(_, answer)| answer.is_ok()) {
                return;
            }
        }
    };
    if tokio::time::timeout(READY_WITHIN, asked).await.is_ok() {
        return Ok(());
    }
    let answers = readiness.ask().await;
    let faults: Vec<String> =
        answers.into_iter().filter_map(|(name, answer)| Some(format!("{name}: {}", answer.err()?))).collect();
    anyhow::bail!("not ready within {READY_WITHIN:?}: {}", faults.join("; "))
}

fn announce(state: &State) {
    say(&format!(
        "Kiln {}\n  API docs   {}/docs\n  Metrics    {}\n  Isolation  {}\n  Data       {}\n  Stop       Ctrl-C, or `kiln down`\nKiln is ready at {}",
        state.version,
        state.url,
        state.metrics_lines(),
        state.isolation,
        state.data.display(),
        state.url,
    ));
}

/// An address that a browser on this machine can open.
fn reachable(mut address: SocketAddr) -> SocketAddr {
    if address.ip().is_unspecified() {
        address.set_ip(match address.ip() {
            IpAddr::V4(_) => Ipv4Addr::LOCALHOST.into(),
            IpAddr::V6(_) => Ipv6Addr::LOCALHOST.into(),
        });
    }
    address
}

/// Only where somebody sits at a desktop. That it fails is no fault of Kiln's.
fn open_browser(url: &str) {
    let desktop = ["DISPLAY", "WAYLAND_DISPLAY"].iter().any(|name| std::env::var_os(name).is_some());
    if !desktop || nix::unistd::geteuid().is_root() {
        return;
    }
    let opened = Command::new("xdg-open").arg(url).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).status();
    if let Err(error) = opened {
        tracing::debug!(%error, "no browser was opened");
    }
}
