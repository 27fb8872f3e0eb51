//! The engine: opens the host's sandboxes, starts runs in them, closes.

use std::sync::Arc;
use std::time::Duration;

use kiln_domain::Start;
use kiln_runner_protocol::{Confinement, Program};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::client::Spawner;
use super::pool::{Key, Pool};
use super::prepared::Prepared;
use super::spawner::{OWN_DIRECTORIES, PROGRAM_ID, WORKSPACE};
use super::wire::{Failure, Request};
use super::{Bind, InputFile, Isolation, Run, RunSpec, RuntimeCommand, SandboxConfig, SandboxError, files, run};

/// Open files a process may have.
const OPEN_FILES: u64 = 256;
/// A single file may be this much larger than its disk, so that a full disk is what a program is told of.
const FILE_MARGIN_BYTES: u64 = 64 * 1024 * 1024;
/// How long everything may take to end.
const CLOSE_DEADLINE: Duration = Duration::from_secs(15);

/// What every program finds in its environment; the runtime's and the run's own variables override it.
const ENVIRONMENT: [(&str, &str); 6] = [
    ("HOME", "/tmp"),
    ("LANG", "C.UTF-8"),
    ("PATH", "/usr/local/bin:/usr/bin:/bin"),
    ("PYTHONDONTWRITEBYTECODE", "1"),
    ("PYTHONUNBUFFERED", "1"),
    ("TMPDIR", "/tmp"),
];

/// The sandboxes of this machine. Clones are the same engine.
#[derive(Clone)]
pub struct Sandboxes(Arc<Engine>);

struct Engine {
    isolation: Isolation,
    spawner: Spawner,
    pool: Arc<Pool>,
    tasks: TaskTracker,
    /// Cancelled when the spawner has ended.
    gone: CancellationToken,
}

impl Sandboxes {
    /// Starts the spawner, checks the host's controls, removes what a crash left, and tries one sandbox.
    /// Must be called within a tokio runtime. An error names the control or the step.
    pub async fn open(config: SandboxConfig) -> Result<Self, SandboxError> {
        let runner = config.runner.map_or_else(|| beside("kiln-runner"), Ok).map_err(SandboxError::Host)?;
        let program = config.spawner.map_or_else(own_program, Ok).map_err(SandboxError::Host)?;
        let data_dir = std::path::absolute(config.data_dir).map_err(|error| host("data directory", &error))?;
        let open = Request::Open { data_dir, runner, accept_tier: config.accept_tier };
        let (spawner, isolation, reader) = Spawner::start(program, open).await.map_err(SandboxError::Host)?;
        let tasks = TaskTracker::new();
        let gone = CancellationToken::new();
        let ended = gone.clone().drop_guard();
        tasks.spawn(async move {
            reader.await;
            drop(ended);
        });
        let pool = Arc::new(Pool::new(spawner.clone(), tasks.clone(), config.slots));
        let engine = Self(Arc::new(Engine { isolation, spawner, pool, tasks, gone }));
        // Every control is set in earnest once, so that a missing one is a failure to start, not of a run.
        if let Err(failure) = Prepared::make(&engine.0.spawner, &Key::plain()).await {
            engine.close().await;
            return Err(SandboxError::Host(failure));
        }
        Ok(engine)
    }

    /// The tier and the controls under which every run is isolated.
    pub fn isolation(&self) -> &Isolation {
        &self.0.isolation
    }

    /// Makes sandboxes for a runtime ahead of its first run, with the default disk limit.
    pub async fn prepare(&self, runtime: &RuntimeCommand) {
        self.0.pool.fill(&Key::new(runtime.roots.clone(), kiln_domain::Limits::DEFAULT.disk_bytes)).await;
    }

    /// Starts a run. Resolves when its interpreter has been executed. Not cancel-safe, but a start given up
    /// half-way leaves nothing behind.
    pub async fn start(&self, spec: RunSpec, runtime: &RuntimeCommand) -> Result<Run, SandboxError> {
        check(&spec, runtime)?;
        let program = self.program(&spec, runtime);
        let key = Key::new(runtime.roots.clone(), spec.limits.disk_bytes);
        let (prepared, start) = self.0.claim(&key, &spec).await?;
        let owner = prepared.owner();
        let workspace = prepared.workspace();
        let mut inputs = spec.files;
        inputs.push(InputFile { path: runtime.script_name.clone(), content: spec.code.into_bytes() });
        let written = tokio::task::spawn_blocking(move || files::write(std::os::fd::AsFd::as_fd(&*workspace), owner, &inputs))
            .await
            .map_err(|error| SandboxError::Runner(error.to_string()))?
            .map_err(SandboxError::from)?;
        let started = prepared.start(program).await?;
        let about = run::About {
            limits: spec.limits,
            start,
            isolation: self.0.isolation.tier.clone(),
            interactive: spec.interactive,
            written,
        };
        Ok(run::begin(started, about, spec.stdin, &self.0.tasks))
    }

    /// Resolves when the engine has ended, by [`Self::close`] or because its spawner died. Then no run can be
    /// started any more, and a new engine must be opened.
    pub async fn ended(&self) {
        self.0.gone.cancelled().await;
    }

    /// Kills and removes everything, up to a deadline. Runs that are under way end as lost.
    pub async fn close(&self) {
        self.0.pool.close();
        self.0.spawner.close();
        self.0.tasks.close();
        if tokio::time::timeout(CLOSE_DEADLINE, self.0.tasks.wait()).await.is_err() {
            tracing::error!("sandboxes are still there {CLOSE_DEADLINE:?} after they were to end");
        }
    }

    fn program(&self, spec: &RunSpec, runtime: &RuntimeCommand) -> Program {
        let script = format!("{WORKSPACE}/{}", runtime.script_name);
        let argv = runtime.argv.iter().cloned().chain([script]).chain(spec.args.iter().cloned()).collect();
        let pairs = |(name, value): (&str, &str)| (name.to_owned(), value.to_owned());
        let mut env: std::collections::BTreeMap<_, _> = ENVIRONMENT.map(pairs).into_iter().collect();
        env.extend(runtime.env.iter().cloned());
        env.extend(spec.env.clone());
        Program {
            argv,
            env: env.into_iter().collect(),
            directory: WORKSPACE.to_owned(),
            interactive: spec.interactive,
            timeout_ms: spec.limits.timeout_ms,
            output_bytes: spec.limits.output_bytes,
            confinement: self.confinement(spec),
        }
    }

    fn confinement(&self, spec: &RunSpec) -> Confinement {
        let limits = &spec.limits;
        let groups = self.0.isolation.has("cgroup");
        let otherwise = |limit: u64| (!groups).then_some(limit);
        Confinement {
            user_id: self.0.isolation.has("root").then_some(PROGRAM_ID),
            landlock: self.0.isolation.has("landlock"),
            writable: [WORKSPACE, "/tmp", "/dev/shm"].map(str::to_owned).to_vec(),
            open_files: OPEN_FILES,
            file_bytes: limits.disk_bytes + FILE_MARGIN_BYTES,
            data_bytes: otherwise(limits.memory_bytes),
            processes: otherwise(limits.pids),
            cpu_seconds: otherwise((limits.timeout_ms * limits.cpu_millis).div_ceil(1_000_000) + 1),
        }
    }
}

impl Engine {
    /// A sandbox for this run with its limits set: one made ahead if there is one, else made now.
    async fn claim(&self, key: &Key, spec: &RunSpec) -> Result<(Prepared, Start), SandboxError> {
        // One that broke while it waited is replaced by one made now.
        if let Some(prepared) = self.pool.take(key)
            && prepared.limit(&spec.limits).await.is_ok()
        {
            return Ok((prepared, Start::Warm));
        }
        let prepared = Prepared::make(&self.spawner, key).await.map_err(SandboxError::Unavailable)?;
        prepared.limit(&spec.limits).await.map_err(SandboxError::Unavailable)?;
        Ok((prepared, Start::Cold))
    }
}

/// Refuses what no sandbox could carry out.
fn check(spec: &RunSpec, runtime: &RuntimeCommand) -> Result<(), SandboxError> {
    let refuse = |field, detail: &str| Err(SandboxError::Spec { field, detail: detail.to_owned() });
    if spec.args.iter().any(|arg| arg.contains('\0')) {
        return refuse("args", "an argument contains NUL");
    }
    let bad_name = |name: &str| name.is_empty() || name.contains(['=', '\0']);
    if spec.env.iter().any(|(name, value)| bad_name(name) || value.contains('\0')) {
        return refuse("env", "a name is empty or contains = or NUL, or a value contains NUL");
    }
    if spec.files.iter().any(|file| file.path == runtime.script_name) {
        return refuse("files", "a file has the name of the program itself");
    }
    if let Some(bind) = runtime.roots.iter().find(|bind| !is_free(bind)) {
        return refuse("runtime", &format!("{} is no place for a runtime", bind.target.display()));
    }
    Ok(())
}

/// Whether a bind's target is absolute, normal, and not in a directory that the sandbox provides itself.
fn is_free(bind: &Bind) -> bool {
    let normal = bind.target.components().skip(1).all(|part| matches!(part, std::path::Component::Normal(_)));
    let own = OWN_DIRECTORIES.iter().any(|own| bind.target.starts_with(own));
    bind.target.is_absolute() && bind.target.components().count() > 1 && normal && !own
}

fn beside(name: &str) -> Result<std::path::PathBuf, Failure> {
    let directory = own_program()?.parent().map(std::path::Path::to_path_buf);
    let path = directory.unwrap_or_default().join(name);
    if path.exists() { Ok(path) } else { Err(Failure::new("runner", format!("{} is not there", path.display()))) }
}

fn own_program() -> Result<std::path::PathBuf, Failure> {
    std::env::current_exe().map_err(|error| Failure::new("find the own program", error))
}

fn host(step: &str, error: &std::io::Error) -> SandboxError {
    SandboxError::Host(Failure::new(step, error))
}
