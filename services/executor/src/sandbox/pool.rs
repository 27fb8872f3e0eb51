//! Sandboxes made ahead, so that no run waits for namespaces, control groups and a disk.
//!
//! They are kept by what they show and by the size of their disk. Each is taken once. Taking one makes the
//! next in the background; what has not been asked for longest gives way.

use std::sync::{Arc, Mutex, PoisonError};

use tokio_util::task::TaskTracker;

use super::Bind;
use super::client::Spawner;
use super::prepared::Prepared;

/// Waiting sandboxes of one kind, at most.
const MAX_OF_A_KIND: usize = 4;
/// Waiting sandboxes of all kinds, at most: each is a process of about 1 MiB and a mounted disk.
const MAX_WAITING: usize = 10;

/// What distinguishes one sandbox made ahead from another.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Key {
    pub binds: Vec<Bind>,
    pub disk_bytes: u64,
}

impl Key {
    pub fn new(binds: Vec<Bind>, disk_bytes: u64) -> Self {
        Self { binds, disk_bytes }
    }

    /// What a program of the system itself needs.
    pub fn plain() -> Self {
        Self::new(Vec::new(), kiln_domain::Limits::DEFAULT.disk_bytes)
    }
}

pub struct Pool {
    spawner: Spawner,
    tasks: TaskTracker,
    of_a_kind: usize,
    capacity: usize,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    closed: bool,
    /// The longest unused first.
    idle: Vec<(Key, Prepared)>,
    making: Vec<Key>,
}

impl State {
    fn of_kind(&self, key: &Key) -> usize {
        self.idle.iter().filter(|(kind, _)| kind == key).count() + self.making.iter().filter(|kind| *kind == key).count()
    }
}

impl Pool {
    pub fn new(spawner: Spawner, tasks: TaskTracker, slots: usize) -> Self {
        Self {
            spawner,
            tasks,
            of_a_kind: slots.clamp(1, MAX_OF_A_KIND),
            capacity: (slots + 2).min(MAX_WAITING),
            state: Mutex::default(),
        }
    }

    /// Takes a sandbox of this kind, if one waits, and has the next made in the background.
    pub fn take(self: &Arc<Self>, key: &Key) -> Option<Prepared> {
        let taken = {
            let mut state = self.state();
            let found = state.idle.iter().rposition(|(kind, _)| kind == key);
            found.map(|index| state.idle.remove(index).1)
        };
        let (pool, key) = (Arc::clone(self), key.clone());
        self.tasks.spawn(async move { pool.fill(&key).await });
        taken
    }

    /// Makes sandboxes of this kind until enough wait.
    pub async fn fill(&self, key: &Key) {
        while self.reserve(key) {
            let made = Prepared::make(&self.spawner, key).await;
            if let Err(failure) = self.settle(key, made) {
                tracing::warn!(%failure, "a sandbox could not be made ahead");
                return;
            }
        }
    }

    /// Drops every waiting sandbox and keeps none from now on.
    pub fn close(&self) {
        let idle = {
            let mut state = self.state();
            state.closed = true;
            std::mem::take(&mut state.idle)
        };
        drop(idle);
    }

    fn reserve(&self, key: &Key) -> bool {
        let mut state = self.state();
        let wanted = !state.closed && state.of_kind(key) < self.of_a_kind;
        if wanted {
            state.making.push(key.clone());
        }
        wanted
    }

    fn settle(&self, key: &Key, made: Result<Prepared, super::Failure>) -> Result<(), super::Failure> {
        let (given_up, result) = {
            let mut state = self.state();
            if let Some(index) = state.making.iter().position(|kind| kind == key) {
                state.making.swap_remove(index);
            }
            match made {
                Ok(prepared) if state.closed => (Some(prepared), Ok(())),
                Ok(prepared) => {
                    state.idle.push((key.clone(), prepared));
                    let full = state.idle.len() > self.capacity;
                    (full.then(|| state.idle.remove(0).1), Ok(()))
                }
                Err(failure) => (None, Err(failure)),
            }
        };
        // Outside the lock: giving one up tells the spawner.
        drop(given_up);
        result
    }

    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
