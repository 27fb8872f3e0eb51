//! `kiln wait`: until a service would find its Postgres and NATS, migrated. What a pod waits for before it starts.

use std::time::{Duration, Instant};

use anyhow::Context as _;
use kiln_bus::Bus;
use kiln_db::Database;
use kiln_events::subject;
use secrecy::ExposeSecret as _;

use crate::settings::Settings;
use crate::target::Targets;

/// Between two tries.
const EVERY: Duration = Duration::from_millis(500);

/// Waits until the services' Postgres and NATS are there and migrated, with the services' own credentials
#[derive(Debug, clap::Args)]
pub struct Wait {
    /// Services, with commas: auth, scheduler, executor, result, web, or all
    #[arg(long)]
    target: Targets,
    /// Seconds after which it gives up
    #[arg(long, value_name = "SECONDS", default_value_t = 300)]
    within_s: u64,
}

impl Wait {
    pub async fn run(self) -> anyhow::Result<()> {
        let settings = Settings::load(None)?;
        for target in self.target.0.iter().filter(|target| target.has_bus()) {
            settings.database_url(*target).and(settings.bus(*target).map(drop))?;
        }
        let deadline = Instant::now() + Duration::from_secs(self.within_s);
        while let Err(missing) = self.look(&settings).await {
            if Instant::now() + EVERY > deadline {
                return Err(missing.context(format!("not there within {} s", self.within_s)));
            }
            tracing::info!(missing = format!("{missing:#}"), "waits");
            tokio::time::sleep(EVERY).await;
        }
        Ok(())
    }

    /// The roles may log in once the migrations have run, and the streams are made with them.
    async fn look(&self, settings: &Settings) -> anyhow::Result<()> {
        for target in self.target.0.iter().copied().filter(|target| target.has_bus()) {
            let bus = Bus::connect(&settings.bus(target)?).await.with_context(|| format!("NATS, as {target}"))?;
            let stream = bus.jetstream().get_stream(subject::TASKS).await;
            stream.with_context(|| format!("stream {}, as {target}", subject::TASKS))?;
            bus.drain().await;
            if let Some(url) = settings.database_url(target)? {
                let database = Database::connect(url.expose_secret(), target.name(), 1).await;
                database.with_context(|| format!("Postgres, as {target}"))?.close().await;
            }
        }
        Ok(())
    }
}
