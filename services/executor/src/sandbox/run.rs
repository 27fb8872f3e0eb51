//! One run under way: reports become events, the end becomes a verdict, and nothing is left.

use std::os::fd::AsFd;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use bytes::Bytes;
use jiff::Timestamp;
use kiln_domain::{Ended, Limits, OutputFile, ReasonCode, Start};
use kiln_runner_protocol::dialogue::{RunReport, Running, Step};
use kiln_runner_protocol::{Command, Exit, STDIN_WINDOW_BYTES};
use tokio::sync::{Semaphore, mpsc};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::artifacts::{Harvest, Since, collect};
use super::files::Written;
use super::prepared::{Reader, Started, abandon};
use super::stdin::{Feed, write};
use super::verdict::{Evidence, Killed, verdict};
use super::wire::Counters;
use super::workspace::{Script, Workspace};
use super::{Artifact, InputError, Run, RunEnd, RunEvent};

/// Events that may wait for who takes them; then the program blocks.
const EVENTS: usize = 16;
/// Commands that may wait to be sent.
const COMMANDS: usize = 16;
/// Calls of input that may wait to be taken.
const INPUTS: usize = 4;
/// How long the runner may be silent after it was to stop the tree; then the sandbox is killed from outside.
const PATIENCE: Duration = Duration::from_millis(800);
/// How long a killed sandbox may take to die.
const LAST_PATIENCE: Duration = Duration::from_secs(10);

/// Values, keys and lists in one display. A figure is one string; one that is drawn from its data may have some thousands.
const MAX_DISPLAY_PARTS: usize = 250_000;

/// What is known of a run before it begins.
pub struct About {
    pub limits: Limits,
    pub start: Start,
    pub isolation: String,
    pub interactive: bool,
    pub written: Written,
    /// The workspace that is its working directory, if it is one.
    pub workspace: Option<InWorkspace>,
}

/// A run's part of a workspace.
pub struct InWorkspace {
    pub workspace: Arc<Workspace>,
    pub script: Script,
    /// What has changed since is what it changed.
    pub since: Since,
}

/// The way to a running program. Clones are the same way.
#[derive(Debug, Clone)]
pub struct RunControl {
    commands: mpsc::Sender<Command>,
    /// Taken when the input is closed; `None` for a run that is not interactive.
    input: Option<Arc<std::sync::Mutex<Option<mpsc::Sender<Bytes>>>>>,
    cancelled: Arc<OnceLock<ReasonCode>>,
    cancel: CancellationToken,
    meter: super::prepared::Meter,
}

impl RunControl {
    /// CPU time that the run has used so far, in milliseconds; none where the tier does not count it.
    pub async fn cpu_ms(&self) -> Option<u64> {
        self.meter.cpu_ms().await
    }

    /// Queues bytes for an interactive run's standard input; waits while earlier ones have not been taken.
    pub async fn stdin(&self, bytes: Bytes) -> Result<(), InputError> {
        if bytes.len() > STDIN_WINDOW_BYTES {
            return Err(InputError::TooLarge);
        }
        let input = self.input.as_ref().ok_or(InputError::NotInteractive)?;
        let sender = input.lock().unwrap_or_else(std::sync::PoisonError::into_inner).clone();
        sender.ok_or(InputError::Closed)?.send(bytes).await.map_err(|_| InputError::Closed)
    }

    /// Ends an interactive run's standard input, after what was queued.
    pub fn close_stdin(&self) -> Result<(), InputError> {
        let input = self.input.as_ref().ok_or(InputError::NotInteractive)?;
        let taken = input.lock().unwrap_or_else(std::sync::PoisonError::into_inner).take();
        taken.map(drop).ok_or(InputError::Closed)
    }

    /// Sends a signal, such as `SIGINT`, to the program's process group.
    pub fn signal(&self, name: &str) -> Result<(), InputError> {
        let signal = name.parse::<nix::sys::signal::Signal>().map_err(|_| InputError::UnknownSignal(name.to_owned()))?;
        self.commands.try_send(Command::Signal(signal as i32)).map_err(|_| InputError::Closed)
    }

    /// Kills the whole tree; the run ends as cancelled for this reason unless it has ended before.
    pub fn cancel(&self, reason: ReasonCode) {
        // The first reason stays.
        let _ = self.cancelled.set(reason);
        self.cancel.cancel();
    }
}

/// Takes a started program over: the tasks that serve it belong to `tasks`.
pub fn begin(started: Started, about: About, stdin: Vec<u8>, tasks: &TaskTracker) -> Run {
    let (events, receiver) = mpsc::channel(EVENTS);
    let (commands, commands_receiver) = mpsc::channel(COMMANDS);
    let (input, later) = if about.interactive {
        let (sender, receiver) = mpsc::channel(INPUTS);
        (Some(Arc::new(std::sync::Mutex::new(Some(sender)))), Some(receiver))
    } else {
        (None, None)
    };
    let (feed, credit) = Feed::new(stdin.into(), later);
    let meter = started.lease.meter();
    let control = RunControl { commands, input, cancelled: Arc::default(), cancel: CancellationToken::new(), meter };
    let started_at = started.at;
    let deadline = Instant::now() + Duration::from_millis(about.limits.timeout_ms);
    let Started { lease, workspace, reader, writer, running, .. } = started;
    let over = CancellationToken::new();
    tasks.spawn(write(writer, commands_receiver, feed, over.clone()));
    let keeper = Keeper {
        reader,
        events,
        credit,
        commands: control.commands.clone(),
        cancelled: Arc::clone(&control.cancelled),
        cancel: control.cancel.clone(),
        killed: None,
        patience: deadline + PATIENCE,
        began: Instant::now(),
        _over: over.drop_guard(),
    };
    let after = After { lease, workspace, about, started_at };
    tasks.spawn(keep(keeper, running, after));
    Run { events: receiver, control, started_at }
}

/// What outlasts the program.
struct After {
    lease: super::prepared::Lease,
    workspace: Arc<std::os::fd::OwnedFd>,
    about: About,
    started_at: Timestamp,
}

/// Serves one running program.
struct Keeper {
    reader: Reader,
    events: mpsc::Sender<RunEvent>,
    credit: Arc<Semaphore>,
    commands: mpsc::Sender<Command>,
    cancelled: Arc<OnceLock<ReasonCode>>,
    cancel: CancellationToken,
    /// Set when the sandbox was killed from outside, because the runner was silent.
    killed: Option<Killed>,
    /// Until when the runner may be silent.
    patience: Instant,
    began: Instant,
    /// Ends the writing side with this one.
    _over: tokio_util::sync::DropGuard,
}

async fn keep(mut keeper: Keeper, running: Running, after: After) {
    let exit = keeper.listen(running, &after).await;
    keeper.credit.close();
    let wall = keeper.began.elapsed();
    let cancelled = keeper.cancelled.get().copied();
    let (events, killed) = (keeper.events.clone(), keeper.killed);
    drop(keeper);
    let end = after.conclude(exit, killed, cancelled, wall).await;
    // A run that nobody watches any more has been removed all the same.
    let _ = events.send(RunEvent::Ended(Box::new(end))).await;
}

impl Keeper {
    /// Passes reports on until the end; `None` when the sandbox ended without one.
    async fn listen(&mut self, mut running: Running, after: &After) -> Option<Box<Exit>> {
        let mut stopping = false;
        loop {
            let report = tokio::select! {
                report = self.reader.next() => report,
                () = self.cancel.cancelled(), if !stopping => {
                    stopping = true;
                    self.stop();
                    continue;
                }
                // Nobody takes the events any more: the run is of no use to anyone.
                () = self.events.closed(), if !stopping => {
                    stopping = true;
                    self.stop();
                    continue;
                }
                () = tokio::time::sleep_until(self.patience) => {
                    if !self.kill(after).await {
                        return None;
                    }
                    continue;
                }
            };
            let step = match report {
                Ok(Some(report)) => running.receive(report),
                Ok(None) => return None,
                Err(failure) => {
                    tracing::error!(%failure, "a sandbox's runner broke the protocol");
                    return None;
                }
            };
            running = match step {
                Ok(Step::Continue(running, report)) => {
                    self.pass_on(report).await;
                    running
                }
                Ok(Step::Over(exit)) => return Some(exit),
                Err(error) => {
                    tracing::error!(%error, "a sandbox's runner broke the protocol");
                    return None;
                }
            };
        }
    }

    fn stop(&mut self) {
        self.patience = self.patience.min(Instant::now() + PATIENCE);
        // When the way is full the patience ends it.
        let _ = self.commands.try_send(Command::Kill);
    }

    /// The runner is silent: kills the sandbox from outside. False when that has been done and did not help.
    async fn kill(&mut self, after: &After) -> bool {
        if self.killed.is_some() {
            tracing::error!("a killed sandbox has not died");
            return false;
        }
        self.killed = Some(if self.cancel.is_cancelled() { Killed::Cancelled } else { Killed::WallTime });
        self.patience = Instant::now() + LAST_PATIENCE;
        after.lease.kill().await.is_ok()
    }

    async fn pass_on(&mut self, report: RunReport) {
        let event = match report {
            RunReport::Output { stream, bytes } => RunEvent::Output { stream, bytes: bytes.into() },
            RunReport::WaitingForInput(waiting) => RunEvent::WaitingForInput(waiting),
            RunReport::StdinTaken(count) => {
                self.credit.add_permits((count as usize).min(STDIN_WINDOW_BYTES - self.credit.available_permits()));
                return;
            }
            RunReport::Display(document) => match display(&document, false) {
                Some(output) => RunEvent::Display(output),
                None => return,
            },
            RunReport::KernelReady { .. } | RunReport::CellEnded(_) | RunReport::Answered(_) => {
                tracing::error!("a run's runner speaks of a session");
                return;
            }
        };
        // A closed channel is noticed by the loop. While it is full, the program blocks; the runner keeps the clock.
        let waited = Instant::now();
        let _ = self.events.send(event).await;
        self.patience += waited.elapsed();
    }
}

/// The commas, colons and opening brackets of a JSON text that are not in its strings.
fn parts(document: &[u8]) -> impl Iterator<Item = ()> {
    let (mut in_string, mut is_escaped) = (false, false);
    document.iter().filter_map(move |byte| {
        match byte {
            _ if is_escaped => is_escaped = false,
            b'\\' => is_escaped = in_string,
            b'"' => in_string = !in_string,
            b',' | b':' | b'[' | b'{' if !in_string => return Some(()),
            _ => {}
        }
        None
    })
}

/// The document when it is an nbformat `display_data` output, or one of Jupyter's messages about those that are there; in
/// sessions also the other outputs.
pub fn display(document: &[u8], session: bool) -> Option<serde_json::Value> {
    // Each part takes many times the memory of its text.
    if parts(document).nth(MAX_DISPLAY_PARTS).is_some() {
        return None;
    }
    let value: serde_json::Value = serde_json::from_slice(document).ok()?;
    let kind = value.get("output_type").and_then(serde_json::Value::as_str)?;
    let is = |name: &str, test: fn(&serde_json::Value) -> bool| value.get(name).is_some_and(test);
    let fits = match kind {
        "display_data" | "update_display_data" => is("data", serde_json::Value::is_object),
        "execute_result" => session && is("data", serde_json::Value::is_object),
        "error" => session && is("ename", serde_json::Value::is_string) && is("traceback", serde_json::Value::is_array),
        "clear_output" => true,
        _ => false,
    };
    fits.then_some(value)
}

impl After {
    /// Removes the sandbox, collects its files, judges.
    async fn conclude(
        self,
        exit: Option<Box<Exit>>,
        killed: Option<Killed>,
        cancelled: Option<ReasonCode>,
        wall: Duration,
    ) -> RunEnd {
        let Self { lease, workspace, about, started_at } = self;
        let (directory, since, kept) = match about.workspace {
            Some(InWorkspace { workspace, script, since }) => (workspace.files(), Some(since), Some((workspace, script))),
            None => (Arc::clone(&workspace), None, None),
        };
        let (counters, harvest) = if exit.is_some() {
            // The runner has seen every process dead, so the files stand still.
            tokio::join!(finish(lease, true), gather(directory, about.written, since))
        } else {
            let counters = finish(lease, false).await;
            (counters, gather(directory, about.written, since).await)
        };
        let held = !harvest.artifacts.is_empty() || kept.is_some();
        // Unmounting may wait for a disk, so not here.
        drop(tokio::task::spawn_blocking(move || {
            abandon(&workspace, held);
            drop((workspace, kept));
        }));
        let evidence = Evidence { exit: exit.as_deref(), counters, killed, cancelled, limits: about.limits, wall };
        let mut ended = verdict(&evidence);
        let artifacts = list(harvest, &mut ended);
        RunEnd { ended, artifacts, started_at, finished_at: Timestamp::now(), start: about.start, isolation: about.isolation }
    }
}

async fn finish(lease: super::prepared::Lease, over: bool) -> Counters {
    match lease.finish(over).await {
        Ok((counters, _)) => counters,
        Err(failure) => {
            tracing::error!(%failure, "a sandbox's counters could not be read");
            Counters::default()
        }
    }
}

/// Lists the files with the end, and gives them.
pub fn list(harvest: Harvest, ended: &mut Ended) -> Vec<Artifact> {
    let listed = |file: &Artifact| OutputFile { path: file.path.clone(), size_bytes: file.size_bytes };
    ended.files = harvest.artifacts.iter().map(listed).collect();
    ended.files_truncated = harvest.truncated;
    harvest.artifacts
}

/// Collects files where blocking is allowed, see [`collect`].
pub async fn gather(directory: Arc<std::os::fd::OwnedFd>, written: Written, since: Option<Since>) -> Harvest {
    let gathered = tokio::task::spawn_blocking(move || collect(directory.as_fd(), &written, since)).await;
    match gathered.map_err(std::io::Error::other).and_then(|harvest| harvest) {
        Ok(harvest) => harvest,
        Err(error) => {
            tracing::error!(%error, "files could not be collected");
            Harvest::unknown()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_display_of_very_many_parts_is_left_out() {
        let numbers = |count: usize| format!(r#"{{"output_type":"display_data","data":{{"x":[{}0]}}}}"#, "0,".repeat(count));
        assert!(display(numbers(1_000).as_bytes(), false).is_some());
        assert!(display(numbers(MAX_DISPLAY_PARTS).as_bytes(), false).is_none());
        let text = serde_json::json!({"output_type": "display_data", "data": {"text/html": "\\\",[{".repeat(MAX_DISPLAY_PARTS)}});
        assert!(display(text.to_string().as_bytes(), false).is_some());
    }
}
