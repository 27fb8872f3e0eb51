//! `kiln doctor`: each thing that `kiln up` needs, whether it is there, and one line that mends it.

use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context;
use kiln_executor::runtimes::{Runtimes, RuntimesConfig};

use super::account::Account;
use super::instance::{Running, running};
use super::{isolation, nats, postgres};
use crate::output::say;
use crate::paths;
use crate::prerequisite::Missing;
use crate::settings::Settings;

/// Below this much free space Kiln may not even make its database.
const LEAST_SPACE_BYTES: u64 = 1 << 30;

/// Checks what this machine offers; exit code 1 when `kiln up` could not work.
#[derive(Debug, clap::Args)]
pub struct Doctor {
    /// The data directory that `kiln up` would use
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    /// The address that `kiln up` would use
    #[arg(long, value_name = "ADDR:PORT")]
    listen: Option<SocketAddr>,
    /// The weaker isolation that `kiln up` would be told to accept
    #[arg(long, value_name = "TIER")]
    accept_isolation: Option<String>,
    /// Settings file (TOML)
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
}

/// What came of one check.
struct Check {
    name: String,
    outcome: Outcome,
}

enum Outcome {
    Fine(String),
    /// Kiln runs without it, but weaker.
    Weak(String),
    Missing(String),
}

impl Doctor {
    pub async fn run(self) -> anyhow::Result<ExitCode> {
        let mut settings = Settings::load(self.config)?;
        let home = paths::data_dir(self.data.as_deref())?;
        let mut checks = vec![
            Check::new("Postgres", postgres::locate().map(|found| format!("{} in {}", found.version, found.bin.display()))),
            Check::new("NATS", nats::locate().map(|found| format!("{} at {}", found.version, found.program.display()))),
            Check::of("Account", Account::for_postgres().map(|account| describe(&account))),
            Check::of("Python", pythons().await),
            Check::of("Data", space(&home)),
            port(&home, self.listen.unwrap_or(settings.listen))?,
            Check::new("Isolation", isolation::accept(self.accept_isolation, &mut settings)),
        ];
        checks.extend(isolation::controls().into_iter().map(|(name, present, text)| Check {
            name: format!("  {name}"),
            outcome: if present { Outcome::Fine(text) } else { Outcome::Weak(text) },
        }));
        let mut usable = true;
        for check in &checks {
            let (mark, text) = match &check.outcome {
                Outcome::Fine(text) => ("ok", text),
                Outcome::Weak(text) => ("weak", text),
                Outcome::Missing(text) => {
                    usable = false;
                    ("MISSING", text)
                }
            };
            say(&format!("{mark:<8} {:<11} {text}", check.name));
        }
        Ok(if usable { ExitCode::SUCCESS } else { ExitCode::FAILURE })
    }
}

impl Check {
    fn new(name: &str, outcome: Result<String, Missing>) -> Self {
        Self::of(name, outcome.map_err(Into::into))
    }

    fn of(name: &str, outcome: anyhow::Result<String>) -> Self {
        let outcome = match outcome {
            Ok(text) => Outcome::Fine(text),
            Err(error) => Outcome::Missing(format!("{error:#}")),
        };
        Self { name: name.to_owned(), outcome }
    }
}

fn describe(account: &Account) -> String {
    if account.dropped { format!("Postgres runs as uid {}, since Kiln is root", account.uid) } else { "all run as you".into() }
}

/// Looks as the executor does, and keeps nothing of it.
async fn pythons() -> anyhow::Result<String> {
    let scratch = tempfile::tempdir().context("no temporary directory")?;
    let mut config = RuntimesConfig::new(scratch.path().to_owned());
    config.environments.clear();
    let runtimes = Runtimes::open(config).await?;
    let ids: Vec<String> = runtimes.list().into_iter().map(|runtime| runtime.id).filter(|id| id.starts_with("python")).collect();
    if ids.is_empty() {
        return Err(Missing {
            what: "Python 3.6 or newer".into(),
            why: "none was found on PATH, in /usr/bin or in pyenv, so there is nothing to run programs with".into(),
            mend: "sudo apt-get install -y python3".into(),
        }
        .into());
    }
    Ok(ids.join(", "))
}

/// Free space where `home` is or will be.
fn space(home: &Path) -> anyhow::Result<String> {
    let exists = home.ancestors().find(|parent| parent.exists()).unwrap_or(Path::new("/"));
    let found = nix::sys::statvfs::statvfs(exists)?;
    let free = found.blocks_available() * found.fragment_size();
    if free < LEAST_SPACE_BYTES {
        return Err(Missing {
            what: format!("disk space in {}", home.display()),
            why: format!("{} MiB are free, {} MiB are needed", free >> 20, LEAST_SPACE_BYTES >> 20),
            mend: "make room, or choose another place with --data DIR".into(),
        }
        .into());
    }
    anyhow::ensure!(
        nix::unistd::access(exists, nix::unistd::AccessFlags::W_OK).is_ok(),
        Missing {
            what: format!("a writable {}", home.display()),
            why: "this user may not write there".into(),
            mend: "choose another place with --data DIR".into(),
        }
    );
    Ok(format!("{}, {} GiB free", home.display(), free >> 30))
}

fn port(home: &Path, address: SocketAddr) -> anyhow::Result<Check> {
    if let Running::Serving(state) = running(home)? {
        return Ok(Check { name: "Address".to_owned(), outcome: Outcome::Fine(format!("Kiln runs already, at {}", state.url)) });
    }
    Ok(Check::of(
        "Address",
        match TcpListener::bind(address) {
            Ok(_) => Ok(format!("{address} is free")),
            Err(error) => {
                Err(Missing { what: address.to_string(), why: error.to_string(), mend: "kiln up --listen 127.0.0.1:0".into() }
                    .into())
            }
        },
    ))
}
