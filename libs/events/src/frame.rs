//! Output frames: one execution's story in order, on one subject.

use jiff::Timestamp;
use kiln_domain::Status;
use serde::{Deserialize, Serialize};

use crate::ExecutionRecord;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Stream {
    Stdout,
    Stderr,
}

/// One piece of an execution's story. `(execution, attempt, seq)` names it; it is published at least once. A message is a
/// list of them.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Frame {
    pub attempt: u32,
    /// 1, 2, 3 … within the attempt, without gaps.
    pub seq: u32,
    pub at: Timestamp,
    pub body: FrameBody,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "kind")]
pub enum FrameBody {
    /// The attempt runs; `waiting_for_input` is present when it has changed.
    Status { status: Status, waiting_for_input: Option<bool> },
    /// Bytes as printed, never ending inside a character that is complete in the stream.
    Output {
        stream: Stream,
        #[serde(with = "crate::base64_bytes")]
        data: Vec<u8>,
    },
    /// An nbformat v4 output.
    Display { output: serde_json::Value },
    /// The last word, by the scheduler. `last_seq` is unknown when the executor died.
    Ended { record: Box<ExecutionRecord>, last_seq: Option<u32> },
}

/// Input for an interactive execution, in the order of the stream.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StdinChunk {
    #[serde(with = "crate::base64_bytes")]
    pub data: Vec<u8>,
    pub eof: bool,
}

/// Notice (not a record) that more of an execution can be read from the result service's store.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stored {
    pub attempt: u32,
    pub seq: u32,
    pub ended: bool,
}
