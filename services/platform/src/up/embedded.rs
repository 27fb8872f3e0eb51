//! The two servers beside Kiln: started together, started again when one falls, stopped last.

use std::net::SocketAddr;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::Context;
use secrecy::{ExposeSecret, SecretString};
use sqlx::postgres::PgConnectOptions;
use sqlx::{AssertSqlSafe, Connection, PgConnection};

use super::child::{Running, Spec};
use super::postgres::Cluster;
use super::secrets::{SecretKeys, Secrets};
use super::{nats, postgres, prometheus};
use crate::settings::{DatabaseSettings, NatsAccount, NatsSettings};

/// A server that falls more often than this within [`RESTART_WINDOW`] stops Kiln.
const MAX_RESTARTS: usize = 5;
const RESTART_WINDOW: Duration = Duration::from_mins(1);

/// The servers, running.
pub struct Embedded {
    postgres: Kept,
    nats: Kept,
    /// Beside them, when it was asked for and is there.
    prometheus: Option<Kept>,
    cluster: Cluster,
    nats_url: String,
    secrets: Secrets,
    secret_keys: SecretKeys,
}

/// A server and the times at which it was started again.
struct Kept {
    spec: Spec,
    running: Running,
    restarts: Vec<Instant>,
}

impl Embedded {
    /// Starts both in `home`. From the main task only, see [`Running::start`].
    pub async fn start(home: &Path, postgres: postgres::Found, nats: nats::Found) -> anyhow::Result<Self> {
        let file = home.join("secrets.json");
        let mut secrets = Secrets::load_or_create(&file)?;
        let secret_keys = SecretKeys::of(home);
        secret_keys.ensure(&mut secrets, &file)?;
        let cluster = Cluster::open(postgres, home, &secrets.postgres.owner)?;
        let server = nats::Server::open(nats, home, &secrets.nats)?;
        let (nats_url, postgres_spec, nats_spec) = (server.url(), cluster.spec(), server.spec());
        let (postgres, nats) = tokio::try_join!(Kept::start(postgres_spec), Kept::start(nats_spec))?;
        let embedded = Self { postgres, nats, prometheus: None, cluster, nats_url, secrets, secret_keys };
        embedded.ensure_database().await?;
        Ok(embedded)
    }

    /// How the services reach this Postgres.
    pub fn database(&self, max_connections: u32) -> DatabaseSettings {
        let passwords = &self.secrets.postgres;
        let url = |role: &str, password: &str| Some(self.cluster.url(role, password, postgres::DATABASE));
        DatabaseSettings {
            owner: url(postgres::OWNER, &passwords.owner),
            auth: url("kiln_auth", &passwords.auth),
            scheduler: url("kiln_scheduler", &passwords.scheduler),
            result: url("kiln_result", &passwords.result),
            max_connections,
        }
    }

    /// How the services reach this NATS.
    pub fn nats(&self) -> NatsSettings {
        let account = |user: &str, password: &str| {
            Some(NatsAccount { user: user.to_owned(), password: SecretString::from(password.to_owned()) })
        };
        let passwords = &self.secrets.nats;
        NatsSettings {
            url: self.nats_url.clone(),
            replicas: 1,
            operator: account("operator", &passwords.operator),
            auth: account("auth", &passwords.auth),
            scheduler: account("scheduler", &passwords.scheduler),
            executor: account("executor", &passwords.executor),
            result: account("result", &passwords.result),
        }
    }

    /// Where the keys lie that encrypt tenants' secrets.
    pub fn secret_key_file(&self) -> &Path {
        self.secret_keys.path()
    }

    /// Starts a Prometheus that reads `metrics`; gives where it is asked. From the main task only, see [`Running::start`].
    pub async fn observe(&mut self, home: &Path, metrics: SocketAddr) -> anyhow::Result<String> {
        let server = prometheus::Server::open(home, metrics)?;
        self.prometheus = Some(Kept::start(server.spec()).await?);
        Ok(server.url())
    }

    /// Keeps both running; returns only when one cannot be kept.
    pub async fn keep(&mut self) -> anyhow::Error {
        loop {
            let outcome = tokio::select! {
                ended = self.postgres.running.ended() => self.postgres.restart(&ended).await,
                ended = self.nats.running.ended() => self.nats.restart(&ended).await,
                ended = fallen(&mut self.prometheus) => {
                    // Nothing depends on it.
                    tracing::warn!(error = format!("{ended:#}"), "goes on without Prometheus");
                    self.prometheus = None;
                    Ok(())
                }
            };
            if let Err(error) = outcome {
                return error;
            }
        }
    }

    /// Stops NATS, then Postgres.
    pub async fn stop(self) -> anyhow::Result<()> {
        if let Some(prometheus) = self.prometheus
            && let Err(error) = prometheus.running.stop().await
        {
            tracing::warn!(error = format!("{error:#}"), "Prometheus was not stopped in order");
        }
        let nats = self.nats.running.stop().await;
        let postgres = self.postgres.running.stop().await;
        nats.and(postgres)
    }

    async fn ensure_database(&self) -> anyhow::Result<()> {
        let url = self.cluster.url(postgres::OWNER, &self.secrets.postgres.owner, "postgres");
        let options: PgConnectOptions = url.expose_secret().parse().context("the cluster's address")?;
        let mut connection = PgConnection::connect_with(&options).await.context("cannot connect to the embedded Postgres")?;
        let exists: bool = sqlx::query_scalar("SELECT EXISTS (SELECT FROM pg_database WHERE datname = $1)")
            .bind(postgres::DATABASE)
            .fetch_one(&mut connection)
            .await?;
        if !exists {
            sqlx::query(AssertSqlSafe(format!("CREATE DATABASE {}", postgres::DATABASE))).execute(&mut connection).await?;
        }
        connection.close().await.context("cannot close the connection to the embedded Postgres")
    }
}

/// Never where there is none.
async fn fallen(kept: &mut Option<Kept>) -> anyhow::Error {
    match kept {
        Some(kept) => kept.running.ended().await,
        None => std::future::pending().await,
    }
}

impl Kept {
    async fn start(spec: Spec) -> anyhow::Result<Self> {
        let running = Running::start(spec.clone()).await?;
        Ok(Self { spec, running, restarts: Vec::new() })
    }

    async fn restart(&mut self, ended: &anyhow::Error) -> anyhow::Result<()> {
        let now = Instant::now();
        self.restarts.retain(|at| now.duration_since(*at) < RESTART_WINDOW);
        anyhow::ensure!(self.restarts.len() < MAX_RESTARTS, "{ended:#}\n{} fell too often", self.spec.name);
        self.restarts.push(now);
        tracing::error!(error = format!("{ended:#}"), "started again");
        self.running = Running::start(self.spec.clone()).await?;
        Ok(())
    }
}
