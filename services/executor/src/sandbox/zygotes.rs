//! The interpreters that wait with modules imported ahead: which there are, when they are started and replaced.
//!
//! One that cannot be made, or dies, is told of once with the cause and tried again with growing pauses; meanwhile
//! its runtime runs cold.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use kiln_domain::TenantId;
use tokio_util::task::TaskTracker;

use super::client::Spawner;
use super::runtime::RuntimeCommand;
use super::spawner::{ZYGOTE_DRIVER, ZYGOTE_LIBRARY};
use super::wire::{Failure, SandboxId};

const FIRST_PAUSE: Duration = Duration::from_secs(5);
const LONGEST_PAUSE: Duration = Duration::from_mins(15);
/// A zygote is replaced after so long or so many sandboxes, since all of these share the layout of its memory and
/// the seed of its hashes.
const MAX_AGE: Duration = Duration::from_hours(1);
const MAX_FORKS: u64 = 10_000;
/// Zygotes at once; what has not been asked for longest gives way.
const MAX_ZYGOTES: usize = 32;

/// Which zygote: the interpreter and how much it has imported. With strict separation also for whom.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ZygoteKey {
    pub command: Arc<RuntimeCommand>,
    pub tier: usize,
    pub tenant: Option<TenantId>,
}

/// A zygote that waits. Dropped by everyone, it ends.
pub struct Zygote {
    spawner: Spawner,
    pub id: SandboxId,
    /// Top-level modules that its interpreter has not at its start, so a program's own of that name would be passed over.
    modules: BTreeSet<String>,
    made_at: Instant,
    forks: AtomicU64,
}

impl Drop for Zygote {
    fn drop(&mut self) {
        self.spawner.end_zygote_unattended(self.id);
    }
}

impl Zygote {
    /// Whether a module of that name beside the program would be passed over.
    pub fn has_imported(&self, module: &str) -> bool {
        self.modules.contains(module)
    }

    pub fn count_fork(&self) {
        self.forks.fetch_add(1, Ordering::Relaxed);
    }

    fn is_worn(&self) -> bool {
        self.made_at.elapsed() > MAX_AGE || self.forks.load(Ordering::Relaxed) > MAX_FORKS
    }
}

pub struct Zygotes {
    spawner: Spawner,
    tasks: TaskTracker,
    /// What every program finds in its environment, the zygote's too.
    environment: Vec<(String, String)>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    closed: bool,
    /// The longest unused first.
    entries: Vec<Entry>,
}

struct Entry {
    key: ZygoteKey,
    zygote: Option<Arc<Zygote>>,
    starting: bool,
    pause: Duration,
    not_before: Instant,
}

impl Zygotes {
    pub fn new(spawner: Spawner, tasks: TaskTracker, environment: Vec<(String, String)>) -> Self {
        Self { spawner, tasks, environment, state: Mutex::default() }
    }

    /// The zygote, if it waits. One that is missing or worn is started in the background.
    pub fn get(self: &Arc<Self>, key: &ZygoteKey) -> Option<Arc<Zygote>> {
        let (zygote, start) = self.state().look_up(key);
        if start {
            let (zygotes, key) = (Arc::clone(self), key.clone());
            self.tasks.spawn(async move { zygotes.start(key).await });
        }
        zygote
    }

    /// Starts the zygote unless it waits already, and waits for it.
    pub async fn prepare(&self, key: &ZygoteKey) {
        let (_, start) = self.state().look_up(key);
        if start {
            self.start(key.clone()).await;
        }
    }

    /// Forgets a zygote that failed to make a sandbox, unless another one has taken its place.
    pub fn discard(&self, key: &ZygoteKey, id: SandboxId, failure: &Failure) {
        let mut state = self.state();
        let entry = state.entries.iter_mut().find(|entry| entry.key == *key);
        let Some(entry) = entry.filter(|entry| entry.zygote.as_ref().is_some_and(|zygote| zygote.id == id)) else { return };
        let zygote = entry.zygote.take();
        entry.back_off();
        drop(state);
        drop(zygote);
        tracing::warn!(interpreter = key.name(), tier = key.tier, %failure, "a waiting interpreter failed; its runtime runs cold for now");
    }

    /// Ends them all and starts none from now on.
    pub fn close(&self) {
        let entries = {
            let mut state = self.state();
            state.closed = true;
            std::mem::take(&mut state.entries)
        };
        drop(entries);
    }

    async fn start(&self, key: ZygoteKey) {
        let id = self.spawner.next_id();
        let started = self.spawner.start_zygote(id, key.command.roots.clone(), key.argv(), self.variables(&key)).await;
        let (spawner, made_at) = (self.spawner.clone(), Instant::now());
        let ready = started.map(|modules| {
            let modules = modules.into_iter().collect();
            Arc::new(Zygote { spawner, id, modules, made_at, forks: AtomicU64::new(0) })
        });
        if let Err(failure) = &ready {
            self.spawner.end_zygote_unattended(id);
            tracing::warn!(interpreter = key.name(), tier = key.tier, %failure, "an interpreter cannot wait for programs; it runs cold");
        }
        let old = self.state().settle(&key, ready.ok());
        // Outside the lock: dropping one tells the spawner.
        drop(old);
    }

    fn variables(&self, key: &ZygoteKey) -> Vec<(String, String)> {
        let tier = key.command.tiers.get(key.tier).cloned().unwrap_or_default();
        let imports = tier.imports.join(",");
        let own = [
            ("KILN_ZYGOTE", ZYGOTE_DRIVER),
            ("KILN_ZYGOTE_LIBRARY", ZYGOTE_LIBRARY),
            ("KILN_ZYGOTE_IMPORTS", &imports),
            // What the linker looks up later, every program would look up again, in pages of its own.
            ("LD_BIND_NOW", "1"),
        ];
        let own = own.map(|(name, value)| (name.to_owned(), value.to_owned()));
        let mut variables: std::collections::BTreeMap<_, _> = self.environment.iter().cloned().collect();
        variables.extend(key.command.env.iter().cloned());
        variables.extend(tier.env);
        variables.extend(own);
        variables.into_iter().collect()
    }

    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl ZygoteKey {
    fn argv(&self) -> Vec<String> {
        self.command.argv.iter().cloned().chain([self.command.script()]).collect()
    }

    fn name(&self) -> &str {
        self.command.argv.first().map_or("", String::as_str)
    }
}

impl State {
    /// What there is, and whether the caller is to start one.
    fn look_up(&mut self, key: &ZygoteKey) -> (Option<Arc<Zygote>>, bool) {
        if self.closed {
            return (None, false);
        }
        let entry = match self.entries.iter().position(|entry| entry.key == *key) {
            Some(index) => self.entries.remove(index),
            None => Entry::new(key.clone()),
        };
        if self.entries.len() == MAX_ZYGOTES {
            self.entries.remove(0);
        }
        self.entries.push(entry);
        let Some(entry) = self.entries.last_mut() else { return (None, false) };
        let wanted = entry.zygote.as_ref().is_none_or(|zygote| zygote.is_worn());
        let start = wanted && !entry.starting && Instant::now() >= entry.not_before;
        entry.starting |= start;
        (entry.zygote.clone(), start)
    }

    /// Puts a started one in place, or notes that there is none; gives what is to be dropped.
    fn settle(&mut self, key: &ZygoteKey, ready: Option<Arc<Zygote>>) -> Option<Arc<Zygote>> {
        let Some(entry) = self.entries.iter_mut().find(|entry| entry.key == *key) else { return ready };
        entry.starting = false;
        if ready.is_none() {
            entry.back_off();
            return None;
        }
        entry.pause = FIRST_PAUSE;
        std::mem::replace(&mut entry.zygote, ready)
    }
}

impl Entry {
    fn new(key: ZygoteKey) -> Self {
        Self { key, zygote: None, starting: false, pause: FIRST_PAUSE, not_before: Instant::now() }
    }

    fn back_off(&mut self) {
        self.not_before = Instant::now() + self.pause;
        self.pause = (self.pause * 2).min(LONGEST_PAUSE);
    }
}
