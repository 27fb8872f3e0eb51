//! The program's process, from the second fork to the run: maps ids, confines itself, waits.

use std::io::{Read, Write};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::os::unix::net::UnixStream;

use nix::errno::Errno;
use nix::fcntl::OFlag;
use nix::sched::{CloneFlags, setns};
use nix::sys::stat::Mode;

use super::sandbox::{MAPPED, Sandbox, UNSHARED};
use super::{Failed, Step};
use crate::confine::Controls;
use crate::filter::Filters;
use crate::launch::arrange;

/// Where the run's message comes, beside the program's four descriptors.
const MESSAGES: RawFd = 4;
/// Said to the runner once every control is set.
pub const WAITING: u8 = b'R';
/// Largest message: what fits a frame of the runner's protocol.
const MAX_MESSAGE_BYTES: usize = 2 * kiln_runner_protocol::MAX_FRAME_BYTES;

/// Everything up to the wait for the run. `kept` are descriptors that the interpreter closes itself.
pub fn confine(sandbox: &mut Sandbox, filters: &Filters, kept: &[RawFd]) -> Result<(), Failed> {
    let ends = sandbox.ends.take().ok_or(Errno::EBADF).step("pipes")?;
    drop((ends.runners, ends.messages.0, ends.mapping.0, sandbox.stream.take()));
    enter_user_namespace(sandbox, ends.mapping.1)?;
    let confinement = &sandbox.wanted.confinement;
    let controls = Controls::prepare(confinement, filters).step("landlock")?;
    let messages = OwnedFd::from(ends.messages.1);
    arrange(ends.programs.each_ref().map(AsRawFd::as_raw_fd), messages.as_raw_fd()).step("descriptors")?;
    // Their numbers are the program's now, or are closed below.
    std::mem::forget((ends.programs, messages));
    nix::unistd::setsid().step("session")?;
    nix::unistd::chdir(sandbox.wanted.directory.as_str()).step("working directory")?;
    nix::sys::stat::umask(Mode::from_bits_truncate(0o022));
    controls.set_on_fork().map_err(|(step, errno)| Failed { step, detail: errno.to_string() })?;
    say_waiting().step("runner")?;
    // The spawner takes the end of this stream as the word that all is well.
    std::mem::forget(sandbox.status.take());
    super::close_from(MESSAGES + 1, kept).step("descriptors")
}

/// Maps the two ids of the namespace that the first process has made, from outside of it, and joins it.
fn enter_user_namespace(sandbox: &Sandbox, mut mapping: UnixStream) -> Result<(), Failed> {
    let mut word = [0];
    mapping.read_exact(&mut word).step("user namespace")?;
    if word != [UNSHARED] {
        return Err(Failed { step: "user namespace", detail: "another word".to_owned() });
    }
    let namespace = nix::fcntl::open("/proc/1/ns/user", OFlag::O_RDONLY | OFlag::O_CLOEXEC, Mode::empty());
    let namespace = namespace.step("user namespace")?;
    let (runner, program) = (sandbox.wanted.runner_id, sandbox.wanted.program_id);
    let inside = sandbox.wanted.confinement.user_id.unwrap_or(0);
    let map = format!("0 {runner} 1\n{inside} {program} 1\n");
    std::fs::write("/proc/1/setgroups", "deny").step("map ids")?;
    std::fs::write("/proc/1/uid_map", &map).step("map ids")?;
    std::fs::write("/proc/1/gid_map", &map).step("map ids")?;
    setns(namespace, CloneFlags::CLONE_NEWUSER).step("user namespace")?;
    mapping.write_all(&[MAPPED]).step("user namespace")
}

fn say_waiting() -> nix::Result<()> {
    let messages = std::mem::ManuallyDrop::new(messages());
    nix::unistd::write(&*messages, &[WAITING]).map(drop)
}

/// Waits for the run: its length, then the bytes that `driver/zygote.py` takes apart.
pub fn await_run() -> std::io::Result<Vec<u8>> {
    let mut messages = UnixStream::from(messages());
    let mut length = [0; 4];
    messages.read_exact(&mut length)?;
    let length = usize::try_from(u32::from_le_bytes(length)).map_err(std::io::Error::other)?;
    if length > MAX_MESSAGE_BYTES {
        return Err(std::io::Error::other("the message is over its bound"));
    }
    let mut message = vec![0; length];
    messages.read_exact(&mut message)?;
    Ok(message)
}

#[expect(unsafe_code, reason = "the number is the channel's by arrangement")]
fn messages() -> OwnedFd {
    // SAFETY: [`confine`] has put the channel here; [`await_run`] closes it, once, and nothing uses it afterwards.
    unsafe { OwnedFd::from_raw_fd(MESSAGES) }
}
