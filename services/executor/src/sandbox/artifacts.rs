//! Files out of a working directory, after every process of its run is dead, or after a session's cell.

use std::fs::{File, Metadata};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::fcntl::OFlag;
use nix::sys::stat::Mode;

use super::files::{Version, Written, open_below};
use super::{Artifact, script};

/// Files and bytes that one run may leave.
const MAX_FILES: usize = 1000;
const MAX_TOTAL_BYTES: u64 = 50 * 1024 * 1024;
/// Bytes of all their names together, as JSON writes them: they go in one message with the end of the run.
const MAX_NAMES_BYTES: usize = 256 * 1024;
/// Directories that are looked into: more than any disk has, and an end where others go on making them.
const MAX_DIRECTORIES: usize = 66_000;
/// Directories below directories that are looked into.
const MAX_DEPTH: usize = 64;

/// What a run or a cell left, in the order of its names.
#[derive(Debug, Default)]
pub struct Harvest {
    pub artifacts: Vec<Artifact>,
    /// The same, as they were then.
    pub versions: Written,
    /// There was more than may be kept.
    pub truncated: bool,
    total_bytes: u64,
    names_bytes: usize,
    since: Option<Since>,
}

/// A moment by the clock that file systems use: what has changed since in a directory that lives on is what a run or a cell changed there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Since(i64, i64);

impl Since {
    #[expect(unsafe_code, reason = "this clock has no safe wrapper here")]
    pub fn now() -> nix::Result<Self> {
        let mut now = libc::timespec { tv_sec: 0, tv_nsec: 0 };
        // SAFETY: writes the structure, which outlives the call.
        Errno::result(unsafe { libc::clock_gettime(libc::CLOCK_REALTIME_COARSE, &raw mut now) })?;
        Ok(Self(now.tv_sec, now.tv_nsec))
    }

    /// The kernel's own time of the last change, which no program can set.
    fn includes(self, metadata: &Metadata) -> bool {
        Self(metadata.ctime(), metadata.ctime_nsec()) >= self
    }
}

/// Collects the regular files that are new or not as they were `written`. Links, devices, pipes and
/// sockets are left where they are.
pub fn collect(directory: BorrowedFd<'_>, written: &Written, since: Option<Since>) -> std::io::Result<Harvest> {
    let mut harvest = Harvest { since, ..Harvest::default() };
    let (mut waiting, mut looked_into) = (vec![PathBuf::new()], 0);
    while let Some(path) = waiting.pop() {
        looked_into += 1;
        if looked_into > MAX_DIRECTORIES {
            harvest.truncated = true;
            break;
        }
        let mut deeper = match harvest.look_into(directory, &path, written) {
            // Others go on working there: what has gone meanwhile is not listed.
            Err(error) if since.is_some() && has_gone(&error) => continue,
            Err(error) if error.raw_os_error() == Some(libc::ENAMETOOLONG) => {
                harvest.truncated = true;
                continue;
            }
            looked => looked?,
        };
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
            } else if kind.is_file() && self.may_be_new(&entry)? {
                match self.take(opened.as_fd(), &path.join(entry.file_name()), written) {
                    Err(error) if self.since.is_some() && has_gone(&error) => {}
                    taken => taken?,
                }
            }
        }
        Ok(deeper)
    }

    /// Whether it is worth opening; a workspace may have many files of which a run changes few.
    fn may_be_new(&self, entry: &std::fs::DirEntry) -> std::io::Result<bool> {
        let Some(since) = self.since else { return Ok(true) };
        match entry.metadata() {
            Ok(metadata) => Ok(since.includes(&metadata) && !script::is_place(&metadata)),
            Err(error) if has_gone(&error) => Ok(false),
            Err(error) => Err(error),
        }
    }

    fn take(&mut self, parent: BorrowedFd<'_>, path: &Path, written: &Written) -> std::io::Result<()> {
        let Some(name) = path.file_name() else { return Ok(()) };
        let file = File::from(open_below(parent, Path::new(name), OFlag::O_RDONLY | OFlag::O_NONBLOCK, Mode::empty())?);
        let metadata = file.metadata()?;
        let version = Version::of(&metadata);
        if !metadata.is_file() || written.get(path) == Some(&version) {
            return Ok(());
        }
        let (size_bytes, shown) = (metadata.len(), shown(path));
        let name_bytes = serde_json::to_string(&shown)?.len();
        let fits = self.artifacts.len() < MAX_FILES
            && size_bytes <= MAX_TOTAL_BYTES - self.total_bytes
            && name_bytes <= MAX_NAMES_BYTES - self.names_bytes;
        if !fits {
            self.truncated = true;
            return Ok(());
        }
        self.total_bytes += size_bytes;
        self.names_bytes += name_bytes;
        self.versions.insert(path.to_owned(), version);
        self.artifacts.push(Artifact { path: shown, size_bytes, file });
        Ok(())
    }
}

/// Another name, a link or a file is where there was something else a moment ago.
fn has_gone(error: &std::io::Error) -> bool {
    matches!(error.raw_os_error(), Some(libc::ENOENT | libc::ENOTDIR | libc::ELOOP))
}

/// The path as text: what is not UTF-8, and control characters, escaped as `\xNN`.
pub fn shown(path: &Path) -> String {
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

        let harvest = collect(File::open(&place).unwrap().as_fd(), &written, None).unwrap();
        let paths: Vec<_> = harvest.artifacts.iter().map(|artifact| artifact.path.as_str()).collect();
        assert_eq!(paths, ["changed", "odd\\xFF\\u{a}", "sub/new"]);
        assert!(!harvest.truncated);
        std::fs::remove_dir_all(place).unwrap();
    }

    #[test]
    fn names_that_fill_a_message_are_left_out() {
        let place = tempfile::tempdir().unwrap();
        let deep: PathBuf = std::iter::repeat_n("\u{1}".repeat(250), 3).collect();
        std::fs::create_dir_all(place.path().join(&deep)).unwrap();
        for number in 0..200 {
            std::fs::write(place.path().join(&deep).join(number.to_string()), "").unwrap();
        }
        let harvest = collect(File::open(place.path()).unwrap().as_fd(), &Written::new(), None).unwrap();
        let names: usize = harvest.artifacts.iter().map(|artifact| serde_json::to_string(&artifact.path).unwrap().len()).sum();
        assert!(harvest.truncated && (1..=MAX_NAMES_BYTES).contains(&names), "{names} of {}", harvest.artifacts.len());
    }
}
