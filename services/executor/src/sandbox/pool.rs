//! Sandboxes made ahead, so that no run waits for namespaces, control groups, a disk and an interpreter.
//!
//! They are kept by kind: what they show, the size of their disk, the zygote that made them. Each is taken once.
//! How many of a kind wait follows the demand: at least one while the kind is in use, more after each run that found
//! none and in step with the rate of runs, fewer as that falls. All kinds share one budget of memory.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use kiln_domain::Limits;
use metrics::{counter, gauge};
use tokio::sync::Semaphore;
use tokio_util::task::TaskTracker;

use super::controls::file_bytes;
use super::prepared::{Maker, Prepared};
use super::wire::Shown;
use super::zygotes::ZygoteKey;
use super::{Bind, Failure};

/// How long making one takes on a busy machine: so long a kind's stock must last.
const REFILL: Duration = Duration::from_millis(60);
/// So long a short run has the machine to itself before the one that was taken for it is replaced, if others wait.
const REST: Duration = Duration::from_millis(15);
/// How often the demand is looked at.
const INTERVAL: Duration = Duration::from_secs(2);
/// After so long without a run a kind is forgotten.
const IDLE: Duration = Duration::from_mins(10);
/// Sandboxes made at the same time: more would only take the cores from the runs.
const MAKING: usize = 2;
/// Private memory of a waiting sandbox, by tier: the runner, the interpreter's own pages, the disk's buffers.
const COLD_BYTES: u64 = 2 << 20;
const TIER_BYTES: u64 = 2 << 20;
/// Waiting sandboxes of all kinds, at most, however much memory there is: each has a mounted disk.
const MAX_WAITING: usize = 64;

/// What distinguishes one sandbox made ahead from another.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Key {
    pub binds: Vec<Bind>,
    pub disk_bytes: u64,
    /// Largest single file.
    pub file_bytes: u64,
    /// In place of a disk; such a sandbox is not made ahead.
    pub workspace: Option<Shown>,
    pub zygote: Option<ZygoteKey>,
    /// Its waiting interpreter is a session's.
    pub talks: bool,
}

impl Key {
    pub fn cold(binds: Vec<Bind>, disk_bytes: u64) -> Self {
        Self { binds, disk_bytes, file_bytes: file_bytes(disk_bytes), workspace: None, zygote: None, talks: false }
    }

    /// What a program of the system itself needs.
    pub fn plain() -> Self {
        Self::cold(Vec::new(), Limits::DEFAULT.disk_bytes)
    }

    fn bytes(&self) -> u64 {
        COLD_BYTES + self.zygote.as_ref().map_or(0, |zygote| (zygote.tier as u64 + 1) * TIER_BYTES)
    }
}

pub struct Pool {
    maker: Arc<Maker>,
    tasks: TaskTracker,
    /// Of one kind, at most.
    ceiling: usize,
    budget_bytes: u64,
    making: Semaphore,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    closed: bool,
    /// The longest unused first.
    kinds: Vec<Kind>,
}

struct Kind {
    key: Key,
    /// What the last run of this kind was limited to: likely the next one's limits as well.
    limits: Limits,
    waiting: VecDeque<Prepared>,
    making: usize,
    wanted: usize,
    used_at: Instant,
    /// Runs since the demand was looked at.
    taken: u32,
}

impl Pool {
    pub fn new(maker: Arc<Maker>, tasks: TaskTracker, slots: usize, budget_bytes: u64) -> Self {
        let making = Semaphore::new(MAKING);
        Self { maker, tasks, ceiling: (slots + 2).min(MAX_WAITING), budget_bytes, making, state: Mutex::default() }
    }

    /// Takes a sandbox of this kind, if one waits, and has more made in the background.
    pub fn take(self: &Arc<Self>, key: &Key, limits: &Limits) -> Option<Prepared> {
        let (taken, died, left) = {
            let mut state = self.state();
            let kind = state.kind(key, limits);
            kind.taken += 1;
            let mut died = Vec::new();
            let taken = loop {
                match kind.waiting.pop_front() {
                    Some(prepared) if !prepared.waits() => died.push(prepared),
                    taken => break taken,
                }
            };
            if taken.is_none() {
                kind.wanted = (kind.wanted * 2).clamp(1, self.ceiling);
            }
            (taken, died, kind.waiting.len())
        };
        drop(died);
        counter!("kiln_executor_pool_takes_total", "outcome" => if taken.is_some() { "hit" } else { "miss" }).increment(1);
        let (pool, key) = (Arc::clone(self), key.clone());
        self.tasks.spawn(async move {
            if left > 0 {
                tokio::time::sleep(REST).await;
            }
            pool.fill(&key).await;
        });
        taken
    }

    /// Makes sandboxes of this kind ahead of its first run.
    pub async fn prepare(&self, key: &Key, limits: &Limits) {
        self.state().kind(key, limits);
        self.fill(key).await;
    }

    async fn fill(&self, key: &Key) {
        while let Some(limits) = self.reserve(key) {
            let made = match self.making.acquire().await {
                Ok(_permit) => self.maker.make(key, &limits).await,
                Err(_) => Err(Failure::new("make", "the engine is closed")),
            };
            if let Err(failure) = self.settle(key, made) {
                tracing::warn!(%failure, "a sandbox could not be made ahead");
                return;
            }
        }
    }

    /// Adapts the stock to the demand, again and again; never returns.
    pub async fn adapt(&self) {
        let mut interval = tokio::time::interval(INTERVAL);
        loop {
            interval.tick().await;
            let (over, waiting) = {
                let mut state = self.state();
                let over = state.look_at_demand(self.ceiling);
                (over, state.kinds.iter().map(|kind| kind.waiting.len()).sum::<usize>())
            };
            gauge!("kiln_executor_waiting_sandboxes").set(u32::try_from(waiting).unwrap_or(u32::MAX));
            // Outside the lock: giving one up tells the spawner.
            drop(over);
        }
    }

    /// Drops every waiting sandbox and keeps none from now on.
    pub fn close(&self) {
        let kinds = {
            let mut state = self.state();
            state.closed = true;
            std::mem::take(&mut state.kinds)
        };
        drop(kinds);
    }

    fn reserve(&self, key: &Key) -> Option<Limits> {
        let mut state = self.state();
        if state.closed {
            return None;
        }
        let kind = state.kinds.iter_mut().find(|kind| kind.key == *key)?;
        let wanted = kind.waiting.len() + kind.making < kind.wanted;
        kind.making += usize::from(wanted);
        wanted.then_some(kind.limits)
    }

    fn settle(&self, key: &Key, made: Result<Prepared, Failure>) -> Result<(), Failure> {
        let (given_up, result) = {
            let mut state = self.state();
            let kind = state.kinds.iter_mut().find(|kind| kind.key == *key);
            match (kind, made) {
                (None, made) => (made.ok(), Ok(())),
                (Some(kind), Ok(prepared)) => {
                    kind.making -= 1;
                    kind.waiting.push_back(prepared);
                    (state.over(self.budget_bytes), Ok(()))
                }
                (Some(kind), Err(failure)) => {
                    kind.making -= 1;
                    (None, Err(failure))
                }
            }
        };
        drop(given_up);
        result
    }

    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// The kind, as the one used last.
    fn kind(&mut self, key: &Key, limits: &Limits) -> &mut Kind {
        let mut kind = match self.kinds.iter().position(|kind| kind.key == *key) {
            Some(index) => self.kinds.remove(index),
            None => Kind::new(key.clone(), *limits),
        };
        (kind.limits, kind.used_at) = (*limits, Instant::now());
        self.kinds.push(kind);
        self.kinds.last_mut().expect("one was just pushed")
    }

    /// Adapts the stock of every kind to the demand since the last look; gives what is not wanted any more.
    fn look_at_demand(&mut self, ceiling: usize) -> Vec<Prepared> {
        let mut over = Vec::new();
        for kind in &mut self.kinds {
            let during_refill = f64::from(kind.taken) * REFILL.as_secs_f64() / INTERVAL.as_secs_f64();
            kind.taken = 0;
            // One more than the demand asks for, and down by one a look, so that a burst is remembered for a while.
            kind.wanted = (whole(during_refill) + 1).max(kind.wanted.saturating_sub(1)).min(ceiling);
            while kind.waiting.len() > kind.wanted {
                over.extend(kind.waiting.pop_front());
            }
        }
        self.kinds.retain_mut(|kind| {
            let stays = kind.used_at.elapsed() < IDLE || kind.making > 0;
            if !stays {
                over.extend(kind.waiting.drain(..));
            }
            stays
        });
        over
    }

    /// One of the longest unused kind, when all together take too much.
    fn over(&mut self, budget_bytes: u64) -> Option<Prepared> {
        let bytes: u64 = self.kinds.iter().map(|kind| kind.key.bytes() * kind.waiting.len() as u64).sum();
        let count: usize = self.kinds.iter().map(|kind| kind.waiting.len()).sum();
        if bytes <= budget_bytes && count <= MAX_WAITING {
            return None;
        }
        let kind = self.kinds.iter_mut().find(|kind| !kind.waiting.is_empty())?;
        kind.wanted = kind.wanted.saturating_sub(1);
        kind.waiting.pop_front()
    }
}

impl Kind {
    fn new(key: Key, limits: Limits) -> Self {
        Self { key, limits, waiting: VecDeque::new(), making: 0, wanted: 1, used_at: Instant::now(), taken: 0 }
    }
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a small number that is not negative")]
fn whole(number: f64) -> usize {
    number.ceil() as usize
}
