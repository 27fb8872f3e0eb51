//! `kiln exec-child`: becomes another program that dies with its parent and may run as another user.
//!
//! A parent that is killed outright cannot stop its children; the kernel can. The request
//! must be made by the child itself after its change of user, which is why Kiln re-executes
//! itself for it.

use std::ffi::OsString;
use std::os::unix::process::CommandExt;
use std::process::Command;

use anyhow::Context;
use nix::sys::prctl::set_pdeathsig;
use nix::sys::signal::Signal;
use nix::unistd::{Gid, Pid, Uid, getppid, setgid, setgroups, setuid};

/// Arguments of the hidden command.
#[derive(Debug, clap::Args)]
pub struct ExecChild {
    /// Process whose death ends this one.
    #[arg(long)]
    parent: i32,
    /// Number of the signal that its death sends.
    #[arg(long)]
    orphan_signal: i32,
    #[arg(long, requires = "gid")]
    uid: Option<u32>,
    #[arg(long, requires = "uid")]
    gid: Option<u32>,
    /// The program and its arguments.
    #[arg(last = true, required = true)]
    command: Vec<OsString>,
}

impl ExecChild {
    /// Replaces this process; returns only on failure.
    pub fn run(self) -> anyhow::Result<std::convert::Infallible> {
        if let (Some(uid), Some(gid)) = (self.uid, self.gid) {
            setgroups(&[]).context("supplementary groups cannot be dropped")?;
            setgid(Gid::from_raw(gid)).with_context(|| format!("cannot become group {gid}"))?;
            setuid(Uid::from_raw(uid)).with_context(|| format!("cannot become user {uid}"))?;
        }
        set_pdeathsig(Signal::try_from(self.orphan_signal).context("unknown signal")?).context("prctl(PR_SET_PDEATHSIG)")?;
        anyhow::ensure!(getppid() == Pid::from_raw(self.parent), "the parent is already gone");

        let (program, arguments) = self.command.split_first().context("no program given")?;
        let error = Command::new(program).args(arguments).exec();
        Err(error).with_context(|| format!("cannot execute {}", program.display()))
    }
}
