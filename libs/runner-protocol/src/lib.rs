//! What a supervisor and the runner inside a sandbox say to each other.
//!
//! One duplex byte stream (a socket pair on this machine, TCP to a pod) carries frames in both
//! directions: a length, a kind, a payload. Nothing here does I/O; both sides push the bytes they
//! read into a [`Decoder`] and take messages out. The supervisor trusts nothing that arrives: every
//! frame is bounded and [`dialogue`] refuses a message that does not belong to the state it is in.

pub mod dialogue;
mod frame;
mod kernel;
mod message;
mod zygote;

pub use frame::{Decoder, Message, ProtocolError, encode};
pub use kernel::{Answered, Cell, CellEnd, CellOutcome, FromKernel, KernelEnd, KernelOutcome, Question, QuestionKind, ToKernel};
pub use message::{Command, Confinement, DiskUse, Exit, ExitStatus, Program, Report, StartFailure, Stopped, Stream, StreamTotal};
pub use zygote::{
    DISK_MARK, FAILURE_MARK, Hidden, MAX_ZYGOTE_DESCRIPTORS, MAX_ZYGOTE_PACKET_BYTES, MakeSandbox, OwnMount, SCRIPT_SOURCE,
    WORKSPACE_MARK, ZygoteReport,
};

/// Version of this protocol; both sides must have the same.
pub const VERSION: u32 = 2;

/// Largest payload of a frame, in bytes. Arguments, environment and a display document fit.
pub const MAX_FRAME_BYTES: usize = 16 * 1024 * 1024;

/// Largest display document, in bytes; a longer one is dropped.
pub const MAX_DISPLAY_BYTES: usize = 8 * 1024 * 1024;

/// Bytes of standard input that may be on their way to the program without an acknowledgement.
pub const STDIN_WINDOW_BYTES: usize = 1024 * 1024;

/// Largest chunk of standard input in one frame, in bytes.
pub const MAX_STDIN_CHUNK_BYTES: usize = 64 * 1024;
