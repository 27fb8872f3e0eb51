//! The root directory that every sandbox starts from, built once in the spawner's own mount namespace.
//!
//! A new sandbox's namespace is a copy of the spawner's, so this costs nothing a run. What is not
//! listed here is not visible inside: no home directories, nothing of /etc, /run, /var, /sys.

use std::os::unix::fs::{DirBuilderExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};

use super::mount;
use crate::sandbox::wire::{Failure, Step};

/// The working directory of every run.
pub const WORKSPACE: &str = "/workspace";

/// Where a runtime's own files may not be put: the sandbox provides these itself.
pub const OWN_DIRECTORIES: [&str; 12] =
    ["/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/etc", "/proc", "/dev", "/tmp", "/var", "/workspace"];

const MERGED: [&str; 5] = ["bin", "sbin", "lib", "lib32", "lib64"];
const DEVICES: [&str; 5] = ["null", "zero", "full", "random", "urandom"];
const DEVICE_LINKS: [(&str, &str); 4] =
    [("fd", "/proc/self/fd"), ("stdin", "/proc/self/fd/0"), ("stdout", "/proc/self/fd/1"), ("stderr", "/proc/self/fd/2")];
/// Parts of /etc that programs need and that say nothing about the host but its packages.
const ETC_DIRECTORIES: [&str; 4] = ["alternatives", "fonts", "ssl/certs", "terminfo"];
const ETC_COPIES: [&str; 3] = ["ld.so.cache", "localtime", "mime.types"];
const ETC_FILES: [(&str, &str); 5] = [
    ("passwd", "root:x:0:0:root:/:/usr/sbin/nologin\nsandbox:x:1000:1000:sandbox:/tmp:/bin/sh\n"),
    ("group", "root:x:0:\nsandbox:x:1000:\n"),
    ("hosts", "127.0.0.1 localhost\n::1 localhost\n"),
    ("nsswitch.conf", "passwd: files\ngroup: files\nhosts: files\n"),
    ("hostname", "sandbox\n"),
];
const EMPTY: [&str; 8] = ["proc", "dev", "tmp", "etc", "run", "var", "workspace", "opt"];

/// What makes an interpreter a zygote: the library that does the work, and what the interpreter executes to load it.
pub const ZYGOTE_LIBRARY: &str = "/kiln/zygote/libkiln_runner.so";
pub const ZYGOTE_DRIVER: &str = "/kiln/zygote/zygote.py";
const ZYGOTE_DRIVER_TEXT: &str = include_str!("../../../../runner/driver/zygote.py");

/// The directory that is every sandbox's root.
pub struct Root {
    pub path: PathBuf,
    /// It holds what makes an interpreter a zygote.
    pub has_zygotes: bool,
}

/// Builds the root at `place` and returns it. Without the `library` there are no zygotes.
pub fn build(place: &Path, library: Option<&Path>) -> Result<Root, Failure> {
    std::fs::DirBuilder::new().recursive(true).mode(0o700).create(place).step("root directory")?;
    mount::tmpfs(place, "size=4m,nr_inodes=4096,mode=755")?;
    for name in EMPTY {
        std::fs::create_dir(place.join(name)).step("root directory")?;
    }
    mount::bind_read_only(Path::new("/usr"), &place.join("usr"))?;
    for name in MERGED {
        merge(name, place)?;
    }
    symlink("/tmp", place.join("var/tmp")).step("root directory")?;
    etc(&place.join("etc"))?;
    devices(&place.join("dev"))?;
    let inside = |path: &str| place.join(path.trim_start_matches('/'));
    if let Some(library) = library {
        mount::bind_read_only(library, &inside(ZYGOTE_LIBRARY))?;
        std::fs::write(inside(ZYGOTE_DRIVER), ZYGOTE_DRIVER_TEXT).step("root directory")?;
    }
    Ok(Root { path: place.to_path_buf(), has_zygotes: library.is_some() })
}

/// `/bin` and its like: the same link as on the host, or the directory.
fn merge(name: &str, place: &Path) -> Result<(), Failure> {
    let (host, inside) = (Path::new("/").join(name), place.join(name));
    match std::fs::read_link(&host) {
        Ok(target) => symlink(target, inside).step("root directory"),
        Err(_) if host.is_dir() => mount::bind_read_only(&host, &inside),
        Err(_) => Ok(()),
    }
}

fn etc(place: &Path) -> Result<(), Failure> {
    for (name, text) in ETC_FILES {
        std::fs::write(place.join(name), text).step("etc")?;
    }
    for name in ETC_COPIES {
        // A host may lack any of them, and a program then does what it does there.
        if let Ok(bytes) = std::fs::read(Path::new("/etc").join(name)) {
            std::fs::write(place.join(name), bytes).step("etc")?;
        }
    }
    for name in ETC_DIRECTORIES {
        let host = Path::new("/etc").join(name);
        if host.is_dir() {
            mount::bind_read_only(&host, &place.join(name))?;
        }
    }
    Ok(())
}

fn devices(place: &Path) -> Result<(), Failure> {
    for name in DEVICES {
        mount::bind_device(&Path::new("/dev").join(name), &place.join(name))?;
    }
    for (name, target) in DEVICE_LINKS {
        symlink(target, place.join(name)).step("device links")?;
    }
    let shared = place.join("shm");
    std::fs::create_dir(&shared).step("shared memory directory")?;
    std::fs::set_permissions(shared, std::fs::Permissions::from_mode(0o755)).step("shared memory directory")
}
