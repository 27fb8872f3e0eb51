//! The program's standard input: a bounded queue before a pipe.

use std::collections::VecDeque;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use kiln_runner_protocol::{ProtocolError, STDIN_WINDOW_BYTES};
use nix::errno::Errno;

/// What became of queued bytes: how many the supervisor may send anew.
pub type Taken = u32;

pub struct Input {
    /// `None` once the program can read no more, or everything was written and the end came.
    pipe: Option<OwnedFd>,
    queue: VecDeque<u8>,
    ended: bool,
}

impl Input {
    pub fn new(pipe: OwnedFd) -> Self {
        Self { pipe: Some(pipe), queue: VecDeque::new(), ended: false }
    }

    /// Queues bytes. An error is a supervisor that sends more than the window allows.
    pub fn push(&mut self, bytes: &[u8]) -> Result<(), ProtocolError> {
        if self.queue.len() + bytes.len() > STDIN_WINDOW_BYTES {
            return Err(ProtocolError::TooLong(bytes.len()));
        }
        self.queue.extend(bytes);
        Ok(())
    }

    /// No more comes: the pipe is closed when the queue is empty.
    pub fn end(&mut self) {
        self.ended = true;
    }

    /// Writes what the pipe takes now.
    pub fn write(&mut self) -> Taken {
        let mut taken = 0;
        while let Some(pipe) = &self.pipe {
            let (chunk, _) = self.queue.as_slices();
            if chunk.is_empty() {
                break;
            }
            match nix::unistd::write(pipe, chunk) {
                Ok(count) => {
                    self.queue.drain(..count);
                    taken += count;
                }
                Err(Errno::EAGAIN) => break,
                Err(Errno::EINTR) => {}
                // Nobody reads any more.
                Err(_) => self.pipe = None,
            }
        }
        if self.pipe.is_none() {
            taken += self.queue.len();
            self.queue.clear();
        }
        if self.ended && self.queue.is_empty() {
            self.pipe = None;
        }
        u32::try_from(taken).unwrap_or(u32::MAX)
    }

    /// The pipe, while there is something to write into it.
    pub fn wants_to_write(&self) -> Option<BorrowedFd<'_>> {
        self.pipe.as_ref().filter(|_| !self.queue.is_empty()).map(AsFd::as_fd)
    }

    /// The pipe, when it is open and nothing is queued: a program may be waiting for it.
    pub fn idle_pipe(&self) -> Option<BorrowedFd<'_>> {
        self.pipe.as_ref().filter(|_| self.queue.is_empty() && !self.ended).map(AsFd::as_fd)
    }
}
