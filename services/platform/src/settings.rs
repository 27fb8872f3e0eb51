//! Every setting of a Kiln process. Each service brings its own table; see `kiln_runtime::config` for the layers.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};

use anyhow::Context;
use kiln_bus::BusConfig;
use kiln_runtime::config;
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;

use crate::target::Target;

/// `KILN_*` variables that are no settings of the services.
const RESERVED: [&str; 12] = [
    "config",
    "log",
    "log_format",
    "pg_bin",
    "nats_server",
    "prometheus",
    "data",
    "bin",
    "server",
    "api_key",
    "mail_dir",
    "test_mode",
];

/// All settings, with their defaults.
#[derive(Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// Where HTTP is served.
    pub listen: SocketAddr,
    /// Where metrics are served; nowhere when absent.
    pub metrics_listen: Option<SocketAddr>,
    pub database: DatabaseSettings,
    pub nats: NatsSettings,
    /// Rates and trusted proxies.
    pub http: kiln_http::EdgeConfig,
    pub auth: kiln_auth::Config,
    pub scheduler: kiln_scheduler::Config,
    pub executor: kiln_executor::Config,
    pub result: kiln_result::Config,
}

/// Connection addresses, `postgres://role:password@host/database`. Only those in use need be given.
#[derive(Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct DatabaseSettings {
    /// The role that migrates and owns the tables.
    pub owner: Option<SecretString>,
    pub auth: Option<SecretString>,
    pub scheduler: Option<SecretString>,
    pub result: Option<SecretString>,
    /// Connections that one service holds at most.
    pub max_connections: u32,
}

/// NATS and the account of each service in it.
#[derive(Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct NatsSettings {
    /// `nats://host:port`, several with commas.
    pub url: String,
    /// Copies of each stream: 1 for a single server, 3 for a cluster.
    pub replicas: usize,
    /// The account that makes the streams.
    pub operator: Option<NatsAccount>,
    pub auth: Option<NatsAccount>,
    pub scheduler: Option<NatsAccount>,
    pub executor: Option<NatsAccount>,
    pub result: Option<NatsAccount>,
}

/// A name and password in NATS.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NatsAccount {
    pub user: String,
    pub password: SecretString,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 8080)),
            metrics_listen: None,
            database: DatabaseSettings::default(),
            nats: NatsSettings::default(),
            http: kiln_http::EdgeConfig::default(),
            auth: kiln_auth::Config::default(),
            scheduler: kiln_scheduler::Config::default(),
            executor: kiln_executor::Config::default(),
            result: kiln_result::Config::default(),
        }
    }
}

impl Default for DatabaseSettings {
    fn default() -> Self {
        Self { owner: None, auth: None, scheduler: None, result: None, max_connections: 12 }
    }
}

impl Default for NatsSettings {
    fn default() -> Self {
        Self {
            url: "nats://127.0.0.1:4222".into(),
            replicas: 1,
            operator: None,
            auth: None,
            scheduler: None,
            executor: None,
            result: None,
        }
    }
}

impl Settings {
    /// Reads `--config`, else the file that `KILN_CONFIG` names, else no file; then the environment.
    pub fn load(file: Option<PathBuf>) -> anyhow::Result<Self> {
        let file = file.or_else(|| std::env::var_os("KILN_CONFIG").map(PathBuf::from));
        let mut settings: Self = config::load(file.as_deref().map(Path::new), &RESERVED)?;
        // The contract's own name for it.
        if let Some(directory) = std::env::var_os("KILN_MAIL_DIR").filter(|directory| !directory.is_empty()) {
            settings.auth.mail.directory = Some(directory.into());
        }
        Ok(settings)
    }

    /// Puts what the settings leave open below the data directory `home` of `kiln up`.
    pub fn place_below(&mut self, home: &Path) {
        if self.executor.data_dir == kiln_executor::Config::default().data_dir {
            self.executor.data_dir = home.join("executor");
        }
    }

    /// The database address of a service that has a database.
    pub fn database_url(&self, target: Target) -> anyhow::Result<Option<&SecretString>> {
        let url = match target {
            Target::Auth => &self.database.auth,
            Target::Scheduler => &self.database.scheduler,
            Target::Result => &self.database.result,
            Target::Executor | Target::Web => return Ok(None),
        };
        url.as_ref().map(Some).with_context(|| missing(&format!("database.{target}"), &format!("KILN_DATABASE__{target}")))
    }

    /// The database address of the owner.
    pub fn owner_url(&self) -> anyhow::Result<&SecretString> {
        self.database.owner.as_ref().with_context(|| missing("database.owner", "KILN_DATABASE__OWNER"))
    }

    /// How a service connects to NATS.
    pub fn bus(&self, target: Target) -> anyhow::Result<BusConfig> {
        let account = match target {
            Target::Auth => &self.nats.auth,
            Target::Scheduler => &self.nats.scheduler,
            Target::Executor => &self.nats.executor,
            Target::Result => &self.nats.result,
            Target::Web => anyhow::bail!("the web app has no bus"),
        };
        let account = account.as_ref().with_context(|| {
            missing(&format!("nats.{target}"), &format!("KILN_NATS__{target}__USER and KILN_NATS__{target}__PASSWORD"))
        })?;
        Ok(self.bus_config(account, &format!("kiln-{target}")))
    }

    /// How the operator connects to NATS; None when no such account is given.
    pub fn operator_bus(&self) -> Option<BusConfig> {
        self.nats.operator.as_ref().map(|account| self.bus_config(account, "kiln-operator"))
    }

    fn bus_config(&self, account: &NatsAccount, name: &str) -> BusConfig {
        BusConfig {
            url: self.nats.url.clone(),
            user: account.user.clone(),
            password: account.password.expose_secret().to_owned(),
            name: name.to_owned(),
        }
    }
}

fn missing(key: &str, variables: &str) -> String {
    format!("setting {key} is missing: give it in the settings file or as {}", variables.to_uppercase())
}
