//! What a session waits for, and what it looks at by the clock.

use std::os::fd::AsFd;
use std::time::{Duration, Instant};

use kiln_runner_protocol::{Report, Stopped};
use nix::poll::{PollFd, PollFlags, ppoll};
use nix::sys::time::{TimeSpec, TimeValLike};

use super::Session;
use super::cell::RunningCell;
use crate::input::Input;
use crate::link::Link;
use crate::supervise::{DISK_INTERVAL, WAITING_INTERVAL, interrupted, look_at_disk};
use crate::waiting::somebody_waits;
use crate::{RunnerError, Step};

/// Which of the things waited for are ready.
#[derive(Default)]
pub(super) struct Ready {
    pub link: bool,
    pub children: bool,
    pub channel: bool,
    pub pipes: [bool; 2],
}

impl Session<'_> {
    /// What is looked at by the clock.
    pub(super) fn watch(&mut self, link: &mut Link) -> Result<(), RunnerError> {
        let now = Instant::now();
        if self.kernel.start_deadline().is_some_and(|deadline| now >= deadline) {
            self.kernel.kill();
        }
        let Some(cell) = &mut self.cell else { return Ok(()) };
        if now >= cell.next_disk_check {
            cell.disk = cell.disk.with(look_at_disk(&self.program.directory));
            cell.next_disk_check = now + DISK_INTERVAL;
        }
        if cell.is_deaf(now) {
            self.kernel.kill();
        } else if cell.is_out_of_time(now) {
            self.stop_cell(Stopped::WallTime, now);
        }
        self.watch_input(now, link)
    }

    fn watch_input(&mut self, now: Instant, link: &mut Link) -> Result<(), RunnerError> {
        if !self.watches_input() {
            return Ok(());
        }
        let Some(cell) = self.cell.as_mut().filter(|cell| now >= cell.next_waiting_check) else { return Ok(()) };
        cell.next_waiting_check = now + WAITING_INTERVAL;
        if cell.input.as_ref().and_then(Input::idle_pipe).is_some_and(somebody_waits) {
            cell.waiting = true;
            cell.send(true, link)?;
            link.send(&Report::WaitingForInput(true))?;
        }
        Ok(())
    }

    fn watches_input(&self) -> bool {
        let waits = |cell: &RunningCell| !cell.waiting && cell.input.as_ref().is_some_and(|input| input.idle_pipe().is_some());
        self.cell.as_ref().is_some_and(waits)
    }

    /// Sleeps until something is ready or the clock has something to do.
    pub(super) fn wait(&self, link: &Link) -> Result<Ready, RunnerError> {
        let room = link.has_room();
        let both = PollFlags::POLLIN | PollFlags::POLLOUT;
        let link_events = if link.is_behind() { both } else { PollFlags::POLLIN };
        let nothing = self.children.as_fd();
        let mut descriptors = vec![PollFd::new(link.as_fd(), link_events), PollFd::new(nothing, PollFlags::POLLIN)];
        let channel_events = match (room, self.kernel.wants_to_write()) {
            (true, true) => both,
            (false, true) => PollFlags::POLLOUT,
            (_, false) => PollFlags::POLLIN,
        };
        let channel = self.kernel.channel().filter(|_| room || self.kernel.wants_to_write());
        descriptors.push(PollFd::new(channel.unwrap_or(nothing), channel_events));
        // Between cells nobody is there for what children print: it waits in the pipe.
        let reads = room && self.cell.is_some();
        for pipe in &self.kernel.pipes {
            let pipe = pipe.as_ref().filter(|_| reads).map_or(nothing, AsFd::as_fd);
            descriptors.push(PollFd::new(pipe, PollFlags::POLLIN));
        }
        if let Some(pipe) = self.cell.as_ref().and_then(|cell| cell.input.as_ref()).and_then(Input::wants_to_write) {
            descriptors.push(PollFd::new(pipe, PollFlags::POLLOUT));
        }
        ppoll(&mut descriptors, self.time_to_wait(), None).or_else(interrupted).step("poll")?;
        let is_ready = |index: usize| descriptors.get(index).and_then(PollFd::any).unwrap_or(false);
        let [stdout, stderr] = self.kernel.pipes.each_ref().map(Option::is_some);
        Ok(Ready {
            link: is_ready(0),
            children: is_ready(1),
            channel: room && self.kernel.channel().is_some() && is_ready(2),
            pipes: [reads && stdout && is_ready(3), reads && stderr && is_ready(4)],
        })
    }

    fn time_to_wait(&self) -> Option<TimeSpec> {
        let cell = self.cell.as_ref().map(|cell| cell.next_look(self.watches_input()));
        let next = cell.into_iter().chain(self.kernel.start_deadline()).min()?;
        let wait = next.saturating_duration_since(Instant::now()).max(Duration::from_micros(1));
        Some(TimeSpec::nanoseconds(i64::try_from(wait.as_nanos()).unwrap_or(i64::MAX)))
    }
}
