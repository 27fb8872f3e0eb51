//! Whether some process of the run is blocked reading the empty standard input.
//!
//! The kernel tells: `/proc/<pid>/task/<tid>/syscall` gives the number and the first argument of the call
//! a thread sleeps in. Looked at only for interactive runs, only while the pipe is empty.

use std::os::fd::{AsRawFd, BorrowedFd};
use std::path::Path;

use libc::c_long;

/// Calls that read from the descriptor in their first argument.
const READS: [c_long; 4] = [libc::SYS_read, libc::SYS_readv, libc::SYS_preadv2, libc::SYS_splice];
/// Processes and threads looked at in one go; the pids limit is below it.
const MAX_LOOKED_AT: usize = 1024;

/// True when `stdin` (the writing end) is empty and somebody sleeps in a read of it.
pub fn somebody_waits(stdin: BorrowedFd<'_>) -> bool {
    let Some(pipe) = nix::sys::stat::fstat(stdin).ok().map(|status| format!("pipe:[{}]", status.st_ino)) else {
        return false;
    };
    bytes_in(stdin) == Some(0) && threads().take(MAX_LOOKED_AT).any(|thread| reads(&thread, &pipe))
}

fn threads() -> impl Iterator<Item = std::path::PathBuf> {
    let entries = |path: &Path| std::fs::read_dir(path).into_iter().flatten().filter_map(Result::ok);
    entries(Path::new("/proc"))
        .filter(|entry| entry.file_name().to_str().is_some_and(|name| name.parse::<u32>().is_ok_and(|pid| pid != 1)))
        .flat_map(move |process| entries(&process.path().join("task")).map(|thread| thread.path()).collect::<Vec<_>>())
}

/// Whether the thread sleeps in a read of the pipe of that name.
fn reads(thread: &Path, pipe: &str) -> bool {
    let Ok(text) = std::fs::read_to_string(thread.join("syscall")) else { return false };
    let mut words = text.split_ascii_whitespace();
    let number = words.next().and_then(|word| word.parse::<c_long>().ok());
    let descriptor = words.next().and_then(|word| u32::from_str_radix(word.trim_start_matches("0x"), 16).ok());
    let (Some(number), Some(descriptor)) = (number, descriptor) else { return false };
    READS.contains(&number)
        && std::fs::read_link(thread.join("fd").join(descriptor.to_string())).is_ok_and(|target| target.as_os_str() == pipe)
}

#[expect(unsafe_code, reason = "FIONREAD has no safe wrapper")]
fn bytes_in(pipe: BorrowedFd<'_>) -> Option<i32> {
    let mut count = 0;
    // SAFETY: FIONREAD writes one int to the address given, which outlives the call.
    let result = unsafe { libc::ioctl(pipe.as_raw_fd(), libc::FIONREAD, &raw mut count) };
    (result == 0).then_some(count)
}
