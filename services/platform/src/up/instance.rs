//! Which Kiln owns a data directory: a marker that it is ours, a lock while one runs, a file that says where it serves.

use std::fs::File;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use anyhow::Context;
use nix::errno::Errno;
use nix::fcntl::{FcntlArg, fcntl};
use nix::libc;
use nix::unistd::geteuid;
use serde::{Deserialize, Serialize};

use super::secrets::write_whole;

const MARKER: &str = ".kiln-data";
const LOCK: &str = "lock";
const STATE: &str = "kiln.json";

/// What a running `kiln up` tells about itself. No secrets: the command-line client reads it too.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct State {
    pub url: String,
    pub metrics_url: Option<String>,
    /// With `--observability` only.
    #[serde(default)]
    pub prometheus_url: Option<String>,
    pub pid: i32,
    /// RFC 3339, UTC.
    pub started_at: jiff::Timestamp,
    pub version: String,
    pub data: PathBuf,
    pub postgres: String,
    pub nats: String,
    pub isolation: String,
}

impl State {
    /// Where its metrics are: the address itself and, with `--observability`, the Prometheus that reads it, on a line of its own.
    pub fn metrics_lines(&self) -> String {
        let prometheus = self.prometheus_url.as_ref().map(|url| format!("\n  Prometheus {url}")).unwrap_or_default();
        format!("{}{prometheus}", self.metrics_url.as_deref().unwrap_or("none"))
    }
}

/// A data directory held by this process. The kernel lets go of the lock when the process ends, however it ends.
#[derive(Debug)]
pub struct Held {
    home: PathBuf,
    _lock: File,
}

impl Held {
    /// Makes `home` a data directory if it is new or empty, and takes it.
    ///
    /// # Errors
    /// When it is somebody else's directory, or another Kiln runs in it.
    pub fn take(home: &Path) -> anyhow::Result<Self> {
        let fresh = std::fs::read_dir(home).map_or(true, |mut entries| entries.next().is_none());
        anyhow::ensure!(
            fresh || is_ours(home),
            "{} is not empty and no data directory of Kiln: choose another with --data DIR",
            home.display()
        );
        std::fs::create_dir_all(home)
            .with_context(|| format!("cannot make {}: choose another place with --data DIR", home.display()))?;
        if fresh {
            // As root the directory can be walked through, for the account of Postgres, but not listed.
            let mode = if geteuid().is_root() { 0o711 } else { 0o700 };
            std::fs::set_permissions(home, std::fs::Permissions::from_mode(mode)).context("chmod")?;
            std::fs::write(home.join(MARKER), "This directory belongs to Kiln; `kiln reset` removes it.\n")
                .with_context(|| format!("cannot write in {}", home.display()))?;
        }
        let file = lock_file(home)?;
        match fcntl(&file, FcntlArg::F_OFD_SETLK(&whole_file())) {
            Ok(_) => Ok(Self { home: home.to_owned(), _lock: file }),
            Err(Errno::EAGAIN | Errno::EACCES) => anyhow::bail!("{}", already_runs(home)),
            Err(error) => Err(error).with_context(|| format!("cannot lock {}", home.display())),
        }
    }

    /// Says where this Kiln serves.
    pub fn publish(&self, state: &State) -> anyhow::Result<()> {
        write_whole(&self.home.join(STATE), &serde_json::to_vec_pretty(state)?, 0o644)
    }

    /// Takes that back; the lock goes with the value.
    pub fn retract(self) -> anyhow::Result<()> {
        remove_if_there(&self.home.join(STATE))
    }
}

/// The Kiln that runs in `home`, if one does. One that is just starting has no state yet.
#[derive(Debug)]
pub enum Running {
    No,
    Starting,
    Serving(Box<State>),
}

/// Looks who runs in `home`, without disturbing it.
pub fn running(home: &Path) -> anyhow::Result<Running> {
    if !is_ours(home) || !is_locked(home)? {
        return Ok(Running::No);
    }
    match std::fs::read(home.join(STATE)) {
        Ok(text) => Ok(serde_json::from_slice::<Box<State>>(&text)
            .ok()
            .filter(|state| Path::new(&format!("/proc/{}", state.pid)).exists())
            .map_or(Running::Starting, Running::Serving)),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(Running::Starting),
        Err(error) => Err(error).context("cannot read kiln.json"),
    }
}

/// Whether `home` carries Kiln's marker.
pub fn is_ours(home: &Path) -> bool {
    home.join(MARKER).is_file()
}

fn already_runs(home: &Path) -> String {
    match running(home) {
        Ok(Running::Serving(state)) => format!(
            "another Kiln runs in {}: pid {}, at {}; stop it with `kiln down`, or start this one with another --data DIR",
            home.display(),
            state.pid,
            state.url
        ),
        _ => format!("another Kiln is just starting or stopping in {}", home.display()),
    }
}

/// Asks without taking: a look at the lock must not be in the way of a Kiln that starts.
fn is_locked(home: &Path) -> anyhow::Result<bool> {
    let mut lock = whole_file();
    fcntl(lock_file(home)?, FcntlArg::F_OFD_GETLK(&mut lock))
        .with_context(|| format!("cannot look at the lock of {}", home.display()))?;
    Ok(i32::from(lock.l_type) != libc::F_UNLCK)
}

fn lock_file(home: &Path) -> anyhow::Result<File> {
    let path = home.join(LOCK);
    File::options()
        .create(true)
        .truncate(false)
        .write(true)
        .open(&path)
        .with_context(|| format!("cannot open {}", path.display()))
}

/// An exclusive lock on everything. It belongs to the open file, so it goes when the file is closed.
#[expect(clippy::cast_possible_truncation, reason = "libc's constants are wider than the fields they are for")]
fn whole_file() -> libc::flock {
    libc::flock { l_type: libc::F_WRLCK as i16, l_whence: libc::SEEK_SET as i16, l_start: 0, l_len: 0, l_pid: 0 }
}

fn remove_if_there(path: &Path) -> anyhow::Result<()> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(error).with_context(|| format!("cannot remove {}", path.display()))
        }
        _ => Ok(()),
    }
}
