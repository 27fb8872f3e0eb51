//! Sessions: what supervisor and runner say about cells, and the runner and the interpreter's kernel to each other.
//!
//! The kernel shares its process with user code, which may forge anything that the kernel could say. So the runner
//! believes it about its own cell and nothing else: ends by a kill, times and sizes are the runner's own knowledge.

use serde::{Deserialize, Serialize};

use crate::frame::{Message, ProtocolError};
use crate::message::{DiskUse, ExitStatus, Stopped, StreamTotal, empty, read_json, write_json};

/// Most output that the kernel may announce in one frame, in bytes; its own bound is the display's.
const MAX_REPLY_BYTES: usize = 4 * 1024 * 1024;

/// One execution of a session.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cell {
    pub code: String,
    /// Neither counted nor shown as a value.
    pub silent: bool,
    /// It has a standard input, which stays open until it is closed by command.
    pub interactive: bool,
    /// Wall-clock limit in milliseconds.
    pub timeout_ms: u64,
    /// Kept bytes of each output stream.
    pub output_bytes: u64,
}

/// A question about the names of a session.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Question {
    /// Chosen by who asks, for the answer.
    pub id: u64,
    pub kind: QuestionKind,
    pub code: String,
    /// In characters.
    pub cursor: u64,
    /// How much is to be told of an object: 0 or 1.
    pub detail: u8,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum QuestionKind {
    Complete,
    Inspect,
}

/// The answer, unchecked JSON of the kernel's; `null` when the interpreter ended before it gave one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answered {
    pub id: u64,
    pub content: Vec<u8>,
}

/// How a cell ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CellEnd {
    pub outcome: CellOutcome,
    /// Set when the runner interrupted the cell before it had ended by itself.
    pub stopped: Option<Stopped>,
    /// The cell's number, where it has one.
    pub execution_count: Option<u64>,
    /// By the monotonic clock, in microseconds.
    pub wall_us: u64,
    pub stdout: StreamTotal,
    pub stderr: StreamTotal,
    pub displays_dropped: u64,
    pub disk: DiskUse,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CellOutcome {
    Succeeded,
    Exception,
    Interrupted,
    /// The interpreter has ended; a new one takes its place.
    Gone(ExitStatus),
}

/// From the runner to the kernel.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ToKernel {
    /// Its number, for the end, and what it is; an interactive one comes with the descriptor of its input.
    Cell(u64, Box<Cell>),
    Question(Box<Question>),
    /// Everything that was sent before the word [`FromKernel::Sync`] has been taken.
    Synced,
}

/// From the kernel to the runner.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FromKernel {
    Stdout(Vec<u8>),
    Stderr(Vec<u8>),
    /// One output in JSON, not yet checked.
    Output(Vec<u8>),
    Ended(KernelEnd),
    Reply(Answered),
    Sync,
    /// It takes cells.
    Ready,
}

/// What the kernel says about the end of a cell.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct KernelEnd {
    pub id: u64,
    pub outcome: KernelOutcome,
    pub execution_count: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum KernelOutcome {
    Succeeded,
    Exception,
    Interrupted,
}

impl From<KernelOutcome> for CellOutcome {
    fn from(outcome: KernelOutcome) -> Self {
        match outcome {
            KernelOutcome::Succeeded => Self::Succeeded,
            KernelOutcome::Exception => Self::Exception,
            KernelOutcome::Interrupted => Self::Interrupted,
        }
    }
}

const CELL: u8 = 1;
const QUESTION: u8 = 2;
const SYNCED: u8 = 3;

#[derive(Serialize, Deserialize)]
struct NumberedCell {
    id: u64,
    #[serde(flatten)]
    cell: Cell,
}

impl Message for ToKernel {
    fn kind(&self) -> u8 {
        match self {
            Self::Cell(..) => CELL,
            Self::Question(_) => QUESTION,
            Self::Synced => SYNCED,
        }
    }

    fn write_payload(&self, out: &mut Vec<u8>) {
        match self {
            Self::Cell(id, cell) => write_json(&NumberedCell { id: *id, cell: (**cell).clone() }, out),
            Self::Question(question) => write_json(question, out),
            Self::Synced => {}
        }
    }

    fn read(kind: u8, payload: &[u8]) -> Result<Self, ProtocolError> {
        match kind {
            CELL => read_json(payload, "cell").map(|NumberedCell { id, cell }| Self::Cell(id, Box::new(cell))),
            QUESTION => read_json(payload, "question").map(|question| Self::Question(Box::new(question))),
            SYNCED => empty(payload, "synced").map(|()| Self::Synced),
            other => Err(ProtocolError::UnknownKind(other)),
        }
    }
}

const STDOUT: u8 = 1;
const STDERR: u8 = 2;
const OUTPUT: u8 = 3;
const ENDED: u8 = 4;
const REPLY: u8 = 5;
const SYNC: u8 = 6;
const READY: u8 = 7;

#[derive(Serialize, Deserialize)]
struct NumberedReply {
    id: u64,
    content: serde_json::Value,
}

impl Message for FromKernel {
    fn kind(&self) -> u8 {
        match self {
            Self::Stdout(_) => STDOUT,
            Self::Stderr(_) => STDERR,
            Self::Output(_) => OUTPUT,
            Self::Ended(_) => ENDED,
            Self::Reply(_) => REPLY,
            Self::Sync => SYNC,
            Self::Ready => READY,
        }
    }

    fn write_payload(&self, out: &mut Vec<u8>) {
        match self {
            Self::Stdout(bytes) | Self::Stderr(bytes) | Self::Output(bytes) => out.extend_from_slice(bytes),
            Self::Ended(end) => write_json(end, out),
            Self::Reply(Answered { id, content }) => {
                let content = serde_json::from_slice(content).unwrap_or_default();
                write_json(&NumberedReply { id: *id, content }, out);
            }
            Self::Sync | Self::Ready => {}
        }
    }

    fn read(kind: u8, payload: &[u8]) -> Result<Self, ProtocolError> {
        match kind {
            STDOUT => Ok(Self::Stdout(payload.to_vec())),
            STDERR => Ok(Self::Stderr(payload.to_vec())),
            OUTPUT => Ok(Self::Output(payload.to_vec())),
            ENDED => read_json(payload, "end of a cell").map(Self::Ended),
            REPLY if payload.len() <= MAX_REPLY_BYTES => {
                let NumberedReply { id, content } = read_json(payload, "reply")?;
                let content = serde_json::to_vec(&content).map_err(|_| ProtocolError::Malformed("reply"))?;
                Ok(Self::Reply(Answered { id, content }))
            }
            REPLY => Err(ProtocolError::Malformed("reply")),
            SYNC => empty(payload, "sync").map(|()| Self::Sync),
            // What it says about itself is for people who look at the bytes.
            READY => Ok(Self::Ready),
            other => Err(ProtocolError::UnknownKind(other)),
        }
    }
}
