//! A program that waits already: a zygote's child, confined, in the middle of its interpreter's start-up.

use std::io::{Read, Write};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;

use kiln_runner_protocol::{Program, StartFailure};
use nix::fcntl::{FcntlArg, FdFlag, OFlag, fcntl};
use nix::unistd::Pid;

use crate::launch::Launched;
use crate::zygote::{PROGRAM_ENDS, PROGRAM_MESSAGES, WAITING};
use crate::{RunnerError, Step, adopt};

pub struct WaitingProgram {
    process: Pid,
    ends: [OwnedFd; 4],
    messages: UnixStream,
}

impl WaitingProgram {
    /// Takes over the inherited descriptors and waits for the program's word that every control is set.
    pub fn inherit(process: i32) -> Result<Self, RunnerError> {
        let [stdin, stdout, stderr, display] = PROGRAM_ENDS;
        let ends = [adopt(stdin)?, adopt(stdout)?, adopt(stderr)?, adopt(display)?];
        let messages = adopt(PROGRAM_MESSAGES)?;
        for own in ends.iter().chain([&messages]) {
            fcntl(own, FcntlArg::F_SETFD(FdFlag::FD_CLOEXEC)).step("descriptors")?;
        }
        for own in &ends {
            fcntl(own, FcntlArg::F_SETFL(OFlag::O_NONBLOCK)).step("descriptors")?;
        }
        let mut messages = UnixStream::from(messages);
        let mut word = [0];
        match messages.read_exact(&mut word) {
            Ok(()) if word == [WAITING] => Ok(Self { process: Pid::from_raw(process), ends, messages }),
            _ => Err(RunnerError::NoProgram),
        }
    }

    /// Hands it its run.
    pub fn start(mut self, program: &Program) -> Result<Launched, StartFailure> {
        let message = message(program);
        let length = u32::try_from(message.len()).unwrap_or(u32::MAX);
        self.messages.write_all(&[&length.to_le_bytes(), message.as_slice()].concat()).map_err(|error| StartFailure {
            step: "the waiting interpreter".to_owned(),
            errno: error.raw_os_error().unwrap_or(0),
        })?;
        let [stdin, stdout, stderr, display] = self.ends;
        Ok(Launched { main: self.process, stdin, stdout, stderr, display })
    }
}

/// The count of the run's arguments, these, and the environment, with NUL between, which none of them contains.
fn message(program: &Program) -> Vec<u8> {
    let count = program.args.len().to_string();
    let env = program.env.iter().map(|(name, value)| format!("{name}={value}"));
    [count].into_iter().chain(program.args.iter().cloned()).chain(env).collect::<Vec<_>>().join("\0").into_bytes()
}
