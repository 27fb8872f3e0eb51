//! An installation of Kiln of a test's own, made by `kiln up`, which the test may kill.

use std::fs::{self, File};
use std::net::{IpAddr, Ipv4Addr};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::deployment::Addresses;
use crate::guardian::Guardian;
use crate::{Api, Tenant, descendants, kill_all};

/// How long `kiln up` may take to be ready. The aim is far less, and a test of its own checks it; this is to tell a
/// start that hangs from one on a busy machine.
const START_DEADLINE: Duration = Duration::from_secs(90);
/// How long it may take to stop everything it started.
const STOP_DEADLINE: Duration = Duration::from_secs(30);

/// `kiln up` on a data directory of its own; all of it ends with this value.
pub struct Installation {
    guardian: Guardian,
    settings: &'static [(&'static str, &'static str)],
    child: Option<Child>,
    url: String,
    /// From the start of the process to the line that says it is ready.
    pub ready_after: Duration,
}

/// The program under test: `$KILN_BIN`, else the one that cargo built beside this test.
pub fn kiln_program() -> PathBuf {
    if let Some(path) = std::env::var_os("KILN_BIN") {
        return PathBuf::from(path);
    }
    let test = std::env::current_exe().expect("a test knows its own program");
    let beside = test.parent().and_then(Path::parent).expect("tests lie in <target>/release/deps").join("kiln");
    let path = beside.display();
    assert!(beside.exists(), "{path} is missing; build it: cargo build --release -p kiln-platform -p kiln-runner");
    beside
}

/// A command of the program under test, without the settings that this process may have been given for itself.
pub(crate) fn kiln_command() -> Command {
    let mut command = Command::new(kiln_program());
    let tools = ["KILN_PG_BIN", "KILN_NATS_SERVER"];
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("KILN_") && !tools.iter().any(|tool| name == *tool) {
            command.env_remove(name);
        }
    }
    command
}

impl Installation {
    /// Where an installation will be; nothing is started or written yet.
    pub fn new() -> Self {
        Self::with_settings(&[])
    }

    /// The same with settings, as variables of the environment.
    pub fn with_settings(settings: &'static [(&'static str, &'static str)]) -> Self {
        Self { guardian: Guardian::new("up"), settings, child: None, url: String::new(), ready_after: Duration::ZERO }
    }

    /// A new installation that is up.
    pub fn start() -> Self {
        Self::start_with(&[])
    }

    /// The same with settings.
    pub fn start_with(settings: &'static [(&'static str, &'static str)]) -> Self {
        let mut installation = Self::with_settings(settings);
        installation.up();
        installation
    }

    /// Starts it, for the first time or again on the same data after `stop` or `kill`.
    ///
    /// # Panics
    /// When it is not ready in time, with what it had logged.
    pub fn up(&mut self) {
        assert!(self.child.is_none(), "it is up already");
        let log = File::create(self.log()).expect("the scratch directory can be written");
        let begun = Instant::now();
        let mut child = kiln_command()
            .args(["up", "--listen", "127.0.0.1:0", "--no-open", "--data"])
            .arg(self.data())
            .envs(self.settings.iter().copied())
            .stdin(Stdio::null())
            .stdout(log.try_clone().expect("a descriptor can be doubled"))
            .stderr(log)
            .spawn()
            .expect("kiln can be started");
        self.guardian.watch(&[child.id()]);
        let url = loop {
            if let Some(url) = ready_url(&self.logged()) {
                break url;
            }
            let ended = child.try_wait().expect("a child can be waited for");
            assert!(ended.is_none(), "kiln up ended with {ended:?}:\n{}", self.logged());
            assert!(begun.elapsed() < START_DEADLINE, "kiln up is not ready after {START_DEADLINE:?}:\n{}", self.logged());
            std::thread::sleep(Duration::from_millis(10));
        };
        self.ready_after = begun.elapsed();
        self.url = url;
        self.child = Some(child);
    }

    /// `kiln admin` with these arguments, for this installation.
    pub fn operator(&self, arguments: &[&str]) -> Command {
        let mut command = kiln_command();
        command.arg("admin").args(arguments).arg("--data").arg(self.data());
        command
    }

    /// Asks it to stop as Ctrl-C does, and waits until it has.
    pub fn stop(&mut self) -> ExitStatus {
        let mut child = self.child.take().expect("it is up");
        kill(Pid::from_raw(child.id().cast_signed()), Signal::SIGTERM).expect("a live child can be signalled");
        let begun = Instant::now();
        loop {
            if let Some(status) = child.try_wait().expect("a child can be waited for") {
                self.guardian.watch(&[]);
                return status;
            }
            if begun.elapsed() > STOP_DEADLINE {
                kill_all(&[child.id()]);
                panic!("kiln up has not stopped within {STOP_DEADLINE:?}:\n{}", self.logged());
            }
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// `kill -9` of everything: the process and all that it has started, sandboxes too. Gives whom it has killed; they may
    /// be dead and not yet waited for.
    pub fn kill(&mut self) -> Vec<u32> {
        let mut child = self.child.take().expect("it is up");
        let children = descendants(child.id());
        kill_all(&[child.id()]);
        kill_all(&children);
        child.wait().expect("a child can be waited for");
        self.guardian.watch(&[]);
        children
    }

    /// `kill -9` of the process that was started, and of nothing else.
    pub fn kill_process_only(&mut self) {
        let mut child = self.child.take().expect("it is up");
        kill_all(&[child.id()]);
        child.wait().expect("a child can be waited for");
        self.guardian.watch(&[]);
    }

    /// Waits until the process has ended by itself, such as after `kiln down`.
    pub fn ended(&mut self) -> ExitStatus {
        let mut child = self.child.take().expect("it was up");
        let begun = Instant::now();
        loop {
            if let Some(status) = child.try_wait().expect("a child can be waited for") {
                self.guardian.watch(&[]);
                return status;
            }
            if begun.elapsed() > STOP_DEADLINE {
                self.child = Some(child);
                panic!("kiln up has not ended within {STOP_DEADLINE:?}:\n{}", self.logged());
            }
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    pub fn pid(&self) -> u32 {
        self.child.as_ref().expect("it is up").id()
    }

    pub fn url(&self) -> &str {
        &self.url
    }

    pub fn data(&self) -> PathBuf {
        self.guardian.directory().join("data")
    }

    /// A directory for whatever else the test needs, removed with the installation.
    pub fn scratch(&self) -> &Path {
        self.guardian.directory()
    }

    /// What it has printed since it was last started.
    pub fn logged(&self) -> String {
        fs::read(self.log()).map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).unwrap_or_default()
    }

    /// A caller without a credential.
    pub fn api(&self) -> Api {
        Api::new(self.addresses(), IpAddr::V4(Ipv4Addr::LOCALHOST))
    }

    /// A new tenant of this installation.
    pub async fn sign_up(&self) -> Tenant {
        Tenant::sign_up(&self.api()).await
    }

    pub(crate) fn addresses(&self) -> Arc<Addresses> {
        Arc::new(Addresses::one(&self.url))
    }

    fn log(&self) -> PathBuf {
        self.guardian.directory().join("up.log")
    }
}

impl Default for Installation {
    fn default() -> Self {
        Self::new()
    }
}

impl Drop for Installation {
    fn drop(&mut self) {
        if self.child.is_some() && !std::thread::panicking() {
            self.stop();
        } else if self.child.is_some() {
            self.kill();
        }
    }
}

/// The address in the line that says it is ready.
fn ready_url(log: &str) -> Option<String> {
    let line = log.lines().find_map(|line| line.split_once("Kiln is ready at ").map(|(_, url)| url.trim()))?;
    log.ends_with('\n').then(|| line.trim_end_matches('/').to_owned())
}
