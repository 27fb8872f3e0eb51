//! The messages of both directions and their kinds on the wire.

use serde::{Deserialize, Serialize, de::DeserializeOwned};

use crate::frame::{Message, ProtocolError};
use crate::kernel::{Answered, Cell, CellEnd, Question};

/// From the supervisor to the runner.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Command {
    /// Run this program, once.
    Start(Box<Program>),
    /// Bytes for its standard input, at most [`crate::MAX_STDIN_CHUNK_BYTES`].
    Stdin(Vec<u8>),
    /// No more standard input comes.
    CloseStdin,
    /// Send a signal, by number, to the program's process group.
    Signal(i32),
    /// Kill every process of the run.
    Kill,
    /// Run this cell of a session, when the one before has ended.
    Cell(Box<Cell>),
    /// Interrupt the cell that runs, and kill its interpreter when that does not end it.
    StopCell,
    /// Interrupt the cell that runs; it may go on all the same.
    Interrupt,
    /// Put a new interpreter in the place of the present one.
    Restart,
    Question(Box<Question>),
}

/// From the runner to the supervisor.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Report {
    /// The runner is in place and waits for a program.
    Hello {
        version: u32,
    },
    /// The program's interpreter has been executed; the clock runs.
    Started,
    /// The program could not be executed; nothing ran.
    StartFailed(StartFailure),
    Output {
        stream: Stream,
        bytes: Vec<u8>,
    },
    /// One document from the display descriptor, not yet checked.
    Display(Vec<u8>),
    WaitingForInput(bool),
    /// That many bytes of standard input were taken (or dropped, when nobody reads any more).
    StdinTaken(u32),
    /// Every process of the run is dead. Nothing follows.
    Ended(Box<Exit>),
    /// A session's interpreter takes cells; a new one after an earlier has ended when `restarted`.
    KernelReady {
        restarted: bool,
    },
    CellEnded(Box<CellEnd>),
    Answered(Answered),
}

/// What to run and how to confine it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Program {
    /// The interpreter, its flags and the script. A program that waits already has been given these.
    pub argv: Vec<String>,
    /// The run's own arguments, which follow.
    pub args: Vec<String>,
    /// The whole environment; nothing is inherited.
    pub env: Vec<(String, String)>,
    pub directory: String,
    /// Standard input stays open until it is closed by command, and the runner says when it is read.
    pub interactive: bool,
    /// Wall-clock limit in milliseconds.
    pub timeout_ms: u64,
    /// Kept bytes of each output stream.
    pub output_bytes: u64,
    /// It is a session's interpreter, which takes cells. The two limits above are then each cell's own affair.
    #[serde(default)]
    pub session: bool,
    pub confinement: Confinement,
}

/// The controls that the runner sets on the program itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Confinement {
    /// User and group to become inside the sandbox; `None` keeps the runner's own.
    pub user_id: Option<u32>,
    /// Landlock rules are set, and the start fails when they cannot be.
    pub landlock: bool,
    /// The system call filters are installed, and the start fails when they cannot be. Always so but in the experiment
    /// that shows what they are for.
    pub seccomp: bool,
    /// Directories of the sandbox's own, below which the program may write.
    pub writable: Vec<String>,
    /// Directories below which it may write as well and which other sandboxes see: no sockets are made there, since by
    /// one a program could hand its open files, and with them its memory, to a sandbox that outlives it.
    pub shared: Vec<String>,
    /// The descriptor for displays goes both ways, as a session's interpreter needs it. Any other program has a pipe: over
    /// a socket descriptors could be sent.
    pub talks: bool,
    /// Open files a process may have.
    pub open_files: u64,
    /// Size of a single file, in bytes.
    pub file_bytes: u64,
    /// Private memory of each process, in bytes, where no cgroup bounds the tree.
    pub data_bytes: Option<u64>,
    /// Processes of the sandbox, where no cgroup bounds them.
    pub processes: Option<u64>,
    /// CPU time of each process in whole seconds, where no cgroup bounds the tree.
    pub cpu_seconds: Option<u64>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Stream {
    Stdout,
    Stderr,
}

/// The step that failed on the way to the program, and the system's error number.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StartFailure {
    pub step: String,
    pub errno: i32,
}

/// How the run ended, as the kernel told the runner.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Exit {
    pub status: ExitStatus,
    /// Set when the runner killed the tree before the program had ended by itself.
    pub stopped: Option<Stopped>,
    /// From the program's start to its end, by the monotonic clock, in microseconds.
    pub wall_us: u64,
    /// CPU time of the reaped processes, in microseconds; a cgroup's counter is the better one.
    pub cpu_us: u64,
    /// Largest resident size of one process, in bytes; a cgroup's counter is the better one.
    pub largest_process_bytes: u64,
    pub stdout: StreamTotal,
    pub stderr: StreamTotal,
    pub displays_dropped: u64,
    pub disk: DiskUse,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ExitStatus {
    Code(i32),
    Signal(i32),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Stopped {
    WallTime,
    Command,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct StreamTotal {
    pub kept_bytes: u64,
    pub discarded_bytes: u64,
}

/// The working directory's file system: the most that was seen used while the program ran and at its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct DiskUse {
    pub most_used_bytes: u64,
    pub least_free_inodes: u64,
}

impl DiskUse {
    /// The worse of two looks.
    #[must_use]
    pub fn with(self, other: Self) -> Self {
        Self {
            most_used_bytes: self.most_used_bytes.max(other.most_used_bytes),
            least_free_inodes: self.least_free_inodes.min(other.least_free_inodes),
        }
    }
}

const START: u8 = 1;
const STDIN: u8 = 2;
const CLOSE_STDIN: u8 = 3;
const SIGNAL: u8 = 4;
const KILL: u8 = 5;
const CELL: u8 = 6;
const STOP_CELL: u8 = 7;
const INTERRUPT: u8 = 8;
const RESTART: u8 = 9;
const QUESTION: u8 = 10;

impl Message for Command {
    fn kind(&self) -> u8 {
        match self {
            Self::Start(_) => START,
            Self::Stdin(_) => STDIN,
            Self::CloseStdin => CLOSE_STDIN,
            Self::Signal(_) => SIGNAL,
            Self::Kill => KILL,
            Self::Cell(_) => CELL,
            Self::StopCell => STOP_CELL,
            Self::Interrupt => INTERRUPT,
            Self::Restart => RESTART,
            Self::Question(_) => QUESTION,
        }
    }

    fn write_payload(&self, out: &mut Vec<u8>) {
        match self {
            Self::Start(program) => write_json(program, out),
            Self::Stdin(bytes) => out.extend_from_slice(bytes),
            Self::Signal(number) => out.extend_from_slice(&number.to_le_bytes()),
            Self::Cell(cell) => write_json(cell, out),
            Self::Question(question) => write_json(question, out),
            Self::CloseStdin | Self::Kill | Self::StopCell | Self::Interrupt | Self::Restart => {}
        }
    }

    fn read(kind: u8, payload: &[u8]) -> Result<Self, ProtocolError> {
        match kind {
            START => read_json(payload, "start").map(|program| Self::Start(Box::new(program))),
            STDIN if payload.len() <= crate::MAX_STDIN_CHUNK_BYTES => Ok(Self::Stdin(payload.to_vec())),
            STDIN => Err(ProtocolError::Malformed("stdin")),
            CLOSE_STDIN => empty(payload, "close stdin").map(|()| Self::CloseStdin),
            SIGNAL => array(payload, "signal").map(|bytes| Self::Signal(i32::from_le_bytes(bytes))),
            KILL => empty(payload, "kill").map(|()| Self::Kill),
            CELL => read_json(payload, "cell").map(|cell| Self::Cell(Box::new(cell))),
            STOP_CELL => empty(payload, "stop cell").map(|()| Self::StopCell),
            INTERRUPT => empty(payload, "interrupt").map(|()| Self::Interrupt),
            RESTART => empty(payload, "restart").map(|()| Self::Restart),
            QUESTION => read_json(payload, "question").map(|question| Self::Question(Box::new(question))),
            other => Err(ProtocolError::UnknownKind(other)),
        }
    }
}

const HELLO: u8 = 64;
const STARTED: u8 = 65;
const START_FAILED: u8 = 66;
const STDOUT: u8 = 67;
const STDERR: u8 = 68;
const DISPLAY: u8 = 69;
const WAITING: u8 = 70;
const STDIN_TAKEN: u8 = 71;
const ENDED: u8 = 72;
const KERNEL_READY: u8 = 73;
const CELL_ENDED: u8 = 74;
const ANSWERED: u8 = 75;

impl Report {
    /// The message's name, for an error about it.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Hello { .. } => "hello",
            Self::Started => "started",
            Self::StartFailed(_) => "start failed",
            Self::Output { .. } => "output",
            Self::Display(_) => "display",
            Self::WaitingForInput(_) => "waiting for input",
            Self::StdinTaken(_) => "stdin taken",
            Self::Ended(_) => "ended",
            Self::KernelReady { .. } => "kernel ready",
            Self::CellEnded(_) => "cell ended",
            Self::Answered(_) => "answered",
        }
    }
}

impl Message for Report {
    fn kind(&self) -> u8 {
        match self {
            Self::Hello { .. } => HELLO,
            Self::Started => STARTED,
            Self::StartFailed(_) => START_FAILED,
            Self::Output { stream: Stream::Stdout, .. } => STDOUT,
            Self::Output { stream: Stream::Stderr, .. } => STDERR,
            Self::Display(_) => DISPLAY,
            Self::WaitingForInput(_) => WAITING,
            Self::StdinTaken(_) => STDIN_TAKEN,
            Self::Ended(_) => ENDED,
            Self::KernelReady { .. } => KERNEL_READY,
            Self::CellEnded(_) => CELL_ENDED,
            Self::Answered(_) => ANSWERED,
        }
    }

    fn write_payload(&self, out: &mut Vec<u8>) {
        match self {
            Self::Hello { version } => out.extend_from_slice(&version.to_le_bytes()),
            Self::Started => {}
            Self::StartFailed(failure) => write_json(failure, out),
            Self::Output { bytes, .. } | Self::Display(bytes) => out.extend_from_slice(bytes),
            Self::WaitingForInput(waiting) => out.push(u8::from(*waiting)),
            Self::StdinTaken(count) => out.extend_from_slice(&count.to_le_bytes()),
            Self::Ended(exit) => write_json(exit, out),
            Self::KernelReady { restarted } => out.push(u8::from(*restarted)),
            Self::CellEnded(end) => write_json(end, out),
            Self::Answered(Answered { id, content }) => {
                out.extend_from_slice(&id.to_le_bytes());
                out.extend_from_slice(content);
            }
        }
    }

    fn read(kind: u8, payload: &[u8]) -> Result<Self, ProtocolError> {
        match kind {
            HELLO => array(payload, "hello").map(|bytes| Self::Hello { version: u32::from_le_bytes(bytes) }),
            STARTED => empty(payload, "started").map(|()| Self::Started),
            START_FAILED => read_json(payload, "start failed").map(Self::StartFailed),
            STDOUT => Ok(Self::Output { stream: Stream::Stdout, bytes: payload.to_vec() }),
            STDERR => Ok(Self::Output { stream: Stream::Stderr, bytes: payload.to_vec() }),
            DISPLAY if payload.len() <= crate::MAX_DISPLAY_BYTES => Ok(Self::Display(payload.to_vec())),
            DISPLAY => Err(ProtocolError::Malformed("display")),
            WAITING => flag(payload, "waiting for input").map(Self::WaitingForInput),
            STDIN_TAKEN => array(payload, "stdin taken").map(|bytes| Self::StdinTaken(u32::from_le_bytes(bytes))),
            ENDED => read_json(payload, "ended").map(|exit| Self::Ended(Box::new(exit))),
            KERNEL_READY => flag(payload, "kernel ready").map(|restarted| Self::KernelReady { restarted }),
            CELL_ENDED => read_json(payload, "cell ended").map(|end| Self::CellEnded(Box::new(end))),
            ANSWERED => {
                let (id, content) = payload.split_first_chunk().ok_or(ProtocolError::Malformed("answered"))?;
                Ok(Self::Answered(Answered { id: u64::from_le_bytes(*id), content: content.to_vec() }))
            }
            other => Err(ProtocolError::UnknownKind(other)),
        }
    }
}

pub(crate) fn write_json<T: Serialize>(value: &T, out: &mut Vec<u8>) {
    serde_json::to_writer(out, value).expect("plain structures of text and numbers always serialize into memory");
}

pub(crate) fn read_json<T: DeserializeOwned>(payload: &[u8], name: &'static str) -> Result<T, ProtocolError> {
    serde_json::from_slice(payload).map_err(|_| ProtocolError::Malformed(name))
}

pub(crate) fn empty(payload: &[u8], name: &'static str) -> Result<(), ProtocolError> {
    if payload.is_empty() { Ok(()) } else { Err(ProtocolError::Malformed(name)) }
}

fn flag(payload: &[u8], name: &'static str) -> Result<bool, ProtocolError> {
    match payload {
        [0] => Ok(false),
        [1] => Ok(true),
        _ => Err(ProtocolError::Malformed(name)),
    }
}

fn array<const N: usize>(payload: &[u8], name: &'static str) -> Result<[u8; N], ProtocolError> {
    payload.try_into().map_err(|_| ProtocolError::Malformed(name))
}
