//! Files out of a working directory, after every process of its run is dead.

use std::fs::File;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};
use std::path::{Path, PathBuf};

use nix::fcntl::OFlag;
use nix::sys::stat::Mode;

use super::Artifact;
use super::files::{Version, Written, open_below};

/// Files and bytes that one run may leave.
const MAX_FILES: usize = 1000;
const MAX_TOTAL_BYTES: u64 = 50 * 1024 * 1024;
/// Directories below directories that are looked into.
const MAX_DEPTH: usize = 64;

/// What a run left, in the order of its names.
#[derive(Debug, Default)]
pub struct Harvest {
    pub artifacts: Vec<Artifact>,
    /// There was more than may be kept.
    pub truncated: bool,
    total_bytes: u64,
}

/// Collects the regular files that are new or not as they were `written`. Links, devices, pipes and
/// sockets are left where they are.
pub fn collect(directory: BorrowedFd<'_>, written: &Written) -> std::io::Result<Harvest> {
    let mut harvest = Harvest::default();
    let mut waiting = vec![PathBuf::new()];
    while let Some(path) = waiting.pop() {
        let mut deeper = harvest.look_into(directory, &path, written)?;
        // The last pushed is looked into first, so the names come in order.
        deeper.reverse();
        if path.components().count() < MAX_DEPTH {
            waiting.extend(deeper);
        } else if !deeper.is_empty() {
            harvest.truncated = true;
        }
    }
    harvest.artifacts.sort_by(|one, other| one.path.cmp(&other.path));
    Ok(harvest)
}

impl Harvest {
    /// What there was cannot be told.
    pub fn unknown() -> Self {
        Self { truncated: true, ..Self::default() }
    }

    /// Takes the files of one directory and gives its directories.
    fn look_into(&mut self, directory: BorrowedFd<'_>, path: &Path, written: &Written) -> std::io::Result<Vec<PathBuf>> {
        let here = if path.as_os_str().is_empty() { Path::new(".") } else { path };
        let opened = open_below(directory, here, OFlag::O_RDONLY | OFlag::O_DIRECTORY, Mode::empty())?;
        // Through /proc the directory is listed by its descriptor, not by a path that could name another.
        let mut entries = std::fs::read_dir(format!("/proc/self/fd/{}", opened.as_raw_fd()))?.collect::<Result<Vec<_>, _>>()?;
        entries.sort_by_key(std::fs::DirEntry::file_name);
        let mut deeper = Vec::new();
        for entry in entries {
            let kind = entry.file_type()?;
            if kind.is_dir() {
                deeper.push(path.join(entry.file_name()));
            } else if kind.is_file() {
                self.take(opened.as_fd(), &path.join(entry.file_name()), written)?;
            }
        }
        Ok(deeper)
    }

    fn take(&mut self, parent: BorrowedFd<'_>, path: &Path, written: &Written) -> std::io::Result<()> {
        let Some(name) = path.file_name() else { return Ok(()) };
        let file = File::from(open_below(parent, Path::new(name), OFlag::O_RDONLY | OFlag::O_NONBLOCK, Mode::empty())?);
        let metadata = file.metadata()?;
        if !metadata.is_file() || written.get(path) == Some(&Version::of(&metadata)) {
            return Ok(());
        }
        let size_bytes = metadata.len();
        if self.artifacts.len() == MAX_FILES || size_bytes > MAX_TOTAL_BYTES - self.total_bytes {
            self.truncated = true;
            return Ok(());
        }
        self.total_bytes += size_bytes;
        self.artifacts.push(Artifact { path: shown(path), size_bytes, file });
        Ok(())
    }
}

/// The path as text: what is not UTF-8, and control characters, escaped as `\xNN`.
fn shown(path: &Path) -> String {
    let mut text = String::new();
    for chunk in path.as_os_str().as_encoded_bytes().utf8_chunks() {
        text.extend(chunk.valid().chars().map(escaped));
        text.extend(chunk.invalid().iter().map(|byte| format!("\\x{byte:02X}")));
    }
    text
}

fn escaped(character: char) -> String {
    if character.is_control() { character.escape_unicode().to_string() } else { character.to_string() }
}

#[cfg(test)]
mod tests {
    use std::ffi::OsStr;
    use std::os::unix::ffi::OsStrExt;

    use super::*;

    #[test]
    fn only_new_or_changed_regular_files_are_taken_and_names_are_text() {
        let place = std::env::temp_dir().join(format!("kiln-artifacts-{}", std::process::id()));
        std::fs::create_dir_all(place.join("sub")).unwrap();
        for (name, text) in [("same", "1"), ("changed", "2"), ("sub/new", "33")] {
            std::fs::write(place.join(name), text).unwrap();
        }
        std::fs::write(place.join(OsStr::from_bytes(b"odd\xFF\n")), "").unwrap();
        std::os::unix::fs::symlink("/etc/passwd", place.join("link")).unwrap();
        let version = |name: &str| (PathBuf::from(name), Version::of(&std::fs::metadata(place.join(name)).unwrap()));
        let written = Written::from([version("same"), version("changed")]);
        std::fs::write(place.join("changed"), "longer").unwrap();

        let harvest = collect(File::open(&place).unwrap().as_fd(), &written).unwrap();
        let paths: Vec<_> = harvest.artifacts.iter().map(|artifact| artifact.path.as_str()).collect();
        assert_eq!(paths, ["changed", "odd\\xFF\\u{a}", "sub/new"]);
        assert!(!harvest.truncated);
        std::fs::remove_dir_all(place).unwrap();
    }
}
