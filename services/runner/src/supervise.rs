//! The runner's one loop: waits on everything at once, until the program has ended and all its kin are dead.

use std::os::fd::{AsFd, OwnedFd};
use std::time::{Duration, Instant};

use kiln_runner_protocol::{Command, DiskUse, Exit, ExitStatus, Program, ProtocolError, Report, Stopped, Stream, VERSION};
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, ppoll};
use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::signal::{SigSet, Signal, kill, killpg};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use nix::sys::statvfs::statvfs;
use nix::sys::time::{TimeSpec, TimeValLike};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::Pid;

use crate::display::DisplayReader;
use crate::filter::Filters;
use crate::input::Input;
use crate::launch::{Launched, launch};
use crate::link::{Link, Peer};
use crate::output::OutputStream;
use crate::session::Session;
use crate::waiting::somebody_waits;
use crate::waiting_program::WaitingProgram;
use crate::{RunnerError, Step};

/// The name of a runner that has taken a program, as `ps` shows it on the host; one that waits is `kiln-runner`.
const BUSY: &std::ffi::CStr = c"kiln-run";
/// How often the free space of the working directory is looked at.
pub const DISK_INTERVAL: Duration = Duration::from_millis(50);
/// How often an interactive run with an empty input is looked at.
pub const WAITING_INTERVAL: Duration = Duration::from_millis(15);
pub const READ_BYTES: usize = 64 * 1024;
/// Most of a living program's pipe that is read in one go.
pub const DRAIN_BYTES: usize = 1024 * 1024;
/// Most that is read of a pipe once every process is dead: more than the kernel holds of one, and a bound should somebody
/// else write on.
const REST_BYTES: usize = 16 * 1024 * 1024;

/// Greets, takes one program, runs it, reports its end. Returns early when the supervisor has gone.
pub fn serve(control: OwnedFd, waiting: Option<WaitingProgram>) -> Result<(), RunnerError> {
    // Compiled ahead, but not where nothing will be executed.
    let filters = if waiting.is_none() { Some(Filters::compile()?) } else { None };
    let children = SigSet::from(Signal::SIGCHLD);
    children.thread_block().step("block SIGCHLD")?;
    let children = SignalFd::with_flags(&children, SfdFlags::SFD_CLOEXEC | SfdFlags::SFD_NONBLOCK).step("signalfd")?;
    let mut link = Link::new(control).map_err(|_| RunnerError::System { step: "control", errno: Errno::last() })?;

    link.send(&Report::Hello { version: VERSION })?;
    let Some(program) = await_program(&mut link)? else { return Ok(()) };
    nix::sys::prctl::set_name(BUSY).step("name")?;
    let started = Instant::now();
    let launched = match (waiting, &filters) {
        (Some(waiting), _) => waiting.start(&program),
        (None, Some(filters)) => launch(&program, filters),
        (None, None) => return Err(RunnerError::NoProgram),
    };
    let launched = match launched {
        Ok(launched) => launched,
        Err(failure) => {
            link.send(&Report::StartFailed(failure))?;
            return finish(&mut link);
        }
    };
    link.send(&Report::Started)?;
    if program.session {
        let mut session = Session::new(&program, launched, children, filters);
        return match session.serve(&mut link)? {
            Peer::Gone => Ok(()),
            Peer::Present => {
                link.send(&Report::Ended(Box::new(session.exit())))?;
                finish(&mut link)
            }
        };
    }
    let mut run = Run::new(&program, launched, children, started);
    match run.supervise(&mut link)? {
        Peer::Gone => Ok(()),
        Peer::Present => {
            let exit = run.end(&mut link)?;
            link.send(&Report::Ended(Box::new(exit)))?;
            finish(&mut link)
        }
    }
}

fn await_program(link: &mut Link) -> Result<Option<Box<Program>>, RunnerError> {
    loop {
        match link.command()? {
            Some(Command::Start(program)) => return Ok(Some(program)),
            // A cancel that overtook the start: nothing runs, nothing is to be done.
            Some(Command::Kill) => return Ok(None),
            Some(_) => return Err(ProtocolError::Unexpected { expected: "start", got: "another command" }.into()),
            None => {}
        }
        if link.flush() == Peer::Gone || wait_for(link) == Peer::Gone || link.receive() == Peer::Gone {
            return Ok(None);
        }
    }
}

/// Sends the rest, however long the supervisor takes to read it.
fn finish(link: &mut Link) -> Result<(), RunnerError> {
    while link.flush() == Peer::Present && link.is_behind() {
        let mut descriptors = [PollFd::new(link.as_fd(), PollFlags::POLLOUT)];
        ppoll(&mut descriptors, None, None).or_else(interrupted).step("poll")?;
    }
    Ok(())
}

fn wait_for(link: &Link) -> Peer {
    let mut descriptors = [PollFd::new(link.as_fd(), PollFlags::POLLIN)];
    match ppoll(&mut descriptors, None, None).or_else(interrupted) {
        Ok(_) => Peer::Present,
        Err(_) => Peer::Gone,
    }
}

pub fn interrupted(errno: Errno) -> nix::Result<i32> {
    if errno == Errno::EINTR { Ok(0) } else { Err(errno) }
}

/// One of the program's output pipes and what was read from it.
struct Channel {
    kind: Stream,
    pipe: Option<OwnedFd>,
    stream: OutputStream,
}

struct Run {
    main: Pid,
    directory: String,
    interactive: bool,
    started: Instant,
    deadline: Instant,
    children: SignalFd,
    input: Input,
    channels: [Channel; 2],
    display: Option<OwnedFd>,
    documents: DisplayReader,
    ended: Option<(ExitStatus, Instant)>,
    stopped: Option<(Stopped, Instant)>,
    waiting: bool,
    next_waiting_check: Instant,
    disk: DiskUse,
    next_disk_check: Instant,
    scratch: Vec<u8>,
}

/// Which of the things waited for are ready.
#[derive(Default)]
struct Ready {
    link: bool,
    children: bool,
    channels: [bool; 2],
    display: bool,
}

impl Run {
    fn new(program: &Program, launched: Launched, children: SignalFd, started: Instant) -> Self {
        let channel = |kind, pipe| Channel { kind, pipe: Some(pipe), stream: OutputStream::new(program.output_bytes) };
        Self {
            main: launched.main,
            directory: program.directory.clone(),
            interactive: program.interactive,
            started,
            deadline: started + Duration::from_millis(program.timeout_ms),
            children,
            input: Input::new(launched.stdin),
            channels: [channel(Stream::Stdout, launched.stdout), channel(Stream::Stderr, launched.stderr)],
            display: Some(launched.display),
            documents: DisplayReader::default(),
            ended: None,
            stopped: None,
            waiting: false,
            next_waiting_check: started + WAITING_INTERVAL,
            disk: DiskUse { most_used_bytes: 0, least_free_inodes: u64::MAX },
            next_disk_check: started + DISK_INTERVAL,
            scratch: vec![0; READ_BYTES],
        }
    }

    /// Runs until the main program has ended, however that came about, or the supervisor has gone.
    fn supervise(&mut self, link: &mut Link) -> Result<Peer, RunnerError> {
        while self.ended.is_none() {
            self.watch(link)?;
            self.send_due(link)?;
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
            let taken = self.input.write();
            if taken > 0 {
                link.send(&Report::StdinTaken(taken))?;
            }
            for (index, ready) in ready.channels.into_iter().enumerate() {
                if ready {
                    self.read_channel(index);
                }
            }
            if ready.display {
                self.read_display(link)?;
            }
            if ready.children {
                self.reap();
            }
        }
        Ok(Peer::Present)
    }

    /// What is looked at by the clock: the limit, the disk, whether somebody reads the empty input.
    fn watch(&mut self, link: &mut Link) -> Result<(), RunnerError> {
        let now = Instant::now();
        if now >= self.deadline {
            self.stop(Stopped::WallTime);
        }
        if now >= self.next_disk_check {
            self.look_at_disk();
            self.next_disk_check = now + DISK_INTERVAL;
        }
        if self.watches_input() && now >= self.next_waiting_check {
            self.next_waiting_check = now + WAITING_INTERVAL;
            if self.input.idle_pipe().is_some_and(somebody_waits) {
                self.drain(link)?;
                self.waiting = true;
                link.send(&Report::WaitingForInput(true))?;
            }
        }
        Ok(())
    }

    fn watches_input(&self) -> bool {
        self.interactive && !self.waiting && self.input.idle_pipe().is_some()
    }

    fn send_due(&mut self, link: &mut Link) -> Result<(), RunnerError> {
        let now = Instant::now();
        for channel in &mut self.channels {
            if let Some(bytes) = channel.stream.take_due(now) {
                link.send(&Report::Output { stream: channel.kind, bytes })?;
            }
        }
        Ok(())
    }

    /// Sleeps until something is ready or the clock has something to do.
    fn wait(&self, link: &Link) -> Result<Ready, RunnerError> {
        let room = link.has_room();
        let link_events = if link.is_behind() { PollFlags::POLLIN | PollFlags::POLLOUT } else { PollFlags::POLLIN };
        let mut descriptors = vec![PollFd::new(link.as_fd(), link_events), PollFd::new(self.children.as_fd(), PollFlags::POLLIN)];
        let [stdout, stderr] = &self.channels;
        for pipe in [&stdout.pipe, &stderr.pipe, &self.display] {
            // A descriptor without flags is only watched for its end, so one that is not to be read is left out.
            let pipe = pipe.as_ref().filter(|_| room).map_or(self.children.as_fd(), AsFd::as_fd);
            descriptors.push(PollFd::new(pipe, PollFlags::POLLIN));
        }
        if let Some(pipe) = self.input.wants_to_write() {
            descriptors.push(PollFd::new(pipe, PollFlags::POLLOUT));
        }
        ppoll(&mut descriptors, Some(self.time_to_wait()), None).or_else(interrupted).step("poll")?;
        let is_ready = |index: usize| descriptors.get(index).and_then(PollFd::any).unwrap_or(false);
        let readable = |index: usize, pipe: &Option<OwnedFd>| room && pipe.is_some() && is_ready(index);
        Ok(Ready {
            link: is_ready(0),
            children: is_ready(1),
            channels: [readable(2, &stdout.pipe), readable(3, &stderr.pipe)],
            display: readable(4, &self.display),
        })
    }

    fn time_to_wait(&self) -> TimeSpec {
        let due = self.channels.iter().filter_map(|channel| channel.stream.due());
        let input = self.watches_input().then_some(self.next_waiting_check);
        let stop = self.stopped.is_none().then_some(self.deadline);
        let next = due.chain(input).chain(stop).fold(self.next_disk_check, Instant::min);
        let wait = next.saturating_duration_since(Instant::now());
        TimeSpec::nanoseconds(i64::try_from(wait.as_nanos()).unwrap_or(i64::MAX))
    }

    fn obey(&mut self, command: Command, link: &mut Link) -> Result<(), RunnerError> {
        match command {
            Command::Stdin(bytes) => {
                self.input.push(&bytes)?;
                self.no_longer_waiting(link)
            }
            Command::CloseStdin => {
                self.input.end();
                self.no_longer_waiting(link)
            }
            Command::Signal(number) => {
                // A group that is gone needs no signal; a number that is none was refused by the supervisor.
                let _ = Signal::try_from(number).and_then(|signal| killpg(self.main, signal));
                Ok(())
            }
            Command::Kill => {
                self.stop(Stopped::Command);
                Ok(())
            }
            Command::Start(_) => Err(ProtocolError::Unexpected { expected: "a running program's command", got: "start" }.into()),
            Command::Cell(_) | Command::StopCell | Command::Interrupt | Command::Restart | Command::Question(_) => {
                Err(ProtocolError::Unexpected { expected: "a running program's command", got: "a session's" }.into())
            }
        }
    }

    fn no_longer_waiting(&mut self, link: &mut Link) -> Result<(), RunnerError> {
        self.next_waiting_check = Instant::now() + WAITING_INTERVAL;
        if std::mem::take(&mut self.waiting) { link.send(&Report::WaitingForInput(false)) } else { Ok(()) }
    }

    /// Kills the whole tree, once.
    fn stop(&mut self, why: Stopped) {
        if self.stopped.is_none() {
            self.stopped = Some((why, Instant::now()));
            kill_everything();
        }
    }

    /// Takes in every child that has ended; orphans of the run come to process 1.
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
        if process == self.main {
            self.ended = Some((ended, Instant::now()));
        }
    }

    /// The main program has ended: kills what it left, waits for every process, reads what is left to read.
    fn end(&mut self, link: &mut Link) -> Result<Exit, RunnerError> {
        self.look_at_disk();
        kill_everything();
        loop {
            match waitpid(Pid::from_raw(-1), None) {
                Ok(status) => self.note(status),
                Err(Errno::EINTR) => {}
                Err(_) => break,
            }
        }
        self.drain(link)?;
        for channel in &mut self.channels {
            if let Some(bytes) = channel.stream.take_rest() {
                link.send(&Report::Output { stream: channel.kind, bytes })?;
            }
        }
        Ok(self.exit())
    }

    fn exit(&self) -> Exit {
        let (status, ended_at) = self.ended.unwrap_or((ExitStatus::Signal(Signal::SIGKILL as i32), Instant::now()));
        // A program that ended by itself while the kill was on its way was not stopped.
        let stopped = self.stopped.filter(|_| status == ExitStatus::Signal(Signal::SIGKILL as i32));
        let wall = stopped.map_or(ended_at, |(_, at)| at).saturating_duration_since(self.started);
        let [stdout, stderr] = &self.channels;
        let usage = getrusage(UsageWho::RUSAGE_CHILDREN).ok();
        let microseconds = |time: nix::sys::time::TimeVal| u64::try_from(time.num_microseconds()).unwrap_or(0);
        Exit {
            status,
            stopped: stopped.map(|(why, _)| why),
            wall_us: u64::try_from(wall.as_micros()).unwrap_or(u64::MAX),
            cpu_us: usage.map_or(0, |usage| microseconds(usage.user_time()) + microseconds(usage.system_time())),
            largest_process_bytes: usage.map_or(0, |usage| u64::try_from(usage.max_rss()).unwrap_or(0) * 1024),
            stdout: stdout.stream.total(),
            stderr: stderr.stream.total(),
            displays_dropped: self.documents.dropped(),
            disk: self.disk,
        }
    }

    fn read_channel(&mut self, index: usize) {
        let Some(channel) = self.channels.get_mut(index) else { return };
        if let Some(bytes) = read_some(&mut channel.pipe, &mut self.scratch) {
            channel.stream.push(bytes, Instant::now());
        }
    }

    /// Reads what is in the pipes now and queues it, so that whatever is sent next comes after it.
    fn drain(&mut self, link: &mut Link) -> Result<(), RunnerError> {
        // A living program may write on for ever.
        let most = if self.ended.is_some() { REST_BYTES } else { DRAIN_BYTES };
        for channel in &mut self.channels {
            let mut drained = 0;
            while drained < most
                && let Some(bytes) = read_some(&mut channel.pipe, &mut self.scratch)
            {
                drained += bytes.len();
                channel.stream.push(bytes, Instant::now());
                if let Some(bytes) = channel.stream.take_due(Instant::now()) {
                    link.send(&Report::Output { stream: channel.kind, bytes })?;
                }
            }
            if let Some(bytes) = channel.stream.take(Instant::now()) {
                link.send(&Report::Output { stream: channel.kind, bytes })?;
            }
        }
        if self.ended.is_some() {
            for _ in 0..REST_BYTES / READ_BYTES {
                self.read_display_once(link)?;
            }
        }
        Ok(())
    }

    fn read_display(&mut self, link: &mut Link) -> Result<(), RunnerError> {
        self.drain(link)?;
        self.read_display_once(link)
    }

    fn read_display_once(&mut self, link: &mut Link) -> Result<(), RunnerError> {
        if let Some(bytes) = read_some(&mut self.display, &mut self.scratch) {
            for document in self.documents.push(bytes) {
                link.send(&Report::Display(document))?;
            }
        } else if self.ended.is_some() {
            self.display = None;
        }
        Ok(())
    }

    fn look_at_disk(&mut self) {
        self.disk = self.disk.with(look_at_disk(&self.directory));
    }
}

/// How full the file system of the directory is now; nothing when it cannot be told.
pub fn look_at_disk(directory: &str) -> DiskUse {
    let Ok(disk) = statvfs(directory) else { return DiskUse { most_used_bytes: 0, least_free_inodes: u64::MAX } };
    let used = disk.blocks().saturating_sub(disk.blocks_free()).saturating_mul(disk.fragment_size());
    DiskUse { most_used_bytes: used, least_free_inodes: disk.files_available() }
}

/// Reads once; `None` when the pipe is empty or has ended, and then it is closed.
pub fn read_some<'a>(pipe: &mut Option<OwnedFd>, scratch: &'a mut [u8]) -> Option<&'a [u8]> {
    let count = match nix::unistd::read(pipe.as_ref().map(AsFd::as_fd)?, scratch) {
        Err(Errno::EAGAIN | Errno::EINTR) => return None,
        Ok(0) | Err(_) => {
            *pipe = None;
            return None;
        }
        Ok(count) => count,
    };
    scratch.get(..count)
}

/// Kills every process of the namespace but this one, its first. Forks in progress are not missed: the
/// kernel walks the tasks under the lock that a fork needs to add one.
pub fn kill_everything() {
    // ESRCH: there is nobody, which is what is wanted.
    let _ = kill(Pid::from_raw(-1), Signal::SIGKILL);
}
