//! The engine: opens the host's sandboxes, starts runs in them, closes.

use std::collections::{BTreeMap, BTreeSet};
use std::os::fd::AsFd;
use std::sync::Arc;
use std::time::Duration;

use kiln_domain::Limits;
use kiln_runner_protocol::{Confinement, Program};
use nix::errno::Errno;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::artifacts::Since;
use super::client::Spawner;
use super::controls::confinement;
use super::imports::tier_for;
use super::pool::{Key, Pool};
use super::prepared::{Maker, Prepared};
use super::spawner::{OWN_DIRECTORIES, WORKSPACE};
use super::wire::{Failure, Omitted, Request};
use super::workspace::{Script, WorkspaceUse};
use super::zygotes::{ZygoteKey, Zygotes};
use super::{
    Bind, InputFile, Isolation, Run, RunSpec, RuntimeCommand, SandboxConfig, SandboxError, SessionSpec, files, run, script,
};

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

/// Beginnings of the variables that interpreters, the C library and packages look at when they start or are imported.
const READ_AT_START: [&str; 22] = [
    "PYTHON",
    "LC_",
    "LANG",
    "TZ",
    "LD_",
    "MALLOC_",
    "GLIBC_",
    "KILN_",
    "MPL",
    "OMP_",
    "OPENBLAS_",
    "GOTO_",
    "MKL_",
    "BLIS_",
    "NUMEXPR_",
    "NPY_",
    "NUMPY_",
    "ARROW_",
    "PANDAS_",
    "SCIPY_",
    "SKLEARN_",
    "SYMPY_",
];

/// The sandboxes of this machine. Clones are the same engine.
#[derive(Clone)]
pub struct Sandboxes(Arc<Engine>);

/// A sandbox that waits for the word to start its program; dropped, it is removed.
pub struct Ready {
    prepared: Prepared,
    program: Program,
    about: run::About,
    stdin: Vec<u8>,
    tasks: TaskTracker,
}

impl Ready {
    /// Resolves when the interpreter has been executed. Not cancel-safe, but a start given up half-way leaves nothing
    /// behind.
    pub async fn start(self) -> Result<Run, SandboxError> {
        let started = self.prepared.start(self.program).await?;
        Ok(run::begin(started, self.about, self.stdin, &self.tasks))
    }
}

struct Engine {
    isolation: Isolation,
    spawner: Spawner,
    maker: Arc<Maker>,
    pool: Arc<Pool>,
    /// Every tenant's runs have zygotes of their own.
    separate_tenants: bool,
    tasks: TaskTracker,
    /// Cancelled when the spawner has ended.
    gone: CancellationToken,
}

impl Sandboxes {
    /// Starts the spawner, checks the host's controls, removes what a crash left, and tries one sandbox.
    /// Must be called within a tokio runtime. An error names the control or the step.
    pub async fn open(config: SandboxConfig) -> Result<Self, SandboxError> {
        Box::pin(Self::open_without(config, None)).await
    }

    /// The same with one control left out: for the experiments that show what each is for, and nothing else.
    #[doc(hidden)]
    pub async fn open_without(config: SandboxConfig, without: Option<Omitted>) -> Result<Self, SandboxError> {
        let runner = config.runner.map_or_else(|| beside("kiln-runner"), Ok).map_err(SandboxError::Host)?;
        let program = config.spawner.map_or_else(own_program, Ok).map_err(SandboxError::Host)?;
        let data_dir = std::path::absolute(config.data_dir).map_err(|error| host("data directory", &error))?;
        let open = Request::Open { data_dir, runner, accept_tier: config.accept_tier, without };
        let (spawner, mut isolation, reader) = Spawner::start(program, open).await.map_err(SandboxError::Host)?;
        if let Some(omitted) = without {
            isolation.leave_out(omitted);
        }
        let tasks = TaskTracker::new();
        let gone = CancellationToken::new();
        let ended = gone.clone().drop_guard();
        tasks.spawn(async move {
            reader.await;
            drop(ended);
        });
        let environment = ENVIRONMENT.map(|(name, value)| (name.to_owned(), value.to_owned())).to_vec();
        let zygotes = Arc::new(Zygotes::new(spawner.clone(), tasks.clone(), environment));
        let maker = Arc::new(Maker { spawner: spawner.clone(), zygotes, isolation: isolation.clone() });
        let pool = Arc::new(Pool::new(Arc::clone(&maker), tasks.clone(), config.slots, config.waiting_bytes));
        tasks.spawn({
            let (pool, gone) = (Arc::clone(&pool), gone.clone());
            async move { gone.run_until_cancelled_owned(async move { pool.adapt().await }).await }
        });
        let separate_tenants = config.separate_tenants;
        let engine = Self(Arc::new(Engine { isolation, spawner, maker, pool, separate_tenants, tasks, gone }));
        // Every control is set in earnest once, so that a missing one is a failure to start, not of a run.
        if let Err(failure) = Box::pin(engine.0.maker.make(&Key::plain(), &Limits::DEFAULT)).await {
            engine.close().await;
            return Err(SandboxError::Host(failure));
        }
        Ok(engine)
    }

    pub(super) fn spawner(&self) -> &Spawner {
        &self.0.spawner
    }

    /// The tier and the controls under which every run is isolated.
    pub fn isolation(&self) -> &Isolation {
        &self.0.isolation
    }

    /// Makes sandboxes for a runtime ahead of its first run, for programs without imports and with the default limits.
    pub async fn prepare(&self, runtime: &Arc<RuntimeCommand>) {
        let limits = Limits::DEFAULT;
        let mut key = Key::cold(runtime.roots.clone(), limits.disk_bytes);
        if !runtime.tiers.is_empty() && !self.0.separate_tenants {
            let zygote = ZygoteKey { command: Arc::clone(runtime), tier: 0, tenant: None };
            self.0.maker.zygotes.prepare(&zygote).await;
            key.zygote = self.0.maker.zygotes.get(&zygote).map(|_| zygote);
        }
        self.0.pool.prepare(&key, &limits).await;
    }

    /// Makes a session of that runtime's kernel ahead, with the limits that it is likely to have.
    pub async fn prepare_session(&self, kernel: &Arc<RuntimeCommand>, limits: &Limits) {
        let mut key = Key::cold(kernel.roots.clone(), limits.disk_bytes);
        if !kernel.tiers.is_empty() && !self.0.separate_tenants {
            let zygote = ZygoteKey { command: Arc::clone(kernel), tier: 0, tenant: None };
            self.0.maker.zygotes.prepare(&zygote).await;
            key.zygote = self.0.maker.zygotes.get(&zygote).map(|_| zygote);
            key.talks = key.zygote.is_some();
        }
        self.0.pool.prepare(&key, limits).await;
    }

    /// Waits until programs of that code, without arguments or files, would find their interpreter waiting, with one
    /// sandbox made ahead; false when there is none to wait for.
    pub async fn prepare_for(&self, spec: &RunSpec, runtime: &Arc<RuntimeCommand>) -> bool {
        if !fits_waiting(spec, runtime) {
            return false;
        }
        let zygote = self.0.zygote_key(spec, runtime);
        self.0.maker.zygotes.prepare(&zygote).await;
        let key = self.0.key(spec, runtime, None);
        self.0.pool.prepare(&key, &spec.limits).await;
        key.zygote == Some(zygote)
    }

    /// Starts a run: both halves, [`Self::ready`] and [`Ready::start`].
    pub async fn start(&self, spec: RunSpec, runtime: &Arc<RuntimeCommand>) -> Result<Run, SandboxError> {
        self.ready(spec, runtime).await?.start().await
    }

    /// A sandbox with the run's limits and files, where nothing of the program runs yet. Not cancel-safe, but what is
    /// given up half-way leaves nothing behind, as does one that is dropped.
    pub async fn ready(&self, spec: RunSpec, runtime: &Arc<RuntimeCommand>) -> Result<Ready, SandboxError> {
        check(&spec, runtime)?;
        let used = match spec.workspace.clone() {
            Some(used) => Some(
                blocking({
                    let name = runtime.script_name.clone();
                    move || InUse::begin(used, &name)
                })
                .await?,
            ),
            None => None,
        };
        let key = self.0.key(&spec, runtime, used.as_ref());
        let program = self.program(&spec, runtime, &key);
        let prepared = self.0.claim(key, &spec.limits).await?;
        let start = prepared.start_kind();
        let owner = prepared.owner();
        let directory = prepared.workspace();
        let script = InputFile { path: runtime.script_name.clone(), content: spec.code.into_bytes() };
        let mut limits = spec.limits;
        let (written, workspace) = match used {
            None => {
                let mut inputs = spec.files;
                inputs.push(script);
                (blocking(move || Ok(files::write(directory.as_fd(), owner, &inputs)?)).await?, None)
            }
            Some(used) => {
                limits.disk_bytes = used.used.full_bytes();
                blocking(move || {
                    script::write(directory.as_fd(), owner, &script.path, &script.content)?;
                    used.give(&spec.files)
                })
                .await?
            }
        };
        let about = run::About {
            limits,
            start,
            isolation: self.0.isolation.tier.clone(),
            interactive: spec.interactive,
            written,
            workspace,
        };
        Ok(Ready { prepared, program, about, stdin: spec.stdin, tasks: self.0.tasks.clone() })
    }

    /// Resolves when the engine has ended, by [`Self::close`] or because its spawner died. Then no run can be
    /// started any more, and a new engine must be opened.
    pub async fn ended(&self) {
        self.0.gone.cancelled().await;
    }

    /// Kills and removes everything, up to a deadline. Runs that are under way end as lost.
    pub async fn close(&self) {
        self.0.pool.close();
        self.0.maker.zygotes.close();
        self.0.spawner.close();
        self.0.tasks.close();
        if tokio::time::timeout(CLOSE_DEADLINE, self.0.tasks.wait()).await.is_err() {
            tracing::error!("sandboxes are still there {CLOSE_DEADLINE:?} after they were to end");
        }
    }

    /// A sandbox for a session, and its interpreter as a program.
    pub(super) async fn claim_session(
        &self,
        spec: &SessionSpec,
        kernel: &Arc<RuntimeCommand>,
    ) -> Result<(Prepared, Program), SandboxError> {
        check_env(&spec.env)?;
        let mut key = Key::cold(kernel.roots.clone(), spec.limits.disk_bytes);
        let mut beside = Some(BTreeSet::new());
        if let Some(used) = spec.workspace.clone() {
            (key.workspace, key.file_bytes) = (Some(used.shown(None)), used.file_bytes());
            beside = blocking(move || modules(&used)).await?;
        }
        if !kernel.tiers.is_empty() && !is_read_at_start(&spec.env) {
            let tenant = self.0.separate_tenants.then_some(spec.tenant);
            let zygote_key = ZygoteKey { command: Arc::clone(kernel), tier: 0, tenant };
            let zygote = self.0.maker.zygotes.get(&zygote_key);
            let zygote = zygote.filter(|zygote| !shadows(beside.as_ref(), |name| zygote.has_imported(name)));
            key.zygote = zygote.map(|_| zygote_key);
            key.talks = key.zygote.is_some();
        }
        let program = self.program_of(kernel, &[], &spec.env, &spec.limits, &key);
        let program = Program { session: true, confinement: Confinement { talks: true, ..program.confinement }, ..program };
        let prepared = self.0.claim(key, &spec.limits).await?;
        Ok((prepared, program))
    }

    /// What serves sandboxes is waited for at the end.
    pub(super) fn tasks(&self) -> &TaskTracker {
        &self.0.tasks
    }

    fn program(&self, spec: &RunSpec, runtime: &RuntimeCommand, key: &Key) -> Program {
        let program = self.program_of(runtime, &spec.args, &spec.env, &spec.limits, key);
        Program { interactive: spec.interactive, ..program }
    }

    fn program_of(
        &self,
        runtime: &RuntimeCommand,
        args: &[String],
        env: &BTreeMap<String, String>,
        limits: &Limits,
        key: &Key,
    ) -> Program {
        let argv = runtime.argv.iter().cloned().chain([runtime.script()]).collect();
        let pairs = |(name, value): (&str, &str)| (name.to_owned(), value.to_owned());
        let mut variables: BTreeMap<_, _> = ENVIRONMENT.map(pairs).into_iter().collect();
        variables.extend(runtime.env.iter().cloned());
        variables.extend(env.clone());
        Program {
            argv,
            args: args.to_vec(),
            env: variables.into_iter().collect(),
            directory: WORKSPACE.to_owned(),
            interactive: false,
            timeout_ms: limits.timeout_ms,
            output_bytes: limits.output_bytes,
            session: false,
            confinement: confinement(&self.0.isolation, limits, key),
        }
    }
}

impl Engine {
    /// A sandbox for this run with its limits set: one made ahead if there is one, else made now.
    async fn claim(&self, mut key: Key, limits: &Limits) -> Result<Prepared, SandboxError> {
        // One that broke while it waited is replaced by one made now.
        if key.workspace.is_none()
            && let Some(mut prepared) = self.pool.take(&key, limits)
            && prepared.limit(limits).await.is_ok()
        {
            return Ok(prepared);
        }
        if key.zygote.is_some() {
            match self.maker.make(&key, limits).await {
                Ok(prepared) => return Ok(prepared),
                // The zygote's failure has been told; the runtime itself may well be sound.
                Err(_) => key.zygote = None,
            }
        }
        self.maker.make(&key, limits).await.map_err(SandboxError::Unavailable)
    }

    fn key(&self, spec: &RunSpec, runtime: &Arc<RuntimeCommand>, used: Option<&InUse>) -> Key {
        let mut key = Key::cold(runtime.roots.clone(), spec.limits.disk_bytes);
        if let Some(used) = used {
            key.workspace = Some(used.used.shown(Some(&runtime.script_name)));
            key.file_bytes = used.used.file_bytes();
        }
        if !fits_waiting(spec, runtime) {
            return key;
        }
        // Until the right one has imported everything, a lighter one is better than none.
        let wanted = self.zygote_key(spec, runtime);
        let mut lighter = (0..=wanted.tier).rev().map(|tier| ZygoteKey { tier, ..wanted.clone() });
        let found = lighter.find_map(|zygote_key| Some((self.maker.zygotes.get(&zygote_key)?, zygote_key)));
        let Some((zygote, zygote_key)) = found else { return key };
        let passed_over = spec.files.iter().any(|file| zygote.has_imported(module_name(&file.path)));
        let passed_over =
            passed_over || used.is_some_and(|used| shadows(used.modules.as_ref(), |name| zygote.has_imported(name)));
        if passed_over { key } else { Key { zygote: Some(zygote_key), ..key } }
    }

    fn zygote_key(&self, spec: &RunSpec, runtime: &Arc<RuntimeCommand>) -> ZygoteKey {
        let tier = tier_for(&runtime.tiers, &spec.code);
        ZygoteKey { command: Arc::clone(runtime), tier, tenant: self.separate_tenants.then_some(spec.tenant) }
    }
}

/// A run's hold of its workspace while its sandbox is made.
struct InUse {
    used: WorkspaceUse,
    script: Script,
    /// None: too many names to tell.
    modules: Option<BTreeSet<String>>,
}

impl InUse {
    fn begin(used: WorkspaceUse, script: &str) -> Result<Self, SandboxError> {
        let failed = |error: &dyn std::fmt::Display| SandboxError::Unavailable(Failure::new("workspace", error));
        let placed = used.workspace.place_script(script).map_err(|errno| {
            if matches!(errno, Errno::EISDIR | Errno::ELOOP | Errno::EEXIST | Errno::ENXIO) {
                let detail = format!("has something named {script} that is no regular file");
                SandboxError::Spec { field: "workspace_id", detail }
            } else if errno == Errno::ENOSPC {
                SandboxError::Disk(script.to_owned())
            } else {
                failed(&errno)
            }
        })?;
        let modules = modules(&used)?;
        Ok(Self { used, script: placed, modules })
    }

    /// Puts the run's files there, in place of any of the same names. What changes from now on is the run's doing.
    fn give(self, inputs: &[InputFile]) -> Result<(files::Written, Option<run::InWorkspace>), SandboxError> {
        let WorkspaceUse { workspace, quota_bytes, .. } = self.used;
        let written = files::write_into(&workspace, quota_bytes, inputs)?;
        let since = Since::now().map_err(|errno| SandboxError::Unavailable(Failure::new("clock", errno)))?;
        Ok((written, Some(run::InWorkspace { workspace, script: self.script, since })))
    }
}

/// Top-level modules that the workspace has; none when there are too many names to tell.
fn modules(used: &WorkspaceUse) -> Result<Option<BTreeSet<String>>, SandboxError> {
    used.workspace.modules().map_err(|error| SandboxError::Unavailable(Failure::new("workspace", error)))
}

/// Whether one of these, beside the program, may be meant by an import of a module that a zygote has imported.
fn shadows(modules: Option<&BTreeSet<String>>, imported: impl Fn(&str) -> bool) -> bool {
    modules.is_none_or(|modules| modules.iter().any(|module| imported(module)))
}

/// Does what touches files where blocking is allowed.
async fn blocking<T: Send + 'static>(work: impl FnOnce() -> Result<T, SandboxError> + Send + 'static) -> Result<T, SandboxError> {
    tokio::task::spawn_blocking(work).await.map_err(|error| SandboxError::Runner(error.to_string()))?
}

/// Whether an interpreter that has started already can still become what this run asks for.
fn fits_waiting(spec: &RunSpec, runtime: &RuntimeCommand) -> bool {
    let arguments = runtime.takes_arguments || spec.args.is_empty();
    !runtime.tiers.is_empty() && arguments && !is_read_at_start(&spec.env)
}

/// Whether some of these variables count only for an interpreter that has yet to start.
fn is_read_at_start(env: &BTreeMap<String, String>) -> bool {
    env.keys().any(|name| READ_AT_START.iter().any(|prefix| name.starts_with(prefix)))
}

/// The module that a file in the working directory is, or is part of.
fn module_name(path: &str) -> &str {
    path.split(['/', '.']).next().unwrap_or(path)
}

/// Refuses what no sandbox could carry out.
fn check(spec: &RunSpec, runtime: &RuntimeCommand) -> Result<(), SandboxError> {
    let refuse = |field, detail: &str| Err(SandboxError::Spec { field, detail: detail.to_owned() });
    if spec.args.iter().any(|arg| arg.contains('\0')) {
        return refuse("args", "an argument contains NUL");
    }
    check_env(&spec.env)?;
    if spec.files.iter().any(|file| file.path == runtime.script_name) {
        return refuse("files", "a file has the name of the program itself");
    }
    if let Some(bind) = runtime.roots.iter().find(|bind| !is_free(bind)) {
        return refuse("runtime", &format!("{} is no place for a runtime", bind.target.display()));
    }
    Ok(())
}

fn check_env(env: &BTreeMap<String, String>) -> Result<(), SandboxError> {
    let bad_name = |name: &str| name.is_empty() || name.contains(['=', '\0']);
    if env.iter().any(|(name, value)| bad_name(name) || value.contains('\0')) {
        let detail = "a name is empty or contains = or NUL, or a value contains NUL".to_owned();
        return Err(SandboxError::Spec { field: "env", detail });
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
