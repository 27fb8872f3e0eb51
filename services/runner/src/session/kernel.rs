//! A session's interpreter: its process, and the frames between its kernel and the runner.

use std::collections::VecDeque;
use std::io::IoSlice;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::time::{Duration, Instant};

use kiln_runner_protocol::{Decoder, FromKernel, ProtocolError, ToKernel, encode};
use nix::errno::Errno;
use nix::sys::signal::{Signal, killpg};
use nix::sys::socket::{ControlMessage, MsgFlags, sendmsg};
use nix::unistd::Pid;

use crate::launch::Launched;
use crate::supervise::{kill_everything, read_some};

/// Frames that may wait for a kernel that does not read: more only if user code asks for answers and takes none.
const MAX_OUTGOING: usize = 256;
/// How long an interpreter may take until it takes cells.
const START_DEADLINE: Duration = Duration::from_secs(20);

pub struct Kernel {
    main: Pid,
    channel: Option<OwnedFd>,
    pub pipes: [Option<OwnedFd>; 2],
    decoder: Decoder<FromKernel>,
    /// Frames on their way, each with the descriptor that goes with it.
    outgoing: VecDeque<(Vec<u8>, Option<OwnedFd>)>,
    pub is_ready: bool,
    is_dying: bool,
    started: Instant,
}

impl Kernel {
    pub fn new(launched: Launched, now: Instant) -> Self {
        Self {
            main: launched.main,
            channel: Some(launched.display),
            pipes: [Some(launched.stdout), Some(launched.stderr)],
            decoder: Decoder::default(),
            outgoing: VecDeque::new(),
            is_ready: false,
            is_dying: false,
            started: now,
        }
    }

    pub fn is(&self, process: Pid) -> bool {
        self.main == process
    }

    /// Whether a cell may be given to it; what comes after its kill is for its successor.
    pub fn takes_cells(&self) -> bool {
        self.is_ready && !self.is_dying
    }

    /// Kills it and all that it has started.
    pub fn kill(&mut self) {
        self.is_dying = true;
        kill_everything();
    }

    /// Until when it must take cells, while it does not.
    pub fn start_deadline(&self) -> Option<Instant> {
        (!self.is_ready).then_some(self.started + START_DEADLINE)
    }

    pub fn signal(&self, signal: Signal) {
        // A group that is gone needs no signal.
        let _ = killpg(self.main, signal);
    }

    /// Queues a frame, and with it a descriptor; [`Self::write`] sends it.
    pub fn say(&mut self, message: &ToKernel, descriptor: Option<OwnedFd>) -> Result<(), ProtocolError> {
        let mut frame = Vec::new();
        encode(message, &mut frame)?;
        self.outgoing.push_back((frame, descriptor));
        Ok(())
    }

    /// Sends what the channel takes now.
    pub fn write(&mut self) {
        while let (Some(channel), Some((frame, descriptor))) = (&self.channel, self.outgoing.front_mut()) {
            let numbers: Vec<_> = descriptor.iter().map(AsRawFd::as_raw_fd).collect();
            let rights = [ControlMessage::ScmRights(&numbers)];
            let rights = if numbers.is_empty() { &[][..] } else { &rights[..] };
            let flags = MsgFlags::MSG_NOSIGNAL | MsgFlags::MSG_DONTWAIT;
            match sendmsg::<()>(channel.as_raw_fd(), &[IoSlice::new(frame)], rights, flags, None) {
                Ok(count) => {
                    *descriptor = None;
                    frame.drain(..count);
                    if frame.is_empty() {
                        self.outgoing.pop_front();
                    }
                }
                Err(Errno::EAGAIN) => return,
                Err(Errno::EINTR) => {}
                // The interpreter has closed its end or has died; its death is seen elsewhere.
                Err(_) => self.outgoing.clear(),
            }
        }
    }

    /// It has been told more than it takes.
    pub fn is_clogged(&self) -> bool {
        self.outgoing.len() >= MAX_OUTGOING
    }

    pub fn wants_to_write(&self) -> bool {
        self.channel.is_some() && !self.outgoing.is_empty()
    }

    pub fn channel(&self) -> Option<BorrowedFd<'_>> {
        self.channel.as_ref().map(AsFd::as_fd)
    }

    /// Reads the channel once; false when nothing is there.
    pub fn read(&mut self, scratch: &mut [u8]) -> bool {
        let read = read_some(&mut self.channel, scratch);
        read.is_some_and(|bytes| {
            self.decoder.push(bytes);
            true
        })
    }

    pub fn next_message(&mut self) -> Result<Option<FromKernel>, ProtocolError> {
        self.decoder.next_message()
    }
}
