//! Finds the Pythons of this machine.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::io::Read;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use futures::StreamExt;

use super::interpreter::{Interpreter, ProbeError};
use super::memory::Memory;

/// Interpreters asked at the same time.
const PARALLEL_PROBES: usize = 4;
/// Programs looked at; a machine with more than this many Pythons keeps the first ones.
const CANDIDATES: usize = 200;

/// Where to look. Taken from the environment once, at the edge, so that the search itself is a function of it.
#[derive(Debug, Clone, Default)]
pub struct Search {
    /// Directories with programs, in order of preference.
    pub directories: Vec<PathBuf>,
    /// Directories whose every child is the prefix of an interpreter, as pyenv and uv keep them.
    pub prefixes: Vec<PathBuf>,
}

impl Search {
    /// PATH, the system's directories, pyenv and uv.
    pub fn from_environment() -> Self {
        let variable = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty());
        let home = variable("HOME").map(PathBuf::from);
        let mut directories: Vec<_> = std::env::split_paths(&variable("PATH").unwrap_or_else(OsString::new)).collect();
        directories.extend(["/usr/local/bin", "/usr/bin"].map(PathBuf::from));
        let mut prefixes = Vec::new();
        prefixes.extend(variable("PYENV_ROOT").map(|root| PathBuf::from(root).join("versions")));
        if let Some(home) = home {
            prefixes.extend([".pyenv/versions", ".local/share/uv/python"].map(|below| home.join(below)));
        }
        Self { directories, prefixes }
    }

    /// Real programs that may be Pythons, each once, in order of preference; scripts such as pyenv's shims are not.
    fn candidates(&self) -> Vec<PathBuf> {
        let mut directories = self.directories.clone();
        for parent in &self.prefixes {
            let mut children: Vec<_> = entries(parent).into_iter().map(|prefix| prefix.join("bin")).collect();
            children.sort();
            directories.extend(children);
        }
        let mut seen = BTreeSet::new();
        directories
            .iter()
            .filter(|directory| directory.is_absolute())
            .flat_map(|directory| entries(directory))
            .filter(|path| path.file_name().and_then(|name| name.to_str()).is_some_and(is_name_of_a_python))
            .filter_map(|path| std::fs::canonicalize(path).ok())
            .filter(|path| seen.insert(path.clone()) && is_program(path))
            .take(CANDIDATES)
            .collect()
    }
}

fn entries(directory: &Path) -> Vec<PathBuf> {
    let Ok(entries) = std::fs::read_dir(directory) else { return Vec::new() };
    entries.flatten().map(|entry| entry.path()).collect()
}

fn is_name_of_a_python(name: &str) -> bool {
    let Some(version) = name.strip_prefix("python") else { return false };
    version.is_empty() || version == "3" || version.strip_prefix("3.").is_some_and(|minor| minor.parse::<u16>().is_ok())
}

fn is_program(path: &Path) -> bool {
    let mut magic = [0; 4];
    std::fs::metadata(path).is_ok_and(|data| data.is_file() && data.permissions().mode() & 0o111 != 0)
        && std::fs::File::open(path).and_then(|mut file| file.read_exact(&mut magic)).is_ok()
        && magic == *b"\x7fELF"
}

/// The newest patch release of every minor version, newest first. `memory` is the file that keeps the answers.
pub async fn discover(search: Search, memory: PathBuf) -> Vec<Interpreter> {
    let memory = Memory::<Option<Interpreter>>::load(memory).await;
    let candidates = tokio::task::spawn_blocking(move || search.candidates()).await.unwrap_or_default();
    let answers = futures::stream::iter(&candidates).map(|path| memory.recall(path, async || learn(path).await));
    let found: Vec<_> = answers.buffered(PARALLEL_PROBES).collect().await;
    memory.keep().await;
    newest_of_each_minor(found.into_iter().flatten().flatten())
}

/// `Some(None)` for what is no Python to be offered; None for what did not run, which may do so the next time.
async fn learn(path: &Path) -> Option<Option<Interpreter>> {
    match Interpreter::probe(path).await {
        Ok(interpreter) => Some(Some(interpreter)),
        Err(error @ (ProbeError::Run(_) | ProbeError::Deadline)) => {
            tracing::warn!(path = %path.display(), error = &error as &dyn std::error::Error, "an interpreter is left out");
            None
        }
        Err(error @ (ProbeError::Answer(_) | ProbeError::Unsupported(_))) => {
            tracing::debug!(path = %path.display(), %error, "not offered as a Python");
            Some(None)
        }
    }
}

/// Newest minor first; of two with the same version the one found first.
fn newest_of_each_minor(found: impl Iterator<Item = Interpreter>) -> Vec<Interpreter> {
    let mut newest: BTreeMap<u16, Interpreter> = BTreeMap::new();
    for interpreter in found {
        let better = newest.get(&interpreter.version.minor).is_none_or(|known| known.version < interpreter.version);
        if better {
            newest.insert(interpreter.version.minor, interpreter);
        }
    }
    newest.into_values().rev().collect()
}

#[cfg(test)]
mod tests {
    use super::super::interpreter::Version;
    use super::*;

    fn interpreter(minor: u16, patch: u16, prefix: &str) -> Interpreter {
        let prefix = PathBuf::from(prefix);
        let version = Version { major: 3, minor, patch };
        Interpreter { version, executable: prefix.join("bin/python3"), prefix, library: None, site_packages: vec![], pip: false }
    }

    #[test]
    fn the_newest_patch_of_each_minor_wins_and_newest_comes_first() {
        let found = [interpreter(9, 1, "/a"), interpreter(11, 2, "/usr"), interpreter(11, 7, "/b"), interpreter(11, 7, "/c")];
        let chosen: Vec<_> = newest_of_each_minor(found.into_iter()).into_iter().map(|i| (i.id(), i.prefix)).collect();
        assert_eq!(chosen, [("python3.11".into(), "/b".into()), ("python3.9".into(), PathBuf::from("/a"))]);
    }

    #[test]
    fn names_of_pythons() {
        for name in ["python", "python3", "python3.6", "python3.13"] {
            assert!(is_name_of_a_python(name), "{name}");
        }
        for name in ["python2", "python3.11-config", "python3.6m", "pythonw", "ipython", "python3."] {
            assert!(!is_name_of_a_python(name), "{name}");
        }
    }

    #[test]
    fn scripts_are_no_candidates() {
        let directory = std::env::temp_dir().join(format!("kiln-shims-{}", std::process::id()));
        std::fs::create_dir_all(&directory).unwrap();
        let shim = directory.join("python3");
        std::fs::write(&shim, "#!/bin/sh\nexec python3\n").unwrap();
        std::fs::set_permissions(&shim, std::fs::Permissions::from_mode(0o755)).unwrap();
        let search = Search { directories: vec![directory.clone(), "relative".into()], prefixes: vec![] };
        assert_eq!(search.candidates(), Vec::<PathBuf>::new());
        std::fs::remove_dir_all(directory).unwrap();
    }
}
