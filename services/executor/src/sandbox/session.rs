//! A session: a sandbox whose interpreter lives on and takes cells, one after the other.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use jiff::Timestamp;
use kiln_domain::{Ended, Limits, Start, TenantId};
use kiln_runner_protocol::dialogue::{RunReport, Running, Step};
use kiln_runner_protocol::{Cell, CellEnd, Command, MAX_STDIN_CHUNK_BYTES, Question, STDIN_WINDOW_BYTES, Stream, encode};
use tokio::io::AsyncWriteExt;
use tokio::net::unix::OwnedWriteHalf;
use tokio::sync::{Semaphore, mpsc, oneshot};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::artifacts::{Harvest, Since};
use super::cell_verdict::{CellEvidence, cell_verdict};
use super::engine::Sandboxes;
use super::files::Written;
use super::prepared::{Lease, Meter, Reader, Started, abandon};
use super::run::{display, gather, list};
use super::wire::Counters;
use super::{Artifact, InputError, RuntimeCommand, SandboxError, WorkspaceUse};

/// Events that may wait for who takes them; then the cell blocks.
const EVENTS: usize = 16;
/// Commands that may wait to be sent.
const COMMANDS: usize = 64;
/// How long the first interpreter may take until it takes cells.
const READY_DEADLINE: Duration = Duration::from_secs(25);
/// How long a kill of the whole session may take.
const CLOSE_DEADLINE: Duration = Duration::from_secs(10);
/// How much longer than its time a cell may go on: the start of a new interpreter and the runner's own patience.
const SLACK: Duration = Duration::from_secs(30);

/// What a session is made of.
#[derive(Debug, Clone)]
pub struct SessionSpec {
    pub tenant: TenantId,
    pub env: std::collections::BTreeMap<String, String>,
    pub limits: Limits,
    /// The working directory, when it is one that lives on.
    pub workspace: Option<WorkspaceUse>,
}

/// A session that takes cells. Dropping the events kills it.
#[derive(Debug)]
pub struct Session {
    pub events: mpsc::Receiver<SessionEvent>,
    pub control: SessionControl,
    pub start: Start,
    /// Name of the tier under which it runs.
    pub isolation: String,
}

#[derive(Debug)]
pub enum SessionEvent {
    Output {
        stream: Stream,
        bytes: Bytes,
    },
    WaitingForInput(bool),
    /// An nbformat output, or a Jupyter message about one.
    Display(serde_json::Value),
    /// A new interpreter is in the place of the one before.
    Restarted,
    CellEnded(Box<CellReport>),
    /// Nothing follows; every process is dead.
    Closed,
}

/// How a cell ended.
#[derive(Debug)]
pub struct CellReport {
    pub ended: Ended,
    /// In the order of `ended.files`. They are read before the next cell, or the end of the session may take them away.
    pub artifacts: Vec<Artifact>,
    pub started_at: Timestamp,
    pub finished_at: Timestamp,
}

/// The way to a session. Clones are the same way.
#[derive(Debug, Clone)]
pub struct SessionControl {
    commands: mpsc::Sender<Command>,
    shared: Arc<Mutex<Shared>>,
    close: CancellationToken,
    /// Locked while it is read: of two who read at once only one has an answer.
    meter: Arc<tokio::sync::Mutex<Meter>>,
}

#[derive(Debug, Default)]
struct Shared {
    /// The cell that runs.
    cell: Option<CellState>,
    /// The sandbox's counters when the last cell ended.
    counted: Counters,
    questions: std::collections::HashMap<u64, oneshot::Sender<serde_json::Value>>,
    next_question: u64,
}

#[derive(Debug)]
struct CellState {
    began: Timestamp,
    /// What has changed in the working directory since is what it changed.
    since: Option<Since>,
    limits: Limits,
    /// Credit for its standard input; none when it has none.
    input: Option<Arc<Semaphore>>,
    cause: Option<kiln_domain::ReasonCode>,
    patience: Instant,
}

/// Why a question has no answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum AskError {
    #[error("the session is closed")]
    Closed,
    #[error("the session did not answer in time")]
    Busy,
}

impl Sandboxes {
    /// Opens a session: resolves when its interpreter takes cells. Not cancel-safe, but what is given up half-way leaves
    /// nothing behind.
    pub async fn open_session(&self, spec: SessionSpec, runtime: &Arc<RuntimeCommand>) -> Result<Session, SandboxError> {
        let (prepared, program) = self.claim_session(&spec, runtime).await?;
        let start = prepared.start_kind();
        let started = prepared.start(program).await?;
        let (tasks, isolation) = (self.tasks().clone(), self.isolation().tier.clone());
        begin(started, start, isolation, spec.workspace, &tasks).await
    }
}

async fn begin(
    started: Started,
    start: Start,
    isolation: String,
    used: Option<WorkspaceUse>,
    tasks: &TaskTracker,
) -> Result<Session, SandboxError> {
    let runner = |what: &str| SandboxError::Runner(what.to_owned());
    let Started { lease, workspace: directory, mut reader, writer, running, .. } = started;
    let ready = async {
        let mut running = running;
        loop {
            let report = reader.next().await.map_err(|failure| SandboxError::Runner(failure.to_string()))?;
            let report = report.ok_or_else(|| runner("ended before it took cells"))?;
            match running.receive(report).map_err(|error| SandboxError::Runner(error.to_string()))? {
                Step::Continue(next, RunReport::KernelReady { restarted }) => {
                    if restarted {
                        tracing::warn!("the first interpreter of a session ended before it took cells; another one does");
                    }
                    return Ok(next);
                }
                Step::Continue(next, _) => running = next,
                Step::Over(_) => return Err(SandboxError::Runtime("its interpreter does not take cells".to_owned())),
            }
        }
    };
    let running = tokio::time::timeout(READY_DEADLINE, ready).await.map_err(|_| runner("did not take cells in time"))??;
    let (events, receiver) = mpsc::channel(EVENTS);
    let (commands, commands_receiver) = mpsc::channel(COMMANDS);
    let meter = Arc::new(tokio::sync::Mutex::new(lease.meter()));
    let control = SessionControl { commands, shared: Arc::default(), close: CancellationToken::new(), meter };
    let over = CancellationToken::new();
    tasks.spawn(write(writer, commands_receiver, over.clone()));
    let keeper = Keeper {
        reader,
        events,
        control: control.clone(),
        lease,
        directory,
        used,
        told: Written::new(),
        _over: over.drop_guard(),
    };
    tasks.spawn(keeper.keep(running));
    Ok(Session { events: receiver, control, start, isolation })
}

async fn write(mut half: OwnedWriteHalf, mut commands: mpsc::Receiver<Command>, over: CancellationToken) {
    loop {
        let command = tokio::select! {
            biased;
            () = over.cancelled() => None,
            command = commands.recv() => command,
        };
        let Some(command) = command else { return };
        let mut bytes = Vec::new();
        if encode(&command, &mut bytes).is_err() || half.write_all(&bytes).await.is_err() {
            // The reading side sees the same end and says what it means.
            return;
        }
    }
}

impl SessionControl {
    /// Sends a cell; the one before has ended. Its outputs and its end come as events.
    pub async fn run(&self, code: String, silent: bool, interactive: bool, limits: Limits) -> Result<(), AskError> {
        let allowed = Duration::from_millis(limits.timeout_ms);
        let state = CellState {
            began: Timestamp::now(),
            since: Since::now().ok(),
            limits,
            input: interactive.then(|| Arc::new(Semaphore::new(STDIN_WINDOW_BYTES))),
            cause: None,
            patience: Instant::now() + allowed + SLACK,
        };
        self.shared().cell = Some(state);
        let cell = Cell { code, silent, interactive, timeout_ms: limits.timeout_ms, output_bytes: limits.output_bytes };
        self.commands.send(Command::Cell(Box::new(cell))).await.map_err(|_| AskError::Closed)
    }

    /// Gives bytes to the standard input of the cell that runs; waits while earlier ones have not been taken.
    pub async fn stdin(&self, bytes: Bytes) -> Result<(), InputError> {
        if bytes.len() > STDIN_WINDOW_BYTES {
            return Err(InputError::TooLarge);
        }
        let credit = self.shared().cell.as_ref().ok_or(InputError::Closed)?.input.clone().ok_or(InputError::NotInteractive)?;
        for chunk in bytes.chunks(MAX_STDIN_CHUNK_BYTES) {
            let permits = u32::try_from(chunk.len()).unwrap_or(u32::MAX);
            credit.acquire_many(permits).await.map_err(|_| InputError::Closed)?.forget();
            self.commands.send(Command::Stdin(chunk.to_vec())).await.map_err(|_| InputError::Closed)?;
        }
        Ok(())
    }

    /// Ends the standard input of the cell that runs.
    pub async fn close_stdin(&self) -> Result<(), InputError> {
        self.commands.send(Command::CloseStdin).await.map_err(|_| InputError::Closed)
    }

    /// Interrupts the cell that runs, if one does; it may go on all the same.
    pub fn interrupt(&self) {
        // A way that is full leads to a session that is busy with the like.
        let _ = self.commands.try_send(Command::Interrupt);
    }

    /// Sends a signal to the interpreter's process group while a cell runs.
    pub fn signal(&self, name: &str) -> Result<(), InputError> {
        let signal = name.parse::<nix::sys::signal::Signal>().map_err(|_| InputError::UnknownSignal(name.to_owned()))?;
        self.commands.try_send(Command::Signal(signal as i32)).map_err(|_| InputError::Closed)
    }

    /// Ends the cell that runs: interrupted, and killed when that does not end it.
    pub fn stop_cell(&self, cause: kiln_domain::ReasonCode) {
        self.note_cause(cause);
        let _ = self.commands.try_send(Command::StopCell);
    }

    /// Puts a new interpreter in the place of the present one; a cell that runs is cancelled.
    pub async fn restart(&self, cause: kiln_domain::ReasonCode) -> Result<(), AskError> {
        self.note_cause(cause);
        self.commands.send(Command::Restart).await.map_err(|_| AskError::Closed)
    }

    /// Ends the session; a cell that runs ends for this cause.
    pub fn close(&self, cause: kiln_domain::ReasonCode) {
        self.note_cause(cause);
        self.close.cancel();
    }

    /// Asks about the session's names. The answer is the kernel's own JSON, bounded.
    pub async fn ask(&self, mut question: Question, deadline: Duration) -> Result<serde_json::Value, AskError> {
        let (sender, receiver) = oneshot::channel();
        question.id = {
            let mut shared = self.shared();
            shared.next_question += 1;
            let id = shared.next_question;
            shared.questions.insert(id, sender);
            id
        };
        let id = question.id;
        let asked = async {
            self.commands.send(Command::Question(Box::new(question))).await.map_err(|_| AskError::Closed)?;
            receiver.await.map_err(|_| AskError::Closed)
        };
        let answer = tokio::time::timeout(deadline, asked).await;
        self.shared().questions.remove(&id);
        match answer {
            Ok(Ok(serde_json::Value::Null)) | Err(_) => Err(AskError::Busy),
            Ok(answer) => answer,
        }
    }

    /// CPU time that the cell which runs has used so far, in milliseconds; none where the tier does not count it.
    pub async fn cpu_ms(&self) -> Option<u64> {
        let used = self.count().await.cpu_us?;
        let before = self.shared().counted.cpu_us.unwrap_or(0);
        Some(used.saturating_sub(before) / 1000)
    }

    async fn count(&self) -> Counters {
        self.meter.lock().await.count().await.unwrap_or_default()
    }

    fn note_cause(&self, cause: kiln_domain::ReasonCode) {
        if let Some(cell) = &mut self.shared().cell {
            // The first reason stays.
            cell.cause.get_or_insert(cause);
        }
    }

    fn shared(&self) -> std::sync::MutexGuard<'_, Shared> {
        self.shared.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Serves one session until its end.
struct Keeper {
    reader: Reader,
    events: mpsc::Sender<SessionEvent>,
    control: SessionControl,
    lease: Lease,
    /// The working directory.
    directory: Arc<std::os::fd::OwnedFd>,
    /// The workspace that it is, if it is one.
    used: Option<WorkspaceUse>,
    /// The files of the last cell, as they were told: its last change may be in the same tick as the next cell's start.
    told: Written,
    /// Ends the writing side with this one.
    _over: tokio_util::sync::DropGuard,
}

impl Keeper {
    async fn keep(mut self, running: Running) {
        self.listen(running).await;
        let cell = self.control.shared().cell.take();
        if let Some(cell) = cell {
            // It was killed with the session, or its runner died.
            self.report(cell, None).await;
        }
        self.control.shared().questions.clear();
        let Self { events, lease, directory, used, told, .. } = self;
        if let Err(failure) = lease.finish(false).await {
            tracing::error!(%failure, "a session's sandbox could not be removed");
        }
        // A workspace lives on, and files of the last cell may still be read.
        let held = used.is_some() || !told.is_empty();
        drop(tokio::task::spawn_blocking(move || {
            abandon(&directory, held);
            drop((directory, used));
        }));
        // A session that nobody watches any more has been removed all the same.
        let _ = events.send(SessionEvent::Closed).await;
    }

    async fn listen(&mut self, mut running: Running) {
        let mut closing: Option<Instant> = None;
        loop {
            let patience = self.control.shared().cell.as_ref().map(|cell| cell.patience);
            let until = closing.into_iter().chain(patience).min();
            let report = tokio::select! {
                report = self.reader.next() => report,
                () = self.control.close.cancelled(), if closing.is_none() => {
                    closing = Some(Instant::now() + CLOSE_DEADLINE);
                    let _ = self.control.commands.try_send(Command::Kill);
                    continue;
                }
                // Nobody takes the events any more.
                () = self.events.closed(), if closing.is_none() => {
                    closing = Some(Instant::now() + CLOSE_DEADLINE);
                    let _ = self.control.commands.try_send(Command::Kill);
                    continue;
                }
                () = sleep_until(until) => {
                    tracing::error!("a session's runner is silent; the session is killed");
                    return;
                }
            };
            let step = match report {
                Ok(Some(report)) => running.receive(report),
                Ok(None) => return,
                Err(failure) => {
                    tracing::error!(%failure, "a session's runner broke the protocol");
                    return;
                }
            };
            running = match step {
                Ok(Step::Continue(running, report)) => {
                    self.pass_on(report).await;
                    running
                }
                Ok(Step::Over(_)) => return,
                Err(error) => {
                    tracing::error!(%error, "a session's runner broke the protocol");
                    return;
                }
            };
        }
    }

    async fn pass_on(&mut self, report: RunReport) {
        let event = match report {
            RunReport::Output { stream, bytes } => SessionEvent::Output { stream, bytes: bytes.into() },
            RunReport::WaitingForInput(waiting) => SessionEvent::WaitingForInput(waiting),
            RunReport::StdinTaken(count) => {
                let shared = self.control.shared();
                if let Some(credit) = shared.cell.as_ref().and_then(|cell| cell.input.as_ref()) {
                    credit.add_permits((count as usize).min(STDIN_WINDOW_BYTES - credit.available_permits()));
                }
                return;
            }
            RunReport::Display(document) => match display(&document, true) {
                Some(output) => SessionEvent::Display(output),
                None => return,
            },
            RunReport::KernelReady { .. } => SessionEvent::Restarted,
            RunReport::Answered(answered) => {
                let asked = self.control.shared().questions.remove(&answered.id);
                if let (Some(sender), Ok(content)) = (asked, serde_json::from_slice(&answered.content)) {
                    // Who has stopped waiting has no use for the answer.
                    let _ = sender.send(content);
                }
                return;
            }
            RunReport::CellEnded(end) => {
                let cell = self.control.shared().cell.take();
                if let Some(cell) = cell {
                    self.report(cell, Some(&end)).await;
                }
                return;
            }
        };
        // While the channel is full, the cell blocks; the runner keeps the clock.
        let waited = Instant::now();
        let _ = self.events.send(event).await;
        if let Some(cell) = &mut self.control.shared().cell {
            cell.patience += waited.elapsed();
        }
    }

    async fn report(&mut self, cell: CellState, end: Option<&CellEnd>) {
        let after = self.control.count().await;
        let before = std::mem::replace(&mut self.control.shared().counted, after);
        if let Some(credit) = &cell.input {
            credit.close();
        }
        let finished_at = Timestamp::now();
        let wall = finished_at.duration_since(cell.began).unsigned_abs();
        let disk_bytes = self.used.as_ref().map_or(cell.limits.disk_bytes, WorkspaceUse::full_bytes);
        let limits = Limits { disk_bytes, ..cell.limits };
        let mut ended = cell_verdict(&CellEvidence { end, before, after, cause: cell.cause, limits, wall });
        let mut harvest = self.harvest(cell.since).await;
        self.told = std::mem::take(&mut harvest.versions);
        let artifacts = list(harvest, &mut ended);
        let report = CellReport { ended, artifacts, started_at: cell.began, finished_at };
        let _ = self.events.send(SessionEvent::CellEnded(Box::new(report))).await;
    }

    /// The files that the cell left. What its threads and children do to them later is another cell's affair.
    async fn harvest(&mut self, since: Option<Since>) -> Harvest {
        let directory = self.used.as_ref().map_or_else(|| Arc::clone(&self.directory), |used| used.workspace.files());
        match since {
            Some(since) => gather(directory, std::mem::take(&mut self.told), Some(since)).await,
            None => Harvest::unknown(),
        }
    }
}

async fn sleep_until(until: Option<Instant>) {
    match until {
        Some(until) => tokio::time::sleep_until(until).await,
        None => std::future::pending().await,
    }
}
