//! Which Postgres to run: `$KILN_PG_BIN`, else the newest one installed, else one fetched by the launcher from npm.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::paths;
use crate::prerequisite::Missing;

use super::OLDEST;

/// A usable set of Postgres programs.
#[derive(Debug, Clone)]
pub struct Found {
    pub bin: PathBuf,
    /// As its `--version` says, such as `15.8 (Debian 15.8-0+deb12u1)`.
    pub version: String,
    pub major: u32,
}

/// Looks where Postgres may be and asks each for its version.
///
/// # Errors
/// [`Missing`] when there is none of version 14 or newer, saying what was looked at.
pub fn locate() -> Result<Found, Missing> {
    if let Some(bin) = std::env::var_os("KILN_PG_BIN") {
        return inspect(Path::new(&bin)).map_err(|why| Missing {
            what: "Postgres in KILN_PG_BIN".into(),
            why,
            mend: "unset KILN_PG_BIN, or point it at a directory that holds initdb and postgres 14 or newer".into(),
        });
    }
    let mut refused = Vec::new();
    let mut usable = Vec::new();
    for bin in candidates() {
        match inspect(&bin) {
            Ok(found) => usable.push(found),
            Err(why) => refused.push(why),
        }
    }
    // The first of the newest: a system one comes before a fetched one of the same version.
    usable.into_iter().rev().max_by_key(|found| found.major).ok_or_else(|| Missing {
        what: format!("Postgres {OLDEST} or newer"),
        why: if refused.is_empty() {
            "no initdb and postgres in /usr/lib/postgresql, on PATH or in Kiln's cache".into()
        } else {
            refused.join("; ")
        },
        mend: "sudo apt-get install -y postgresql".into(),
    })
}

fn candidates() -> Vec<PathBuf> {
    let mut bins = Vec::new();
    let packaged = std::fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    bins.extend(packaged.map(|version| version.path().join("bin")));
    let path = std::env::var_os("PATH").unwrap_or_default();
    bins.extend(std::env::split_paths(&path));
    bins.extend(paths::cache_dir().map(|cache| cache.join("postgres/native/bin")));
    bins.retain(|bin| bin.join("initdb").is_file() && bin.join("postgres").is_file());
    bins.dedup();
    bins
}

fn inspect(bin: &Path) -> Result<Found, String> {
    let program = bin.join("postgres");
    let output = Command::new(&program)
        .arg("--version")
        .output()
        .map_err(|error| format!("{} cannot be executed ({error})", program.display()))?;
    let text = String::from_utf8_lossy(&output.stdout).trim().to_owned();
    let version = text.rsplit_once("(PostgreSQL) ").map(|(_, version)| version.to_owned());
    let major = version.as_deref().and_then(major);
    match (version, major) {
        (Some(version), Some(major)) if major >= OLDEST => Ok(Found { bin: bin.to_owned(), version, major }),
        (Some(version), Some(_)) => Err(format!("{} is {version}, older than {OLDEST}", program.display())),
        _ => Err(format!("{} does not say its version", program.display())),
    }
}

fn major(version: &str) -> Option<u32> {
    version.split(|c: char| !c.is_ascii_digit()).next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::major;

    #[test]
    fn majors_are_read() {
        assert_eq!(major("15.8 (Debian 15.8-0+deb12u1)"), Some(15));
        assert_eq!(major("18beta1"), Some(18));
        assert_eq!(major("devel"), None);
    }
}
