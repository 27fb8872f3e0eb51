//! One cell under way: its clock, its input, and what it prints, in the order in which it was printed.

use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};

use kiln_runner_protocol::{Cell, CellEnd, CellOutcome, DiskUse, Report, Stopped, Stream};

use crate::RunnerError;
use crate::display::Budget;
use crate::input::Input;
use crate::link::Link;
use crate::output::OutputStream;

/// A cell that was interrupted for good is killed after so long.
const PATIENCE: Duration = Duration::from_secs(2);
/// How often the order of the two streams is kept by a frame of its own, in each interval; a program that changes
/// between them all the time has its output sent in larger pieces.
const SWITCHES: u32 = 64;
const SWITCH_INTERVAL: Duration = Duration::from_millis(100);

pub const STREAMS: [Stream; 2] = [Stream::Stdout, Stream::Stderr];

pub struct RunningCell {
    pub id: u64,
    started: Instant,
    deadline: Instant,
    streams: [OutputStream; 2],
    pub input: Option<Input>,
    pub waiting: bool,
    pub next_waiting_check: Instant,
    displays: Budget,
    stopped: Option<(Stopped, Instant)>,
    pub disk: DiskUse,
    pub next_disk_check: Instant,
    switches: (Instant, u32),
}

impl RunningCell {
    pub fn new(id: u64, cell: &Cell, input: Option<OwnedFd>, now: Instant) -> Self {
        Self {
            id,
            started: now,
            deadline: now + Duration::from_millis(cell.timeout_ms),
            streams: [OutputStream::new(cell.output_bytes), OutputStream::new(cell.output_bytes)],
            input: input.map(Input::new),
            waiting: false,
            next_waiting_check: now,
            displays: Budget::default(),
            stopped: None,
            disk: DiskUse { most_used_bytes: 0, least_free_inodes: u64::MAX },
            next_disk_check: now,
            switches: (now, 0),
        }
    }

    /// Notes why the cell is to end; true when nobody did before.
    pub fn stop(&mut self, why: Stopped, now: Instant) -> bool {
        let first = self.stopped.is_none();
        if first {
            self.stopped = Some((why, now));
        }
        first
    }

    pub fn is_out_of_time(&self, now: Instant) -> bool {
        self.stopped.is_none() && now >= self.deadline
    }

    /// Whether it has been told to end and has not.
    pub fn is_deaf(&self, now: Instant) -> bool {
        self.stopped.is_some_and(|(_, at)| now >= at + PATIENCE)
    }

    /// When something is to be done by the clock.
    pub fn next_look(&self, watches_input: bool) -> Instant {
        let stop = self.stopped.map_or(self.deadline, |(_, at)| at + PATIENCE);
        let due = self.streams.iter().filter_map(OutputStream::due);
        let input = watches_input.then_some(self.next_waiting_check);
        due.chain(input).chain([stop]).fold(self.next_disk_check, Instant::min)
    }

    /// Takes what was printed to one stream; what waits of the other goes first.
    pub fn printed(&mut self, index: usize, bytes: &[u8], link: &mut Link) -> Result<(), RunnerError> {
        let now = Instant::now();
        self.send_other(index, now, link)?;
        if let (Some(stream), Some(kind)) = (self.streams.get_mut(index), STREAMS.get(index)) {
            stream.push(bytes, now);
            if let Some(bytes) = stream.take_due(now) {
                link.send(&Report::Output { stream: *kind, bytes })?;
            }
        }
        Ok(())
    }

    fn send_other(&mut self, index: usize, now: Instant, link: &mut Link) -> Result<(), RunnerError> {
        let (since, count) = self.switches;
        if now.saturating_duration_since(since) >= SWITCH_INTERVAL {
            self.switches = (now, 0);
        } else if count >= SWITCHES {
            return Ok(());
        }
        let other = 1 - index.min(1);
        if let (Some(stream), Some(kind)) = (self.streams.get_mut(other), STREAMS.get(other))
            && let Some(bytes) = stream.take(now)
        {
            self.switches.1 += 1;
            link.send(&Report::Output { stream: *kind, bytes })?;
        }
        Ok(())
    }

    /// Sends what is due; everything when `all`, so that what follows comes after it.
    pub fn send(&mut self, all: bool, link: &mut Link) -> Result<(), RunnerError> {
        let now = Instant::now();
        for (stream, kind) in self.streams.iter_mut().zip(STREAMS) {
            let bytes = if all { stream.take(now) } else { stream.take_due(now) };
            if let Some(bytes) = bytes {
                link.send(&Report::Output { stream: kind, bytes })?;
            }
        }
        Ok(())
    }

    pub fn displayed(&mut self, output: Vec<u8>, link: &mut Link) -> Result<(), RunnerError> {
        self.send(true, link)?;
        if self.displays.admit(output.len()) { link.send(&Report::Display(output)) } else { Ok(()) }
    }

    /// Sends the rest and the word that it has ended.
    pub fn end(mut self, outcome: CellOutcome, count: Option<u64>, link: &mut Link) -> Result<(), RunnerError> {
        self.send(true, link)?;
        for (stream, kind) in self.streams.iter_mut().zip(STREAMS) {
            if let Some(bytes) = stream.take_rest() {
                link.send(&Report::Output { stream: kind, bytes })?;
            }
        }
        let [stdout, stderr] = &self.streams;
        let wall = self.started.elapsed();
        let end = CellEnd {
            outcome,
            stopped: self.stopped.map(|(why, _)| why),
            execution_count: count,
            wall_us: u64::try_from(wall.as_micros()).unwrap_or(u64::MAX),
            stdout: stdout.total(),
            stderr: stderr.total(),
            displays_dropped: self.displays.dropped(),
            disk: self.disk,
        };
        link.send(&Report::CellEnded(Box::new(end)))
    }
}
