//! Frames: a little-endian `u32` length of the payload, one byte of kind, the payload.

use std::marker::PhantomData;

use crate::MAX_FRAME_BYTES;

const HEADER_BYTES: usize = 5;

/// The other side does not speak this protocol, or broke it.
#[derive(Debug, thiserror::Error)]
pub enum ProtocolError {
    #[error("frame of {0} bytes is over the bound")]
    TooLong(usize),
    #[error("unknown kind of frame: {0}")]
    UnknownKind(u8),
    #[error("malformed {0} frame")]
    Malformed(&'static str),
    #[error("the other side speaks protocol version {0}")]
    Version(u32),
    #[error("{got} does not belong here, expected {expected}")]
    Unexpected { expected: &'static str, got: &'static str },
}

/// One direction of the dialogue.
pub trait Message: Sized {
    /// The kind's number on the wire.
    fn kind(&self) -> u8;
    /// Appends the payload.
    fn write_payload(&self, out: &mut Vec<u8>);
    /// Reads a payload of that kind.
    fn read(kind: u8, payload: &[u8]) -> Result<Self, ProtocolError>;
}

/// Appends `message` to `out` as one frame. Fails, leaving `out` as it was, when it is too long.
pub fn encode<M: Message>(message: &M, out: &mut Vec<u8>) -> Result<(), ProtocolError> {
    let start = out.len();
    out.extend_from_slice(&[0; HEADER_BYTES]);
    message.write_payload(out);
    let length = out.len() - start - HEADER_BYTES;
    let Some(bounded) = u32::try_from(length).ok().filter(|_| length <= MAX_FRAME_BYTES) else {
        out.truncate(start);
        return Err(ProtocolError::TooLong(length));
    };
    let header = out.get_mut(start..start + HEADER_BYTES).expect("the header was just appended");
    header.copy_from_slice(&frame_header(bounded, message.kind()));
    Ok(())
}

fn frame_header(length: u32, kind: u8) -> [u8; HEADER_BYTES] {
    let [a, b, c, d] = length.to_le_bytes();
    [a, b, c, d, kind]
}

/// Takes whole messages out of a stream of bytes. Holds at most one frame and one read.
#[derive(Debug)]
pub struct Decoder<M> {
    buffer: Vec<u8>,
    taken: usize,
    direction: PhantomData<M>,
}

impl<M> Default for Decoder<M> {
    fn default() -> Self {
        Self { buffer: Vec::new(), taken: 0, direction: PhantomData }
    }
}

impl<M: Message> Decoder<M> {
    /// Adds bytes as they were read.
    pub fn push(&mut self, bytes: &[u8]) {
        if self.taken > 0 {
            self.buffer.drain(..self.taken);
            self.taken = 0;
        }
        self.buffer.extend_from_slice(bytes);
    }

    /// The next whole message, `None` when more bytes are needed. After an error the stream is lost.
    pub fn next_message(&mut self) -> Result<Option<M>, ProtocolError> {
        let rest = self.buffer.get(self.taken..).unwrap_or_default();
        let Some((&[a, b, c, d, kind], rest)) = rest.split_first_chunk::<HEADER_BYTES>() else {
            return Ok(None);
        };
        let length = u32::from_le_bytes([a, b, c, d]) as usize;
        if length > MAX_FRAME_BYTES {
            return Err(ProtocolError::TooLong(length));
        }
        let Some(payload) = rest.get(..length) else {
            return Ok(None);
        };
        let message = M::read(kind, payload)?;
        self.taken += HEADER_BYTES + length;
        if self.taken == self.buffer.len() {
            self.buffer.clear();
            self.taken = 0;
        }
        Ok(Some(message))
    }
}
