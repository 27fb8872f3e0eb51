//! One output stream: the first bytes kept, the rest counted, sent at once when quiet and in large pieces
//! under a flood, never cutting a character in two.

use std::time::{Duration, Instant};

use kiln_runner_protocol::StreamTotal;

/// A piece this large is sent without waiting.
const LARGE_PIECE_BYTES: usize = 48 * 1024;
/// How long a piece may wait for company after the one before it; doubles while output keeps coming.
const SHORTEST_WAIT: Duration = Duration::from_millis(10);
const LONGEST_WAIT: Duration = Duration::from_millis(40);
/// How long a piece that does not end its line waits for the rest of it: an interpreter often writes the
/// text and the line's end one after the other.
const LINE_WAIT: Duration = Duration::from_millis(2);

#[derive(Debug)]
pub struct OutputStream {
    limit_bytes: u64,
    total: StreamTotal,
    held: Vec<u8>,
    held_since: Option<Instant>,
    last_sent: Option<Instant>,
    wait: Duration,
}

impl OutputStream {
    pub fn new(limit_bytes: u64) -> Self {
        let (total, held) = (StreamTotal::default(), Vec::new());
        Self { limit_bytes, total, held, held_since: None, last_sent: None, wait: SHORTEST_WAIT }
    }

    /// Takes what was read from the pipe: keeps what fits the limit, counts the rest.
    pub fn push(&mut self, bytes: &[u8], now: Instant) {
        self.held_since = self.held_since.or(Some(now));
        let room = usize::try_from(self.limit_bytes - self.total.kept_bytes).unwrap_or(usize::MAX);
        let (kept, discarded) = bytes.split_at_checked(room).unwrap_or((bytes, &[]));
        self.held.extend_from_slice(kept);
        self.total.kept_bytes += kept.len() as u64;
        self.total.discarded_bytes += discarded.len() as u64;
    }

    /// When the held bytes should be sent, `None` when there are none to send.
    pub fn due(&self) -> Option<Instant> {
        if whole_characters(&self.held) == 0 {
            return None;
        }
        let since = self.held_since?;
        if self.held.len() >= LARGE_PIECE_BYTES {
            return Some(since);
        }
        let line = if self.held.ends_with(b"\n") { since } else { since + LINE_WAIT };
        Some(self.last_sent.map_or(line, |last| line.max(last + self.wait)))
    }

    /// The bytes to send now, if it is time; `None` leaves them to a later call.
    pub fn take_due(&mut self, now: Instant) -> Option<Vec<u8>> {
        if self.due().is_some_and(|due| due > now) {
            return None;
        }
        self.take(now)
    }

    /// All whole characters held, whether it is time or not.
    pub fn take(&mut self, now: Instant) -> Option<Vec<u8>> {
        let whole = whole_characters(&self.held);
        if whole == 0 {
            return None;
        }
        let rest = self.held.split_off(whole);
        self.pace(now);
        self.held_since = (!rest.is_empty()).then_some(now);
        Some(std::mem::replace(&mut self.held, rest))
    }

    /// Whatever is left when the stream has ended, a cut character included.
    pub fn take_rest(&mut self) -> Option<Vec<u8>> {
        (!self.held.is_empty()).then(|| std::mem::take(&mut self.held))
    }

    pub fn total(&self) -> StreamTotal {
        self.total
    }

    fn pace(&mut self, now: Instant) {
        let busy = self.last_sent.is_some_and(|last| now.saturating_duration_since(last) < self.wait * 2);
        self.wait = if busy { (self.wait * 2).min(LONGEST_WAIT) } else { SHORTEST_WAIT };
        self.last_sent = Some(now);
    }
}

/// Length of `bytes` without a character that has begun and not ended. Bytes that are no UTF-8 count as whole.
fn whole_characters(bytes: &[u8]) -> usize {
    let tail = bytes.len().saturating_sub(3);
    let begun = bytes.iter().enumerate().skip(tail).rev().find(|&(_, &byte)| byte & 0xC0 != 0x80);
    match begun {
        Some((at, &byte)) if at + character_length(byte) > bytes.len() => at,
        _ => bytes.len(),
    }
}

/// Bytes of the character that `first` begins; 1 for bytes that begin none.
fn character_length(first: u8) -> usize {
    match first {
        0xC2..=0xDF => 2,
        0xE0..=0xEF => 3,
        0xF0..=0xF4 => 4,
        _ => 1,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_bytes_are_kept_and_the_rest_counted() {
        let mut stream = OutputStream::new(5);
        stream.push(b"abc", Instant::now());
        stream.push(b"defgh", Instant::now());
        assert_eq!(stream.take(Instant::now()).unwrap(), b"abcde");
        assert_eq!(stream.total(), StreamTotal { kept_bytes: 5, discarded_bytes: 3 });
        stream.push(b"more", Instant::now());
        assert_eq!(stream.take(Instant::now()), None);
    }

    #[test]
    fn a_lone_write_goes_at_once_and_the_next_waits_for_company() {
        let (mut stream, start) = (OutputStream::new(1 << 20), Instant::now());
        stream.push(b"1\n", start);
        assert_eq!(stream.take_due(start).unwrap(), b"1\n");
        stream.push(b"2\n", start);
        assert_eq!(stream.take_due(start), None);
        assert_eq!(stream.take_due(start + SHORTEST_WAIT).unwrap(), b"2\n");
        stream.push(&vec![b'x'; LARGE_PIECE_BYTES], start + SHORTEST_WAIT);
        assert!(stream.take_due(start + SHORTEST_WAIT).is_some());
    }

    #[test]
    fn a_line_is_sent_with_its_end() {
        let (mut stream, start) = (OutputStream::new(1 << 20), Instant::now());
        stream.push(b"text", start);
        assert_eq!(stream.take_due(start), None);
        stream.push(b"\n", start);
        assert_eq!(stream.take_due(start).unwrap(), b"text\n");
        stream.push(b"prompt? ", start + LONGEST_WAIT);
        assert_eq!(stream.take_due(start + LONGEST_WAIT + LINE_WAIT).unwrap(), b"prompt? ");
    }

    #[test]
    fn a_cut_character_is_held_back() {
        for text in ["é", "世", "🦀"] {
            let bytes = text.as_bytes();
            for cut in 1..bytes.len() {
                let mut stream = OutputStream::new(1 << 20);
                stream.push(b"a", Instant::now());
                stream.push(&bytes[..cut], Instant::now());
                assert_eq!(stream.take(Instant::now()).unwrap(), b"a");
                stream.push(&bytes[cut..], Instant::now());
                assert_eq!(stream.take(Instant::now()).unwrap(), bytes);
            }
        }
    }

    proptest::proptest! {
        #[test]
        fn nothing_is_lost(chunks in proptest::collection::vec(proptest::collection::vec(0_u8.., 0..20), 0..20)) {
            let (mut stream, now) = (OutputStream::new(1 << 20), Instant::now());
            let mut sent = Vec::new();
            for chunk in &chunks {
                stream.push(chunk, now);
                sent.extend(stream.take(now).unwrap_or_default());
            }
            sent.extend(stream.take_rest().unwrap_or_default());
            proptest::prop_assert_eq!(sent, chunks.concat());
        }

        #[test]
        fn text_is_cut_only_between_characters(text in ".*", size in 1_usize..7) {
            let (mut stream, now) = (OutputStream::new(1 << 20), Instant::now());
            for chunk in text.as_bytes().chunks(size) {
                stream.push(chunk, now);
                if let Some(piece) = stream.take(now) {
                    proptest::prop_assert!(std::str::from_utf8(&piece).is_ok());
                }
            }
        }
    }
}
