//! A session: one interpreter that runs cells in order, replaced by a new one whenever it has ended.
//!
//! The kernel in it shares its process with user code, so that what it says is believed about its own cell only. The
//! clock, the kill, and the fact that a process ended are the runner's own.

mod cell;
mod kernel;
mod watch;

use std::time::Instant;

use kiln_runner_protocol::{
    Answered, Cell, CellOutcome, Command, Exit, ExitStatus, FromKernel, KernelEnd, Program, ProtocolError, Question, Report,
    Stopped, StreamTotal, ToKernel,
};
use nix::errno::Errno;
use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::sys::signal::Signal;
use nix::sys::signalfd::SignalFd;
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::{Pid, pipe2};

use crate::display::MAX_HELD_BYTES;
use crate::filter::Filters;
use crate::launch::{Launched, launch};
use crate::link::{Link, Peer};
use crate::supervise::{DRAIN_BYTES, READ_BYTES, WAITING_INTERVAL, kill_everything, look_at_disk, read_some};
use crate::{RunnerError, Step};
use cell::RunningCell;
use kernel::Kernel;

/// Interpreters that end, one after the other, before they take a cell: then the session is over.
const FAILED_STARTS: u32 = 3;
/// Questions that wait for an answer.
const QUESTIONS: usize = 16;

pub struct Session<'a> {
    program: &'a Program,
    filters: Option<Filters>,
    children: SignalFd,
    kernel: Kernel,
    cell: Option<RunningCell>,
    /// Waits for the interpreter to take cells.
    next: Option<Cell>,
    cells: u64,
    /// What was printed while no cell ran: the next one's.
    held: Vec<(usize, Vec<u8>)>,
    questions: Vec<u64>,
    is_restarted: bool,
    failed_starts: u32,
    /// How the interpreter ended, once it has.
    ended: Option<ExitStatus>,
    is_over: bool,
    started: Instant,
    scratch: Vec<u8>,
}

impl<'a> Session<'a> {
    pub fn new(program: &'a Program, launched: Launched, children: SignalFd, filters: Option<Filters>) -> Self {
        let started = Instant::now();
        Self {
            program,
            filters,
            children,
            kernel: Kernel::new(launched, started),
            cell: None,
            next: None,
            cells: 0,
            held: Vec::new(),
            questions: Vec::new(),
            is_restarted: false,
            failed_starts: 0,
            ended: None,
            is_over: false,
            started,
            scratch: vec![0; READ_BYTES],
        }
    }

    /// Runs cells until the supervisor wants no more, or has gone, or no interpreter can be started.
    pub fn serve(&mut self, link: &mut Link) -> Result<Peer, RunnerError> {
        loop {
            if self.ended.is_some() {
                self.bury(link)?;
                if self.is_over || !self.begin_again()? {
                    return Ok(Peer::Present);
                }
            }
            self.watch(link)?;
            self.kernel.write();
            if let Some(cell) = &mut self.cell {
                cell.send(false, link)?;
            }
            if link.flush() == Peer::Gone {
                return Ok(Peer::Gone);
            }
            let ready = self.wait(link)?;
            if ready.link && link.receive() == Peer::Gone {
                return Ok(Peer::Gone);
            }
            while let Some(command) = link.command()? {
                self.obey(command, link)?;
            }
            self.write_input(link)?;
            for (index, ready) in ready.pipes.into_iter().enumerate() {
                if ready {
                    self.read_pipe(index, READ_BYTES, link)?;
                }
            }
            if ready.channel && self.kernel.read(&mut self.scratch) {
                self.listen(link)?;
            }
            if self.kernel.channel().is_none() {
                // Closed by a cell, or by its end: either way it takes no further cells.
                self.kernel.kill();
            }
            if ready.children {
                self.reap();
            }
        }
    }

    /// What is left to say when it is over; every process is dead.
    pub fn exit(&self) -> Exit {
        Exit {
            status: self.ended.unwrap_or(ExitStatus::Signal(Signal::SIGKILL as i32)),
            stopped: self.is_over.then_some(Stopped::Command),
            wall_us: u64::try_from(self.started.elapsed().as_micros()).unwrap_or(u64::MAX),
            cpu_us: 0,
            largest_process_bytes: 0,
            stdout: StreamTotal::default(),
            stderr: StreamTotal::default(),
            displays_dropped: 0,
            disk: look_at_disk(&self.program.directory),
        }
    }

    fn obey(&mut self, command: Command, link: &mut Link) -> Result<(), RunnerError> {
        let now = Instant::now();
        match command {
            Command::Cell(cell) => return self.begin_cell(*cell, link),
            Command::Question(question) => return self.ask(*question, link),
            Command::Stdin(bytes) => {
                if let Some(input) = self.cell.as_mut().and_then(|cell| cell.input.as_mut()) {
                    input.push(&bytes)?;
                }
                self.no_longer_waiting(link)?;
            }
            Command::CloseStdin => {
                if let Some(input) = self.cell.as_mut().and_then(|cell| cell.input.as_mut()) {
                    input.end();
                }
                self.no_longer_waiting(link)?;
            }
            Command::Signal(number) if self.cell.is_some() => {
                // A number that is none was refused by the supervisor.
                let _ = Signal::try_from(number).map(|signal| self.kernel.signal(signal));
            }
            Command::Interrupt if self.cell.is_some() => self.kernel.signal(Signal::SIGINT),
            Command::Signal(_) | Command::Interrupt => {}
            Command::StopCell => self.stop_cell(Stopped::Command, now),
            Command::Restart => {
                if let Some(cell) = &mut self.cell {
                    cell.stop(Stopped::Command, now);
                }
                self.kernel.kill();
            }
            Command::Kill => {
                if let Some(cell) = &mut self.cell {
                    cell.stop(Stopped::Command, now);
                }
                self.is_over = true;
                self.kernel.kill();
            }
            Command::Start(_) => {
                return Err(ProtocolError::Unexpected { expected: "a session's command", got: "start" }.into());
            }
        }
        Ok(())
    }

    fn begin_cell(&mut self, cell: Cell, link: &mut Link) -> Result<(), RunnerError> {
        if self.cell.is_some() || self.next.is_some() {
            return Err(ProtocolError::Unexpected { expected: "no cell", got: "a cell" }.into());
        }
        if !self.kernel.takes_cells() {
            self.next = Some(cell);
            return Ok(());
        }
        self.cells += 1;
        let (read, write) = if cell.interactive {
            let (read, write) = pipe2(OFlag::O_CLOEXEC).step("input")?;
            fcntl(&write, FcntlArg::F_SETFL(OFlag::O_NONBLOCK)).step("input")?;
            (Some(read), Some(write))
        } else {
            (None, None)
        };
        let mut running = RunningCell::new(self.cells, &cell, write, Instant::now());
        for (index, bytes) in self.held.drain(..) {
            running.printed(index, &bytes, link)?;
        }
        self.cell = Some(running);
        Ok(self.kernel.say(&ToKernel::Cell(self.cells, Box::new(cell)), read)?)
    }

    fn ask(&mut self, question: Question, link: &mut Link) -> Result<(), RunnerError> {
        if !self.kernel.takes_cells() || self.questions.len() >= QUESTIONS {
            return link.send(&Report::Answered(no_answer(question.id)));
        }
        self.questions.push(question.id);
        Ok(self.kernel.say(&ToKernel::Question(Box::new(question)), None)?)
    }

    /// Everything that the kernel has said by now.
    fn listen(&mut self, link: &mut Link) -> Result<(), RunnerError> {
        loop {
            match self.kernel.next_message() {
                Ok(Some(message)) => self.heard(message, link)?,
                Ok(None) => return Ok(()),
                // User code has written here: its session loses its interpreter.
                Err(_) => {
                    self.kernel.kill();
                    return Ok(());
                }
            }
        }
    }

    fn heard(&mut self, message: FromKernel, link: &mut Link) -> Result<(), RunnerError> {
        match message {
            FromKernel::Stdout(bytes) => self.printed(0, bytes, link),
            FromKernel::Stderr(bytes) => self.printed(1, bytes, link),
            FromKernel::Output(output) => {
                self.drain(link)?;
                match &mut self.cell {
                    Some(cell) => cell.displayed(output, link),
                    // Of a thread that outlives its cell: there is nobody to show it to.
                    None => Ok(()),
                }
            }
            FromKernel::Ended(KernelEnd { id, outcome, execution_count }) => {
                if self.cell.as_ref().is_some_and(|cell| cell.id == id) {
                    self.end_cell(outcome.into(), Some(execution_count), link)?;
                }
                Ok(())
            }
            FromKernel::Reply(answered) => {
                let known = self.questions.iter().position(|id| *id == answered.id);
                match known {
                    Some(index) => {
                        self.questions.swap_remove(index);
                        link.send(&Report::Answered(answered))
                    }
                    None => Ok(()),
                }
            }
            FromKernel::Sync if self.kernel.is_clogged() => {
                kill_everything();
                Ok(())
            }
            FromKernel::Sync => {
                self.drain(link)?;
                if let Some(cell) = &mut self.cell {
                    cell.send(true, link)?;
                }
                Ok(self.kernel.say(&ToKernel::Synced, None)?)
            }
            FromKernel::Ready => {
                if !std::mem::replace(&mut self.kernel.is_ready, true) {
                    self.failed_starts = 0;
                    link.send(&Report::KernelReady { restarted: self.is_restarted })?;
                }
                match self.next.take() {
                    Some(cell) => self.begin_cell(cell, link),
                    None => Ok(()),
                }
            }
        }
    }

    fn printed(&mut self, index: usize, bytes: Vec<u8>, link: &mut Link) -> Result<(), RunnerError> {
        self.drain(link)?;
        if let Some(cell) = &mut self.cell {
            return cell.printed(index, &bytes, link);
        }
        if self.held.iter().map(|(_, bytes)| bytes.len()).sum::<usize>() + bytes.len() <= MAX_HELD_BYTES {
            self.held.push((index, bytes));
        }
        Ok(())
    }

    /// Reads what child processes have printed by now, so that what is sent next comes after it.
    fn drain(&mut self, link: &mut Link) -> Result<(), RunnerError> {
        for index in 0..self.kernel.pipes.len() {
            self.read_pipe(index, DRAIN_BYTES, link)?;
        }
        Ok(())
    }

    fn read_pipe(&mut self, index: usize, most: usize, link: &mut Link) -> Result<(), RunnerError> {
        let (Some(cell), Some(pipe)) = (&mut self.cell, self.kernel.pipes.get_mut(index)) else { return Ok(()) };
        let mut taken = 0;
        while taken < most
            && let Some(bytes) = read_some(pipe, &mut self.scratch)
        {
            taken += bytes.len();
            cell.printed(index, bytes, link)?;
        }
        Ok(())
    }

    fn end_cell(&mut self, outcome: CellOutcome, count: Option<u64>, link: &mut Link) -> Result<(), RunnerError> {
        self.drain(link)?;
        let Some(mut cell) = self.cell.take() else { return Ok(()) };
        cell.disk = cell.disk.with(look_at_disk(&self.program.directory));
        if cell.waiting {
            link.send(&Report::WaitingForInput(false))?;
        }
        cell.end(outcome, count, link)
    }

    fn stop_cell(&mut self, why: Stopped, now: Instant) {
        if let Some(cell) = &mut self.cell
            && cell.stop(why, now)
        {
            self.kernel.signal(Signal::SIGINT);
        }
    }

    fn write_input(&mut self, link: &mut Link) -> Result<(), RunnerError> {
        let Some(input) = self.cell.as_mut().and_then(|cell| cell.input.as_mut()) else { return Ok(()) };
        let taken = input.write();
        if taken > 0 { link.send(&Report::StdinTaken(taken)) } else { Ok(()) }
    }

    fn no_longer_waiting(&mut self, link: &mut Link) -> Result<(), RunnerError> {
        let Some(cell) = &mut self.cell else { return Ok(()) };
        cell.next_waiting_check = Instant::now() + WAITING_INTERVAL;
        if std::mem::take(&mut cell.waiting) { link.send(&Report::WaitingForInput(false)) } else { Ok(()) }
    }

    /// Takes in every child that has ended; orphans come to process 1.
    fn reap(&mut self) {
        // The signal only says "look"; several ends may share one.
        while matches!(self.children.read_signal(), Ok(Some(_))) {}
        while let Ok(status) = waitpid(Pid::from_raw(-1), Some(WaitPidFlag::WNOHANG)) {
            if status == WaitStatus::StillAlive {
                break;
            }
            self.note(status);
        }
    }

    fn note(&mut self, status: WaitStatus) {
        let (process, ended) = if let WaitStatus::Exited(process, code) = status {
            (process, ExitStatus::Code(code))
        } else if let WaitStatus::Signaled(process, signal, _) = status {
            (process, ExitStatus::Signal(signal as i32))
        } else {
            return;
        };
        if self.kernel.is(process) {
            self.ended = Some(ended);
        }
    }

    /// The interpreter has ended: kills what it left, hears what it still said, and ends its cell.
    fn bury(&mut self, link: &mut Link) -> Result<(), RunnerError> {
        kill_everything();
        loop {
            match waitpid(Pid::from_raw(-1), None) {
                Ok(status) => self.note(status),
                Err(Errno::EINTR) => {}
                Err(_) => break,
            }
        }
        while self.kernel.read(&mut self.scratch) {
            while let Ok(Some(message)) = self.kernel.next_message() {
                self.heard(message, link)?;
            }
        }
        if let Some(status) = self.ended {
            self.end_cell(CellOutcome::Gone(status), None, link)?;
        }
        for id in self.questions.drain(..) {
            link.send(&Report::Answered(no_answer(id)))?;
        }
        self.failed_starts += u32::from(!self.kernel.is_ready);
        Ok(())
    }

    /// A new interpreter, in the same place with the same controls; false when that is of no use.
    fn begin_again(&mut self) -> Result<bool, RunnerError> {
        if self.failed_starts >= FAILED_STARTS {
            return Ok(false);
        }
        let filters = match self.filters.take() {
            Some(filters) => filters,
            None => Filters::compile()?,
        };
        let launched = launch(self.program, &filters);
        self.filters = Some(filters);
        let Ok(launched) = launched else { return Ok(false) };
        self.kernel = Kernel::new(launched, Instant::now());
        (self.ended, self.is_restarted) = (None, true);
        self.held.clear();
        Ok(true)
    }
}

fn no_answer(id: u64) -> Answered {
    Answered { id, content: b"null".to_vec() }
}
