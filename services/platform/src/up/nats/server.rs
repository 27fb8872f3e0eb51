//! One NATS server: its settings file, written at each start, and how it is started.

use std::fmt::Write;
use std::net::{Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context;
use nix::sys::signal::Signal;

use super::Found;
use super::users::{User, users};
use crate::up::child::Spec;
use crate::up::leftover;
use crate::up::secrets::{self, write_private};

/// One machine's embedded NATS.
#[derive(Debug)]
pub struct Server {
    program: Found,
    directory: PathBuf,
    settings: PathBuf,
    port: u16,
}

impl Server {
    /// Writes the settings of the Kiln in `home`; ends what an earlier, killed one may have left running.
    ///
    /// The port of the last start is taken again when it is free.
    pub fn open(program: Found, home: &Path, passwords: &secrets::Nats) -> anyhow::Result<Self> {
        let directory = home.join("nats");
        std::fs::create_dir_all(&directory).with_context(|| format!("cannot make {}", directory.display()))?;
        leftover::end(&directory, "nats-server", Signal::SIGKILL)?;
        let port = choose_port(&directory.join("port"))?;
        let settings = directory.join("nats.conf");
        write_private(&settings, render(&directory, port, passwords)?.as_bytes())?;
        Ok(Self { program, directory, settings, port })
    }

    /// How to start it.
    pub fn spec(&self) -> Spec {
        Spec {
            name: "nats-server",
            program: self.program.program.clone(),
            arguments: vec!["-c".into(), self.settings.clone().into_os_string()],
            account: None,
            directory: self.directory.clone(),
            ready_line: "Server is ready",
            ready_within: Duration::from_mins(1),
            stop_signal: Signal::SIGTERM,
            stop_within: Duration::from_secs(15),
            orphan_signal: Signal::SIGKILL,
        }
    }

    /// Where services connect.
    pub fn url(&self) -> String {
        format!("nats://127.0.0.1:{}", self.port)
    }
}

/// The port written in `memory` when it is free, else any free one, written there.
fn choose_port(memory: &Path) -> anyhow::Result<u16> {
    let last = std::fs::read_to_string(memory).ok().and_then(|text| text.trim().parse::<u16>().ok());
    let free = |port: u16| TcpListener::bind((Ipv4Addr::LOCALHOST, port)).and_then(|listener| listener.local_addr());
    let port = match last.map(free) {
        Some(Ok(address)) => address.port(),
        _ => free(0).context("no free port on loopback")?.port(),
    };
    std::fs::write(memory, port.to_string()).with_context(|| format!("cannot write {}", memory.display()))?;
    Ok(port)
}

fn render(directory: &Path, port: u16, passwords: &secrets::Nats) -> anyhow::Result<String> {
    let mut text = format!(
        "listen: \"127.0.0.1:{port}\"\n\
         server_name: kiln\n\
         max_payload: 8MB\n\
         max_connections: 256\n\
         jetstream {{\n  store_dir: {}\n  sync_interval: always\n  max_memory_store: 64MB\n  max_file_store: 128GB\n}}\n\
         authorization {{\n  users: [\n",
        serde_json::to_string(&directory.join("jetstream"))?,
    );
    for User { user, permissions } in users() {
        let password = match user {
            "operator" => &passwords.operator,
            "auth" => &passwords.auth,
            "scheduler" => &passwords.scheduler,
            "executor" => &passwords.executor,
            "result" => &passwords.result,
            _ => anyhow::bail!("{user} has no password"),
        };
        let permissions = serde_json::to_string(&permissions)?;
        writeln!(text, "    {{ user: {user}, password: \"{password}\", permissions: {permissions} }}")?;
    }
    text.push_str("  ]\n}\n");
    Ok(text)
}
