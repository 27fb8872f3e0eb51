//! The runs of this moment, so that they can be stopped, signalled and reported.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use kiln_domain::ExecutionId;
use kiln_events::LiveAttempt;
use tokio::sync::Notify;

use crate::sandbox::{InputError, RunControl, SessionControl};

/// The way to what runs: a program of its own, or a cell of a session.
#[derive(Clone)]
pub enum Control {
    Run(RunControl),
    Cell(SessionControl),
}

impl From<RunControl> for Control {
    fn from(control: RunControl) -> Self {
        Self::Run(control)
    }
}

impl From<SessionControl> for Control {
    fn from(control: SessionControl) -> Self {
        Self::Cell(control)
    }
}

impl Control {
    /// Ends the run or the cell for this cause.
    fn cancel(&self, cause: kiln_domain::ReasonCode) {
        match self {
            Self::Run(control) => control.cancel(cause),
            Self::Cell(control) => control.stop_cell(cause),
        }
    }

    fn signal(&self, name: &str) -> Result<(), InputError> {
        match self {
            Self::Run(control) => control.signal(name),
            Self::Cell(control) => control.signal(name),
        }
    }

    pub async fn stdin(&self, bytes: Bytes) -> Result<(), InputError> {
        match self {
            Self::Run(control) => control.stdin(bytes).await,
            Self::Cell(control) => control.stdin(bytes).await,
        }
    }

    pub async fn close_stdin(&self) -> Result<(), InputError> {
        match self {
            Self::Run(control) => control.close_stdin(),
            Self::Cell(control) => control.close_stdin().await,
        }
    }

    /// CPU time used so far, in milliseconds.
    async fn cpu_ms(&self) -> Option<u64> {
        match self {
            Self::Run(control) => control.cpu_ms().await,
            Self::Cell(control) => control.cpu_ms().await,
        }
    }
}

#[derive(Default, Clone)]
pub struct LiveRuns {
    runs: Arc<Mutex<HashMap<ExecutionId, LiveRun>>>,
    /// One has left.
    left: Arc<Notify>,
}

struct LiveRun {
    attempt: LiveAttempt,
    /// The scheduler has granted the claim. Before that it knows nothing of the attempt and would have it stopped.
    claimed: bool,
    /// None while the sandbox is being given the program.
    control: Option<Control>,
    /// A stop that came before there was a control.
    stop: Option<kiln_domain::ReasonCode>,
}

/// A run's place in the list; given back when dropped.
pub struct LiveEntry {
    runs: LiveRuns,
    attempt: LiveAttempt,
}

impl LiveRuns {
    /// Lists an attempt; none when an attempt of the same execution is listed already.
    pub fn enter(&self, attempt: LiveAttempt) -> Option<LiveEntry> {
        let mut runs = self.lock();
        if runs.contains_key(&attempt.execution_id) {
            return None;
        }
        runs.insert(attempt.execution_id, LiveRun { attempt, claimed: false, control: None, stop: None });
        Some(LiveEntry { runs: self.clone(), attempt })
    }

    /// Everything that is listed, claimed or not.
    pub fn attempts(&self) -> Vec<LiveAttempt> {
        self.lock().values().map(|run| run.attempt).collect()
    }

    /// What the scheduler knows to run here, for the next heartbeat.
    pub fn claimed(&self) -> Vec<LiveAttempt> {
        self.lock().values().filter(|run| run.claimed).map(|run| run.attempt).collect()
    }

    /// What the programs of these attempts have used of CPU time so far, in milliseconds, where it is counted.
    pub async fn cpu_ms(&self, attempts: &[LiveAttempt]) -> BTreeMap<ExecutionId, u64> {
        let controls: Vec<_> = {
            let runs = self.lock();
            let control = |live: &LiveAttempt| Some((live.execution_id, runs.get(&live.execution_id)?.control.clone()?));
            attempts.iter().filter_map(control).collect()
        };
        let used = controls.into_iter().map(async |(execution, control)| Some((execution, control.cpu_ms().await?)));
        futures::future::join_all(used).await.into_iter().flatten().collect()
    }

    /// Stops the attempt, now or as soon as it can be; false when it is not here.
    pub fn stop(&self, execution: ExecutionId, attempt: u32, cause: kiln_domain::ReasonCode) -> bool {
        let mut runs = self.lock();
        let Some(run) = runs.get_mut(&execution).filter(|run| run.attempt.attempt == attempt) else { return false };
        match &run.control {
            Some(control) => control.cancel(cause),
            None => run.stop = Some(cause),
        }
        true
    }

    /// Sends a signal to the program; false when it is not here or does not take it.
    pub fn signal(&self, execution: ExecutionId, signal: &str) -> bool {
        let runs = self.lock();
        let control = runs.get(&execution).and_then(|run| run.control.as_ref());
        control.is_some_and(|control| control.signal(signal).is_ok())
    }

    /// Waits until no run is left.
    pub async fn none_left(&self) {
        loop {
            let left = self.left.notified();
            if self.lock().is_empty() {
                return;
            }
            left.await;
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<ExecutionId, LiveRun>> {
        self.runs.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl LiveEntry {
    /// The claim is granted: heartbeats name the attempt from now on. Its lease outlives several of them.
    pub fn claimed(&self) {
        if let Some(run) = self.runs.lock().get_mut(&self.attempt.execution_id) {
            run.claimed = true;
        }
    }

    /// The program runs: stops and signals reach it from now on.
    pub fn started(&self, control: Control) {
        if let Some(run) = self.runs.lock().get_mut(&self.attempt.execution_id) {
            if let Some(cause) = run.stop {
                control.cancel(cause);
            }
            run.control = Some(control);
        }
    }
}

impl Drop for LiveEntry {
    fn drop(&mut self) {
        self.runs.lock().remove(&self.attempt.execution_id);
        self.runs.left.notify_waiters();
    }
}
