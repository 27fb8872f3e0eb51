//! One NATS server: its settings file, written at each start, and how it is started.

use std::fmt::Write;
use std::net::{Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context;
use nix::sys::signal::Signal;

use super::Found;
use crate::up::child::Spec;
use crate::up::leftover;
use crate::up::secrets::{self, write_private};

/// Subjects that a service may publish to and subscribe to, beside those that all need.
struct Access {
    publish: &'static [&'static str],
    subscribe: &'static [&'static str],
    /// What it must not publish, and must not hear or answer, although the above would let it.
    deny: &'static [&'static str],
    deaf: &'static [&'static str],
}

/// Where auth gives values of secrets away, and does what the operator says.
const SECRETS: &str = "kiln.control.v1.auth.secrets";
const ADMIN: &str = "kiln.control.v1.auth.admin";

/// What every service needs: JetStream, its object store, and to answer. Answers to itself come below an inbox of its own.
const SHARED: &[&str] = &["$JS.>", "$O.>", "_INBOX.>"];

const OPERATOR: Access = Access { publish: &[">"], subscribe: &[">"], deny: &[], deaf: &[] };
const AUTH: Access = Access {
    publish: &["kiln.event.v1.auth.>", "kiln.control.v1.>"],
    subscribe: &["kiln.event.v1.>", "kiln.control.v1.auth.>"],
    deny: &[],
    deaf: &[],
};
const SCHEDULER: Access = Access {
    publish: &["kiln.task.v1.>", "kiln.event.v1.scheduler.>", "kiln.output.v1.>", "kiln.control.v1.>"],
    subscribe: &["kiln.event.v1.>", "kiln.control.v1.scheduler.>", "kiln.stored.v1.>"],
    deny: &[ADMIN],
    deaf: &[],
};
const EXECUTOR: Access = Access {
    // Of auth it may ask what every verifier of callers asks, and nothing else.
    publish: &[
        "kiln.event.v1.executor.>",
        "kiln.output.v1.>",
        "kiln.control.v1.scheduler.>",
        "kiln.control.v1.auth.keys",
        "kiln.control.v1.auth.api_key",
    ],
    subscribe: &["kiln.stdin.v1.>", "kiln.event.v1.>", "kiln.control.v1.>"],
    // What makes executions is for the services that know who asks.
    deny: &["kiln.control.v1.scheduler.run_batch", "kiln.control.v1.scheduler.finish_session"],
    // It runs what strangers wrote; if it fell, it must not pass for another service. Its own subject is named by its id.
    deaf: &["kiln.control.v1.auth.>", "kiln.control.v1.scheduler.>", "kiln.control.v1.result.>"],
};
const RESULT: Access = Access {
    publish: &["kiln.event.v1.result.>", "kiln.stdin.v1.>", "kiln.stored.v1.>", "kiln.control.v1.>"],
    deny: &[SECRETS, ADMIN],
    deaf: &[],
    subscribe: &["kiln.event.v1.>", "kiln.output.v1.>", "kiln.stored.v1.>", "kiln.control.v1.result.>"],
};

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
    let users = [
        ("operator", &passwords.operator, OPERATOR),
        ("auth", &passwords.auth, AUTH),
        ("scheduler", &passwords.scheduler, SCHEDULER),
        ("executor", &passwords.executor, EXECUTOR),
        ("result", &passwords.result, RESULT),
    ];
    for (user, password, access) in users {
        let publish = serde_json::to_string(&[SHARED, access.publish].concat())?;
        let inbox = format!("_INBOX.{user}.>");
        let subscribe = serde_json::to_string(&[&["$JS.>", "$O.>", inbox.as_str()], access.subscribe].concat())?;
        let deny = serde_json::to_string(access.deny)?;
        let deaf = serde_json::to_string(access.deaf)?;
        writeln!(
            text,
            "    {{ user: {user}, password: \"{password}\", permissions: {{ publish: {{ allow: {publish}, deny: {deny} }}, subscribe: {{ allow: {subscribe}, deny: {deaf} }} }} }}"
        )?;
    }
    text.push_str("  ]\n}\n");
    Ok(text)
}
