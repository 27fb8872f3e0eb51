//! Where `kiln up` keeps things.
//!
//! Data: `--data`, else `$XDG_DATA_HOME/kiln`, else `/var/lib/kiln` for root (whose home is closed to the account that
//! Postgres gets) and `~/.local/share/kiln` for everybody else. Cache: `$XDG_CACHE_HOME/kiln`, else `/var/cache/kiln`
//! or `~/.cache/kiln`.

use std::path::{Path, PathBuf};

use anyhow::Context;
use nix::unistd::geteuid;

/// The data directory for `given`, absolute; it need not exist yet.
pub fn data_dir(given: Option<&Path>) -> anyhow::Result<PathBuf> {
    let chosen = match given {
        Some(path) => path.to_owned(),
        None => base("XDG_DATA_HOME", "/var/lib", ".local/share")?.join("kiln"),
    };
    std::path::absolute(&chosen).with_context(|| format!("{} is no usable path", chosen.display()))
}

/// What can be fetched again: downloaded programs.
pub fn cache_dir() -> anyhow::Result<PathBuf> {
    Ok(base("XDG_CACHE_HOME", "/var/cache", ".cache")?.join("kiln"))
}

fn base(variable: &str, for_root: &str, below_home: &str) -> anyhow::Result<PathBuf> {
    if let Some(path) = std::env::var_os(variable).map(PathBuf::from).filter(|path| path.is_absolute()) {
        return Ok(path);
    }
    if geteuid().is_root() {
        return Ok(PathBuf::from(for_root));
    }
    let home = std::env::home_dir().context("HOME is not set: say where data goes with --data DIR")?;
    Ok(home.join(below_home))
}
