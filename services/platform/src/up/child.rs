//! A server that Kiln runs beside itself: started until it says it is ready, stopped within a deadline.
//!
//! It has a process group of its own, so that a Ctrl-C at the terminal reaches Kiln alone and
//! the order of stopping is ours; and it dies when Kiln is killed (see `exec_child`). What it
//! prints goes to Kiln's log, and its last lines into the error when it fails.

use std::collections::VecDeque;
use std::ffi::OsString;
use std::path::PathBuf;
use std::process::{ExitStatus, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::Context;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tokio::io::{AsyncBufReadExt, AsyncRead, BufReader};
use tokio::process::{Child, Command};
use tokio::sync::oneshot;
use tokio::time::timeout;

use super::account::Account;

/// Lines of output kept for an error message.
const KEPT_LINES: usize = 20;

/// How to start and stop one server.
#[derive(Debug, Clone)]
pub struct Spec {
    pub name: &'static str,
    pub program: PathBuf,
    pub arguments: Vec<OsString>,
    /// None: the account of this process.
    pub account: Option<Account>,
    /// Where it works.
    pub directory: PathBuf,
    /// Part of the line that it prints once it serves.
    pub ready_line: &'static str,
    pub ready_within: Duration,
    /// Asks it to stop in order.
    pub stop_signal: Signal,
    pub stop_within: Duration,
    /// Sent by the kernel when Kiln dies first.
    pub orphan_signal: Signal,
}

/// A server that has said it is ready.
#[derive(Debug)]
pub struct Running {
    spec: Spec,
    process: Child,
    pid: Pid,
    last_lines: Lines,
}

type Lines = Arc<Mutex<VecDeque<String>>>;

impl Running {
    /// Starts the server and waits until it is ready.
    ///
    /// Call it from the main task: the kernel counts the death of the starting thread as the
    /// parent's, and only the main thread lives as long as the process.
    pub async fn start(spec: Spec) -> anyhow::Result<Self> {
        let mut process = command(&spec)?.spawn().with_context(|| format!("cannot start {}", spec.name))?;
        let pid = process.id().and_then(|id| i32::try_from(id).ok()).map(Pid::from_raw).context("the child has no pid")?;
        let last_lines = Lines::default();
        let (say_ready, ready) = oneshot::channel();
        let output = process.stderr.take().context("the child has no stderr")?;
        tokio::spawn(pump(spec.name, spec.ready_line, output, Arc::clone(&last_lines), say_ready));

        let mut running = Self { spec, process, pid, last_lines };
        let outcome = tokio::select! {
            Ok(()) = ready => return Ok(running),
            status = running.process.wait() => format!("ended at once ({})", status.context("wait")?),
            () = tokio::time::sleep(running.spec.ready_within) => {
                let late = format!("was not ready within {:?}", running.spec.ready_within);
                running.kill().await?;
                late
            }
        };
        anyhow::bail!("{} {outcome}; it said:\n{}", running.spec.name, running.last_lines())
    }

    /// Waits until the server ends by itself, which it never should.
    pub async fn ended(&mut self) -> anyhow::Error {
        match self.process.wait().await {
            Ok(status) => anyhow::anyhow!("{} ended by itself ({status}); it said:\n{}", self.spec.name, self.last_lines()),
            Err(error) => anyhow::Error::new(error).context(format!("{} cannot be waited for", self.spec.name)),
        }
    }

    /// Stops the server in order; kills it when its time is up.
    pub async fn stop(mut self) -> anyhow::Result<()> {
        if self.process.try_wait().context("wait")?.is_some() {
            return Ok(());
        }
        kill(self.pid, self.spec.stop_signal).with_context(|| format!("cannot signal {}", self.spec.name))?;
        if let Ok(status) = timeout(self.spec.stop_within, self.process.wait()).await {
            let status: ExitStatus = status.context("wait")?;
            tracing::info!(server = self.spec.name, %status, "stopped");
            return Ok(());
        }
        tracing::warn!(server = self.spec.name, "did not stop in time and is killed");
        self.kill().await
    }

    async fn kill(&mut self) -> anyhow::Result<()> {
        self.process.kill().await.with_context(|| format!("{} cannot be killed", self.spec.name))
    }

    fn last_lines(&self) -> String {
        let lines = self.last_lines.lock().unwrap_or_else(PoisonError::into_inner);
        lines.iter().fold(String::new(), |text, line| text + "    " + line + "\n")
    }
}

fn command(spec: &Spec) -> anyhow::Result<Command> {
    let mut command = Command::new(std::env::current_exe().context("where is this program?")?);
    command.arg("exec-child").arg(format!("--parent={}", std::process::id()));
    command.arg(format!("--orphan-signal={}", spec.orphan_signal as i32));
    if let Some(account) = spec.account.as_ref().filter(|account| account.dropped) {
        command.arg(format!("--uid={}", account.uid)).arg(format!("--gid={}", account.gid));
    }
    command.arg("--").arg(&spec.program).args(&spec.arguments);
    command.current_dir(&spec.directory).env_clear().env("PATH", "/usr/bin:/bin").env("LC_ALL", "C").env("TZ", "UTC");
    command.process_group(0).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
    Ok(command)
}

async fn pump(
    name: &'static str,
    ready_line: &'static str,
    output: impl AsyncRead + Unpin,
    last_lines: Lines,
    ready: oneshot::Sender<()>,
) {
    let mut ready = Some(ready);
    let mut lines = BufReader::new(output).lines();
    loop {
        match lines.next_line().await {
            Ok(Some(line)) => {
                if line.contains(ready_line)
                    && let Some(ready) = ready.take()
                    && ready.send(()).is_err()
                {
                    tracing::debug!(server = name, "ready too late");
                }
                tracing::debug!(server = name, line);
                let mut kept = last_lines.lock().unwrap_or_else(PoisonError::into_inner);
                if kept.len() == KEPT_LINES {
                    kept.pop_front();
                }
                kept.push_back(line);
            }
            Ok(None) => return,
            Err(error) => {
                tracing::warn!(server = name, %error, "its output cannot be read");
                return;
            }
        }
    }
}
