//! The runner's end of the stream to the supervisor: never blocks, and holds a bounded backlog.

use std::io::ErrorKind;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream;

use kiln_runner_protocol::{Command, Decoder, Report, encode};

use crate::RunnerError;

/// Once this much waits for the supervisor, the program's output is left in its pipes, so it blocks.
const BACKLOG_BYTES: usize = 256 * 1024;
const READ_BYTES: usize = 64 * 1024;

pub struct Link {
    stream: UnixStream,
    decoder: Decoder<Command>,
    backlog: Vec<u8>,
    written: usize,
    scratch: Vec<u8>,
}

/// Whether the supervisor is still there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Peer {
    Present,
    Gone,
}

impl Link {
    pub fn new(socket: OwnedFd) -> std::io::Result<Self> {
        let stream = UnixStream::from(socket);
        stream.set_nonblocking(true)?;
        let (decoder, scratch) = (Decoder::default(), vec![0; READ_BYTES]);
        Ok(Self { stream, decoder, backlog: Vec::new(), written: 0, scratch })
    }

    /// Queues a report; [`Self::flush`] sends it.
    pub fn send(&mut self, report: &Report) -> Result<(), RunnerError> {
        Ok(encode(report, &mut self.backlog)?)
    }

    /// Whether there is room for more output.
    pub fn has_room(&self) -> bool {
        self.backlog.len() - self.written < BACKLOG_BYTES
    }

    /// Whether something waits to be sent.
    pub fn is_behind(&self) -> bool {
        self.written < self.backlog.len()
    }

    /// Sends what the socket takes now.
    pub fn flush(&mut self) -> Peer {
        while let Some(rest) = self.backlog.get(self.written..).filter(|rest| !rest.is_empty()) {
            match std::io::Write::write(&mut self.stream, rest) {
                Ok(count) => self.written += count,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Peer::Present,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(_) => return Peer::Gone,
            }
        }
        self.backlog.clear();
        self.backlog.shrink_to(BACKLOG_BYTES);
        self.written = 0;
        Peer::Present
    }

    /// Reads once; the commands that became whole are then given by [`Self::command`].
    pub fn receive(&mut self) -> Peer {
        match std::io::Read::read(&mut self.stream, &mut self.scratch) {
            Ok(0) => Peer::Gone,
            Ok(count) => {
                self.decoder.push(self.scratch.get(..count).unwrap_or_default());
                Peer::Present
            }
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) => Peer::Present,
            Err(_) => Peer::Gone,
        }
    }

    pub fn command(&mut self) -> Result<Option<Command>, RunnerError> {
        Ok(self.decoder.next_message()?)
    }
}

impl AsFd for Link {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.stream.as_fd()
    }
}
