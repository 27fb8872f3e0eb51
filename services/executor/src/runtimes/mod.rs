//! The runtimes that this executor offers: which there are, and the command that starts each in a sandbox.
//!
//! Interpreters are found on the machine at start-up. Environments (`base`, `ml`) are made once, in the background,
//! and are listed as unavailable until then.

mod build;
mod discovery;
mod interpreter;
mod layout;
mod memory;
mod programs;
mod recipe;
mod tiers;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use kiln_domain::{Package, Runtime};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

pub use self::build::Progress;
use self::build::{Build, BuildError};
pub use self::discovery::Search;
use self::interpreter::Interpreter;
use self::layout::Layout;
use self::recipe::Recipe;
use crate::sandbox::RuntimeCommand;

const FIRST_RETRY: Duration = Duration::from_secs(30);
const LONGEST_RETRY: Duration = Duration::from_mins(15);

#[derive(Debug, Clone)]
pub struct RuntimesConfig {
    /// Kiln's data; a directory `runtimes` in it is written.
    pub data_dir: PathBuf,
    /// Environments are kept here, shared by every data directory of the user.
    pub cache_dir: PathBuf,
    /// The environments to make and offer: `base`, `ml`.
    pub environments: Vec<String>,
    pub search: Search,
}

impl RuntimesConfig {
    /// The runtimes as delivered: what the environment of this process leads to, and `base`.
    pub fn new(data_dir: PathBuf) -> Self {
        let variable = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
        let for_user = || {
            let root = nix::unistd::geteuid().is_root();
            if root { Some(PathBuf::from("/var/cache")) } else { variable("HOME").map(|home| home.join(".cache")) }
        };
        let cache_home = variable("XDG_CACHE_HOME").or_else(for_user);
        let cache_dir = cache_home.map_or_else(|| data_dir.join("cache"), |cache| cache.join("kiln"));
        Self { data_dir, cache_dir, environments: vec!["base".to_owned()], search: Search::from_environment() }
    }
}

#[derive(Debug, thiserror::Error)]
pub enum RuntimesError {
    #[error("could not write to {}", path.display())]
    Data { path: PathBuf, source: std::io::Error },
    #[error("there is no environment named {0}; there are base and ml")]
    UnknownEnvironment(String),
    #[error("no Python 3.6 or newer was found; mend: apt-get install python3")]
    NoPython,
}

/// Why a runtime cannot be started now.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ResolveError {
    #[error("there is no such runtime")]
    Unknown,
    /// The message is for the user.
    #[error("the runtime {id} is not ready: {why}")]
    NotReady { id: String, why: String },
}

/// A runtime that can be started.
#[derive(Debug, Clone)]
pub struct Resolved {
    /// Never an alias.
    pub id: String,
    pub command: Arc<RuntimeCommand>,
    /// How its sessions are run; none where it has no sessions.
    pub kernel: Option<Arc<RuntimeCommand>>,
}

/// Where an environment stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum State {
    Ready,
    Waiting,
    Building(Progress),
    /// In plain words, with the line that mends it where there is one; tried again by itself.
    Failed(String),
}

impl std::fmt::Display for State {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Ready => f.write_str("ready"),
            Self::Waiting => f.write_str("waiting to be built"),
            Self::Building(Progress { step, packages_done, packages_total }) => {
                write!(f, "{step}, {packages_done} of {packages_total} packages")
            }
            Self::Failed(why) => f.write_str(why),
        }
    }
}

/// One runtime as it stands now.
#[derive(Debug, Clone)]
pub struct Entry {
    pub runtime: Runtime,
    pub state: State,
    command: Arc<RuntimeCommand>,
    kernel: Option<Arc<RuntimeCommand>>,
}

/// All runtimes, the default first. Cheap to clone; every clone shows the same.
#[derive(Debug, Clone)]
pub struct Runtimes {
    entries: watch::Sender<Arc<[Entry]>>,
    builds: Arc<[Build]>,
}

impl Runtimes {
    /// Finds what the machine has, which takes about 0.2 s the first time and 5 ms afterwards.
    pub async fn open(config: RuntimesConfig) -> Result<Self, RuntimesError> {
        let directory = config.data_dir.join("runtimes");
        let layout = in_background({
            let directory = directory.clone();
            move || Layout::create(directory)
        });
        let layout = layout.await.map_err(|source| RuntimesError::Data { path: directory.clone(), source })?;
        let programs = programs::find(&config.search.directories, directory.join("programs.json")).await;
        let pythons = discovery::discover(config.search, directory.join("interpreters.json")).await;
        if pythons.is_empty() {
            return Err(RuntimesError::NoPython);
        }

        let mut entries = Vec::new();
        for (index, python) in pythons.iter().enumerate() {
            let command = layout.plain(python).map_err(|source| RuntimesError::Data { path: directory.clone(), source })?;
            entries.push(Entry::new(plain(python, index == 0), State::Ready, command, Some(&layout)));
        }
        let mut builds = Vec::new();
        for id in config.environments {
            let recipe = Recipe::named(&id).ok_or(RuntimesError::UnknownEnvironment(id))?;
            let environments = config.cache_dir.join("environments");
            let entry = match Recipe::choose(&pythons) {
                Ok(python) => {
                    let build = Build { recipe, interpreter: python.clone(), environments };
                    let command = layout.environment(recipe.id, &build.directory(), python);
                    let mut entry = unbuilt(recipe, python, State::Waiting, command, &layout);
                    match build.finished() {
                        Some(packages) => entry.finish(packages),
                        None => builds.push(build),
                    }
                    entry
                }
                Err(lack) => {
                    tracing::warn!(runtime = recipe.id, lack, "an environment cannot be made here");
                    let newest = pythons.first().ok_or(RuntimesError::NoPython)?;
                    unbuilt(recipe, newest, State::Failed(lack), layout.environment(recipe.id, &environments, newest), &layout)
                }
            };
            entries.push(entry);
        }
        let programs = programs.into_iter();
        entries.extend(programs.map(|(runtime, command)| Entry::new(runtime, State::Ready, command, None)));
        Ok(Self { entries: watch::Sender::new(entries.into()), builds: builds.into() })
    }

    /// What the API lists.
    pub fn list(&self) -> Vec<Runtime> {
        self.entries.borrow().iter().map(|entry| entry.runtime.clone()).collect()
    }

    /// The runtimes with where each stands; the receiver wakes at every change, also of a build's progress.
    pub fn watch(&self) -> watch::Receiver<Arc<[Entry]>> {
        self.entries.subscribe()
    }

    /// The runtime with this id or alias, when it can be started.
    pub fn resolve(&self, name: &str) -> Result<Resolved, ResolveError> {
        let entries = self.entries.borrow();
        let named = |entry: &&Entry| entry.runtime.id == name || entry.runtime.aliases.iter().any(|alias| alias == name);
        let entry = entries.iter().find(named).ok_or(ResolveError::Unknown)?;
        if entry.state != State::Ready {
            return Err(ResolveError::NotReady { id: entry.runtime.id.clone(), why: entry.state.to_string() });
        }
        Ok(Resolved { id: entry.runtime.id.clone(), command: Arc::clone(&entry.command), kernel: entry.kernel.clone() })
    }

    /// Makes what is missing, one after the other, and tries again with growing pauses what failed. Returns once all
    /// is made, or at the cancellation, which leaves at most a partial directory that the next build removes.
    pub async fn build(&self, cancel: CancellationToken) {
        let mut missing: Vec<&Build> = self.builds.iter().collect();
        let mut pause = FIRST_RETRY;
        while !missing.is_empty() {
            let mut failed = Vec::new();
            for build in missing {
                match cancel.run_until_cancelled(self.build_one(build)).await {
                    None => return,
                    Some(Ok(())) => {}
                    Some(Err(())) => failed.push(build),
                }
            }
            missing = failed;
            if !missing.is_empty() && cancel.run_until_cancelled(tokio::time::sleep(pause)).await.is_none() {
                return;
            }
            pause = (pause * 2).min(LONGEST_RETRY);
        }
    }

    async fn build_one(&self, build: &Build) -> Result<(), ()> {
        let id = build.recipe.id;
        tracing::info!(runtime = id, python = %build.interpreter.version, "making an environment");
        match build.run(|progress| self.change(id, |entry| entry.state = State::Building(progress))).await {
            Ok(packages) => {
                tracing::info!(runtime = id, packages = packages.len(), "the environment is ready");
                self.change(id, |entry| entry.finish(packages));
                Ok(())
            }
            Err(error) => {
                tracing::warn!(runtime = id, error = &error as &dyn std::error::Error, "an environment could not be made");
                self.change(id, |entry| entry.state = State::Failed(explain(&error)));
                Err(())
            }
        }
    }

    fn change(&self, id: &str, change: impl FnOnce(&mut Entry)) {
        self.entries.send_modify(|entries| {
            let mut changed: Vec<_> = entries.to_vec();
            if let Some(entry) = changed.iter_mut().find(|entry| entry.runtime.id == id) {
                change(entry);
            }
            *entries = changed.into();
        });
    }
}

impl Entry {
    /// `layout` is that of the sessions, where the language has any.
    fn new(runtime: Runtime, state: State, command: RuntimeCommand, layout: Option<&Layout>) -> Self {
        let kernel = layout.map(|layout| Arc::new(layout.kernel(&command)));
        Self { runtime, state, command: Arc::new(command), kernel }
    }

    fn finish(&mut self, packages: Vec<Package>) {
        self.runtime.packages = packages;
        self.runtime.available = true;
        self.state = State::Ready;
    }
}

fn plain(python: &Interpreter, newest: bool) -> Runtime {
    Runtime {
        id: python.id(),
        language: "python".to_owned(),
        version: python.version.to_string(),
        title: format!("Python {}", python.version),
        aliases: if newest { vec!["python".to_owned(), "python3".to_owned()] } else { Vec::new() },
        packages: Vec::new(),
        default: newest,
        available: true,
    }
}

fn unbuilt(recipe: &Recipe, python: &Interpreter, state: State, command: RuntimeCommand, layout: &Layout) -> Entry {
    let runtime = Runtime {
        id: recipe.id.to_owned(),
        language: "python".to_owned(),
        version: python.version.to_string(),
        title: format!("Python {} with {}", python.version, recipe.title),
        aliases: Vec::new(),
        packages: Vec::new(),
        default: false,
        available: false,
    };
    Entry::new(runtime, state, command, Some(layout))
}

/// An error with its cause, for whoever reads the list of runtimes or `kiln doctor`.
fn explain(error: &BuildError) -> String {
    match std::error::Error::source(error) {
        Some(source) => format!("{error}: {source}"),
        None => error.to_string(),
    }
}

async fn in_background<T: Send + 'static>(work: impl FnOnce() -> std::io::Result<T> + Send + 'static) -> std::io::Result<T> {
    tokio::task::spawn_blocking(work).await.map_err(std::io::Error::other)?
}
