//! An engine of its own for each test, and short ways to run a program in it.

use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use bytes::Bytes;
use kiln_domain::{Ended, ExecutionId, Limits, ReasonCode, Start, Status, TenantId};
use kiln_executor::runtimes::{Runtimes, RuntimesConfig, Search};
use kiln_executor::sandbox::{Bind, InputFile, Run, RunEnd, RunEvent, RunSpec, RuntimeCommand, SandboxConfig, Sandboxes, Stream};
use tokio::time::timeout;

use crate::START;

/// No test's run takes longer.
pub const DEADLINE: Duration = Duration::from_mins(1);

pub struct Fixture {
    pub sandboxes: Sandboxes,
    pub data_dir: PathBuf,
    /// The system's Python; its programs start as [`crate::START`] says.
    pub runtime: Arc<RuntimeCommand>,
}

/// An engine, or `None` with a word why this host cannot have one.
pub async fn fixture(test: &str) -> Option<Fixture> {
    if !nix::unistd::geteuid().is_root() {
        eprintln!("NOT RUN {test}: needs root");
        return None;
    }
    let data_dir = std::env::temp_dir().join(format!("kiln-test-{}-{}", std::process::id(), test.replace("::", "-")));
    let config = config(data_dir.clone());
    if !config.runner.as_ref().is_some_and(|path| path.exists()) {
        eprintln!("NOT RUN {test}: build the package kiln-runner first");
        return None;
    }
    let sandboxes = Sandboxes::open(config).await.expect("a host with root has what a sandbox needs");
    let runtime = python(&data_dir).await;
    sandboxes.prepare(&runtime).await;
    Some(Fixture { sandboxes, data_dir, runtime })
}

pub fn config(data_dir: PathBuf) -> SandboxConfig {
    let spawner = PathBuf::from(env!("CARGO_BIN_EXE_kiln-sandbox-spawner"));
    let runner = spawner.with_file_name("kiln-runner");
    SandboxConfig {
        data_dir,
        slots: 2,
        waiting_bytes: 256 << 20,
        separate_tenants: false,
        accept_tier: None,
        runner: Some(runner),
        spawner: Some(ignoring_signals(&spawner)),
    }
}

/// The spawner as a shell's script starts it in the background: with signals ignored, which no program is to inherit.
fn ignoring_signals(spawner: &Path) -> PathBuf {
    static SCRIPT: OnceLock<PathBuf> = OnceLock::new();
    let write = || {
        let script = Path::new(env!("CARGO_TARGET_TMPDIR")).join("spawner-that-ignores-signals");
        let made = script.with_extension(std::process::id().to_string());
        let text = format!("#!/bin/sh\ntrap '' INT QUIT USR1\nexec '{}' \"$@\"\n", spawner.display());
        std::fs::write(&made, text).unwrap();
        std::fs::set_permissions(&made, std::fs::Permissions::from_mode(0o755)).unwrap();
        std::fs::rename(made, &script).unwrap();
        script
    };
    SCRIPT.get_or_init(write).clone()
}

/// Everything that a finished run told.
#[derive(Debug)]
pub struct Outcome {
    pub stdout: Vec<u8>,
    pub stderr: Vec<u8>,
    pub events: Vec<Seen>,
    pub end: RunEnd,
}

/// An event and when it came.
#[derive(Debug, Clone, PartialEq)]
pub enum Seen {
    Output(Stream, Bytes),
    Waiting(bool),
    Display(serde_json::Value),
}

impl Outcome {
    pub fn ended(&self) -> &Ended {
        &self.end.ended
    }

    pub fn stdout(&self) -> String {
        String::from_utf8(self.stdout.clone()).unwrap()
    }

    pub fn stderr(&self) -> String {
        String::from_utf8_lossy(&self.stderr).into_owned()
    }

    pub fn verdict(&self) -> (Status, Option<ReasonCode>) {
        (self.ended().status, self.ended().reason.as_ref().map(|reason| reason.code))
    }

    /// Fails unless the program succeeded, and then shows what it said.
    #[track_caller]
    pub fn succeeded(self) -> Self {
        assert_eq!(self.verdict(), (Status::Succeeded, None), "{:?}\n{}{}", self.ended(), self.stdout(), self.stderr());
        self
    }
}

impl Fixture {
    pub async fn start(&self, spec: RunSpec) -> Run {
        self.sandboxes.start(spec, &self.runtime).await.unwrap()
    }

    pub async fn run(&self, spec: RunSpec) -> Outcome {
        let outcome = finish(self.start(spec).await).await;
        assert_eq!(outcome.end.start, START);
        outcome
    }

    pub async fn python(&self, code: &str) -> Outcome {
        self.run(spec(code)).await
    }

    /// Closes the engine and fails if anything of it is left.
    pub async fn close(self) {
        self.sandboxes.close().await;
        std::fs::remove_dir_all(&self.data_dir).unwrap();
    }
}

/// Takes every event until the end.
pub async fn finish(mut run: Run) -> Outcome {
    let mut events = Vec::new();
    loop {
        let event = timeout(DEADLINE, run.events.recv()).await.expect("a run ends").expect("the end comes before the channel's");
        match event {
            RunEvent::Output { stream, bytes } => events.push(Seen::Output(stream, bytes)),
            RunEvent::WaitingForInput(waiting) => events.push(Seen::Waiting(waiting)),
            RunEvent::Display(output) => events.push(Seen::Display(output)),
            RunEvent::Ended(end) => {
                let last = timeout(DEADLINE, run.events.recv()).await.expect("the channel ends");
                assert!(last.is_none(), "nothing comes after the end");
                let (stdout, stderr) = (joined(&events, Stream::Stdout), joined(&events, Stream::Stderr));
                return Outcome { stdout, stderr, events, end: *end };
            }
        }
    }
}

fn joined(events: &[Seen], which: Stream) -> Vec<u8> {
    let bytes = events.iter().filter_map(|event| match event {
        Seen::Output(stream, bytes) if *stream == which => Some(bytes.as_ref()),
        _ => None,
    });
    bytes.collect::<Vec<_>>().concat()
}

/// Reads standard output until it ends with `text`.
pub async fn read_until(run: &mut Run, text: &str) {
    let (mut seen, start) = (Vec::new(), Instant::now());
    while !seen.ends_with(text.as_bytes()) {
        assert!(start.elapsed() < DEADLINE, "{:?} is not {text:?}", String::from_utf8_lossy(&seen));
        match timeout(DEADLINE, run.events.recv()).await.unwrap().unwrap() {
            RunEvent::Output { bytes, .. } => seen.extend_from_slice(&bytes),
            RunEvent::Ended(end) => panic!("ended before {text:?}: {:?}, {:?}", end.ended, String::from_utf8_lossy(&seen)),
            RunEvent::WaitingForInput(_) | RunEvent::Display(_) => {}
        }
    }
}

pub fn spec(code: &str) -> RunSpec {
    RunSpec {
        execution: ExecutionId::generate(),
        attempt: 1,
        tenant: TenantId::generate(),
        code: code.to_owned(),
        args: Vec::new(),
        env: BTreeMap::new(),
        stdin: Vec::new(),
        interactive: false,
        files: Vec::new(),
        limits: Limits { timeout_ms: 20_000, ..Limits::DEFAULT },
        workspace: None,
    }
}

pub fn file(path: &str, content: &[u8]) -> InputFile {
    InputFile { path: path.to_owned(), content: content.to_vec() }
}

/// The system's Python as Kiln offers it, waiting or executed for each run.
pub async fn python(data_dir: &Path) -> Arc<RuntimeCommand> {
    let search = Search { directories: vec!["/usr/bin".into()], prefixes: Vec::new() };
    let config = RuntimesConfig { search, environments: Vec::new(), ..RuntimesConfig::new(data_dir.join("python")) };
    let python = Runtimes::open(config).await.unwrap().resolve("python").unwrap();
    as_started(&python.command)
}

/// The command, without its tiers where programs are to start cold.
pub fn as_started(command: &Arc<RuntimeCommand>) -> Arc<RuntimeCommand> {
    match START {
        Start::Warm => Arc::clone(command),
        Start::Cold => Arc::new(RuntimeCommand { tiers: Vec::new(), ..RuntimeCommand::clone(command) }),
    }
}

/// The interpreters of pyenv, each shown at a neutral path.
pub fn other_pythons() -> Vec<Arc<RuntimeCommand>> {
    let home = std::env::var("HOME").unwrap_or_default();
    let versions = std::fs::read_dir(PathBuf::from(home).join(".pyenv/versions")).into_iter().flatten().filter_map(Result::ok);
    let command = |root: PathBuf| {
        Arc::new(RuntimeCommand {
            argv: ["/opt/python/bin/python3", "-I", "-u", "-B"].map(str::to_owned).to_vec(),
            roots: vec![Bind { source: root, target: PathBuf::from("/opt/python") }],
            // Some are built with a shared library, which they look for where they were built.
            env: vec![("LD_LIBRARY_PATH".to_owned(), "/opt/python/lib".to_owned())],
            script_name: "main.py".to_owned(),
            tiers: Vec::new(),
            takes_arguments: false,
        })
    };
    versions.map(|version| version.path()).filter(|root| root.join("bin/python3").exists()).map(command).collect()
}
