//! `kiln up --observability`: a Prometheus beside the stack, where one is installed, with Kiln's own rules.

use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context as _;
use nix::sys::signal::Signal;

use super::child::Spec;
use super::leftover;
use super::secrets::write_private;
use crate::prerequisite::Missing;

const RULES: &str = include_str!("../../../../grafana/alerts/kiln.yaml");
/// The older half goes first.
const KEPT: [&str; 2] = ["--storage.tsdb.retention.time=7d", "--storage.tsdb.retention.size=1GB"];

/// The Prometheus of one machine.
#[derive(Debug)]
pub struct Server {
    program: PathBuf,
    directory: PathBuf,
    address: SocketAddr,
}

impl Server {
    /// Writes the settings of one that reads the metrics at `metrics`; ends what an earlier, killed Kiln may have left running.
    pub fn open(home: &Path, metrics: SocketAddr) -> anyhow::Result<Self> {
        let program = locate()?;
        let directory = home.join("prometheus");
        std::fs::create_dir_all(&directory).with_context(|| format!("cannot make {}", directory.display()))?;
        leftover::end(&directory, "prometheus", Signal::SIGKILL)?;
        write_private(&directory.join("rules.yaml"), RULES.as_bytes())?;
        write_private(&directory.join("prometheus.yaml"), settings(metrics).as_bytes())?;
        let free = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).and_then(|listener| listener.local_addr());
        Ok(Self { program, directory, address: free.context("no free port on loopback")? })
    }

    /// How to start it.
    pub fn spec(&self) -> Spec {
        let mut arguments = vec![
            "--config.file=prometheus.yaml".to_owned(),
            "--storage.tsdb.path=data".to_owned(),
            format!("--web.listen-address={}", self.address),
        ];
        arguments.extend(KEPT.map(str::to_owned));
        Spec {
            name: "prometheus",
            program: self.program.clone(),
            arguments: arguments.into_iter().map(Into::into).collect(),
            account: None,
            directory: self.directory.clone(),
            ready_line: "Server is ready to receive web requests",
            ready_within: Duration::from_secs(30),
            stop_signal: Signal::SIGTERM,
            stop_within: Duration::from_secs(15),
            orphan_signal: Signal::SIGKILL,
        }
    }

    /// Where it is asked.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }
}

fn settings(metrics: SocketAddr) -> String {
    format!(
        "global: {{ scrape_interval: 5s, evaluation_interval: 15s }}\n\
         rule_files: [rules.yaml]\n\
         scrape_configs:\n\
         - job_name: kiln\n  \
           static_configs: [{{ targets: [\"{metrics}\"] }}]\n"
    )
}

/// `$KILN_PROMETHEUS`, else the one on PATH.
fn locate() -> Result<PathBuf, Missing> {
    if let Some(program) = std::env::var_os("KILN_PROMETHEUS") {
        return Ok(program.into());
    }
    let path = std::env::var_os("PATH").unwrap_or_default();
    let found = std::env::split_paths(&path).map(|directory| directory.join("prometheus")).find(|program| program.is_file());
    found.ok_or_else(|| Missing {
        what: "prometheus, for --observability".into(),
        why: "there is none on PATH".into(),
        mend: "sudo apt-get install prometheus".into(),
    })
}
