//! Makes an environment: installs the pinned packages, tries them, and only then gives it its name.

use std::fs::{File, TryLockError};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use kiln_domain::Package;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, BufReader};
use tokio::process::Command;
use tokio::time::Instant;

use super::interpreter::Interpreter;
use super::layout;
use super::recipe::Recipe;

/// Of the whole: 180 MB to fetch, a minute on a quick line, and the wait for another process that builds the same.
const DEADLINE: Duration = Duration::from_mins(30);
const LOCK_CHECK: Duration = Duration::from_secs(1);
/// The last words of a failed command that an error repeats.
const ERROR_BYTES: u64 = 16 * 1024;
const LINE_BYTES: u64 = 64 * 1024;

#[derive(Debug, thiserror::Error)]
pub enum BuildError {
    #[error("could not {what} {}", path.display())]
    File { what: &'static str, path: PathBuf, source: std::io::Error },
    #[error("could not start {step}")]
    Start { step: &'static str, source: std::io::Error },
    #[error("{step} failed: {message}")]
    Step { step: &'static str, message: String },
    #[error("not done within {} minutes", DEADLINE.as_secs() / 60)]
    Deadline,
}

/// How far a build is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Progress {
    pub step: &'static str,
    pub packages_done: usize,
    pub packages_total: usize,
}

/// One environment to make, and where.
#[derive(Debug, Clone)]
pub struct Build {
    pub recipe: &'static Recipe,
    pub interpreter: Interpreter,
    /// Holds the environments of every data directory of this user, each under its key.
    pub environments: PathBuf,
}

impl Build {
    /// Where the finished environment lies.
    pub fn directory(&self) -> PathBuf {
        self.environments.join(self.recipe.key(&self.interpreter))
    }

    /// Its packages, when it has been made.
    pub fn finished(&self) -> Option<Vec<Package>> {
        let site = layout::site_packages(&self.directory(), &self.interpreter);
        let mut packages: Vec<_> = std::fs::read_dir(site).ok()?.flatten().filter_map(|entry| package(&entry.path())).collect();
        packages.sort_by_key(|package| package.name.to_lowercase());
        Some(packages)
    }

    /// Makes it unless it is there. One process builds at a time; the others wait and find it done.
    pub async fn run(&self, progress: impl Fn(Progress)) -> Result<Vec<Package>, BuildError> {
        tokio::time::timeout(DEADLINE, self.locked(&progress)).await.map_err(|_| BuildError::Deadline)?
    }

    async fn locked(&self, progress: &impl Fn(Progress)) -> Result<Vec<Package>, BuildError> {
        let file = |what, path: &Path| {
            let path = path.to_owned();
            move |source| BuildError::File { what, path, source }
        };
        std::fs::create_dir_all(&self.environments).map_err(file("make", &self.environments))?;
        let path = self.environments.join(format!(".{}.lock", self.recipe.key(&self.interpreter)));
        let lock = File::create(&path).map_err(file("open", &path))?;
        let mut check = tokio::time::interval(LOCK_CHECK);
        loop {
            check.tick().await;
            match lock.try_lock() {
                Ok(()) => break,
                Err(TryLockError::WouldBlock) => progress(self.at("waiting for another Kiln that builds it", 0)),
                Err(TryLockError::Error(source)) => return Err(file("lock", &path)(source)),
            }
        }
        if let Some(packages) = self.finished() {
            return Ok(packages);
        }
        let partial = self.environments.join(format!(".{}.partial", self.recipe.key(&self.interpreter)));
        remove(&partial).map_err(file("remove", &partial))?;
        layout::write_environment(&partial, &self.interpreter).map_err(file("write", &partial))?;
        self.install(&partial, progress).await?;
        self.try_out(&partial, progress).await?;
        layout::write_driver_place(&partial, &self.interpreter).map_err(file("write", &partial))?;
        std::fs::rename(&partial, self.directory()).map_err(file("name", &partial))?;
        self.finished().ok_or_else(|| BuildError::Step { step: "installing", message: "no packages were found".to_owned() })
    }

    async fn install(&self, directory: &Path, progress: &impl Fn(Progress)) -> Result<(), BuildError> {
        let requirements = directory.join("requirements.txt");
        std::fs::write(&requirements, self.recipe.requirements).map_err(|source| BuildError::File {
            what: "write",
            path: requirements.clone(),
            source,
        })?;
        let mut pip = quiet(&self.interpreter.executable);
        pip.args(["-I", "-m", "pip", "install", "--disable-pip-version-check", "--no-input", "--progress-bar=off", "--no-deps"])
            .args(["--require-hashes", "--only-binary=:all:", "--target"])
            .arg(layout::site_packages(directory, &self.interpreter))
            .arg("--requirement")
            .arg(&requirements)
            .env("PIP_ROOT_USER_ACTION", "ignore");
        let (mut fetched, mut ignored) = (0, 0);
        finish("installing", pip, |line| {
            fetched += usize::from(line.starts_with("Collecting "));
            ignored += usize::from(line.starts_with("Ignoring "));
            let step = if line.starts_with("Installing ") { "installing" } else { "fetching" };
            progress(Progress { step, packages_done: fetched, packages_total: self.recipe.pins().saturating_sub(ignored) });
        })
        .await
    }

    /// Imports everything once, which also makes the list of fonts that each run would else spend seconds on.
    async fn try_out(&self, directory: &Path, progress: &impl Fn(Progress)) -> Result<(), BuildError> {
        progress(self.at("trying", self.recipe.pins()));
        let fonts = directory.join("share/kiln/matplotlib");
        std::fs::create_dir_all(&fonts).map_err(|source| BuildError::File { what: "make", path: fonts.clone(), source })?;
        let program = format!("import sys; sys.path.insert(0, sys.argv[1]); import {}", self.recipe.imports);
        let mut python = quiet(&self.interpreter.executable);
        python.args(["-I", "-S", "-c"]).arg(program).arg(layout::site_packages(directory, &self.interpreter));
        python.env("MPLCONFIGDIR", fonts).env("MPLBACKEND", "agg");
        finish("trying the packages", python, |_| ()).await
    }

    fn at(&self, step: &'static str, packages_done: usize) -> Progress {
        Progress { step, packages_done, packages_total: self.recipe.pins() }
    }
}

/// A command that leaves files readable for the users of sandboxes, and gives way to everything else on the machine.
fn quiet(program: &Path) -> Command {
    let mut command = Command::new("/bin/sh");
    command.args(["-c", "umask 022 && exec nice -n 10 \"$0\" \"$@\""]).arg(program);
    command.current_dir("/").stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
    command
}

/// Runs the command to its end; its last line of complaint is the error.
async fn finish(step: &'static str, mut command: Command, mut line: impl FnMut(&str)) -> Result<(), BuildError> {
    let started = Instant::now();
    let failed = |source: std::io::Error| BuildError::Step { step, message: source.to_string() };
    let mut child = command.spawn().map_err(|source| BuildError::Start { step, source })?;
    let stdout = child.stdout.take().expect("stdout was asked to be a pipe");
    let stderr = child.stderr.take().expect("stderr was asked to be a pipe");
    let read_progress = async {
        let mut stdout = BufReader::new(stdout);
        let mut text = Vec::new();
        while (&mut stdout).take(LINE_BYTES).read_until(b'\n', &mut text).await? > 0 {
            line(&String::from_utf8_lossy(&text));
            text.clear();
        }
        Ok(())
    };
    let read_errors = async {
        let mut stderr = stderr;
        let mut text = Vec::new();
        (&mut stderr).take(ERROR_BYTES).read_to_end(&mut text).await?;
        tokio::io::copy(&mut stderr, &mut tokio::io::sink()).await?;
        Ok(text)
    };
    let ((), complaint) = tokio::try_join!(read_progress, read_errors).map_err(failed)?;
    let status = child.wait().await.map_err(failed)?;
    if status.success() {
        tracing::debug!(step, elapsed_ms = started.elapsed().as_millis(), "step of a build done");
        return Ok(());
    }
    let complaint = String::from_utf8_lossy(&complaint);
    let last = complaint.lines().rev().find(|line| !line.trim().is_empty()).unwrap_or("it said nothing");
    Err(BuildError::Step { step, message: format!("{} ({status})", last.trim()) })
}

fn remove(directory: &Path) -> std::io::Result<()> {
    match std::fs::remove_dir_all(directory) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(()),
        other => other,
    }
}

/// The package whose `*.dist-info` this is, by the name in its metadata.
fn package(path: &Path) -> Option<Package> {
    if path.extension()? != "dist-info" {
        return None;
    }
    let metadata = std::fs::read_to_string(path.join("METADATA")).ok()?;
    let field = |name: &str| metadata.lines().find_map(|line| line.strip_prefix(name)).map(|value| value.trim().to_owned());
    Some(Package { name: field("Name:")?, version: field("Version:")? })
}
