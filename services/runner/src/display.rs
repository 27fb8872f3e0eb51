//! The display descriptor: one JSON document a line, bounded by line, by count and in all.

use kiln_runner_protocol::MAX_DISPLAY_BYTES;

/// Documents of one run.
const MAX_DOCUMENTS: u32 = 500;
/// Bytes of all documents of one run.
const MAX_TOTAL_BYTES: usize = 64 * 1024 * 1024;

/// What a session keeps of what is printed while no cell runs.
pub const MAX_HELD_BYTES: usize = 64 * 1024;

/// How many documents a run may still show.
#[derive(Debug, Default)]
pub struct Budget {
    documents: u32,
    total_bytes: usize,
    dropped: u64,
}

impl Budget {
    /// Whether one of that size is shown; counts it either way.
    pub fn admit(&mut self, bytes: usize) -> bool {
        let fits = bytes <= MAX_DISPLAY_BYTES && self.documents < MAX_DOCUMENTS && self.total_bytes + bytes <= MAX_TOTAL_BYTES;
        if fits {
            self.documents += 1;
            self.total_bytes += bytes;
        } else {
            self.dropped += 1;
        }
        fits
    }

    pub fn dropped(&self) -> u64 {
        self.dropped
    }
}

#[derive(Debug, Default)]
pub struct DisplayReader {
    line: Vec<u8>,
    /// The current line has passed its bound and is skipped to its end.
    skipping: bool,
    budget: Budget,
}

impl DisplayReader {
    /// Takes bytes from the pipe and gives the documents they complete.
    pub fn push(&mut self, bytes: &[u8]) -> Vec<Vec<u8>> {
        let mut documents = Vec::new();
        let mut parts = bytes.split(|&byte| byte == b'\n').peekable();
        while let Some(part) = parts.next() {
            self.extend(part);
            if parts.peek().is_some() {
                documents.extend(self.end_line());
            }
        }
        documents
    }

    pub fn dropped(&self) -> u64 {
        self.budget.dropped()
    }

    fn extend(&mut self, part: &[u8]) {
        if self.skipping || self.line.len() + part.len() > MAX_DISPLAY_BYTES {
            self.skipping = true;
            self.line = Vec::new();
        } else {
            self.line.extend_from_slice(part);
        }
    }

    fn end_line(&mut self) -> Option<Vec<u8>> {
        let line = std::mem::take(&mut self.line);
        if std::mem::take(&mut self.skipping) {
            self.budget.dropped += 1;
            return None;
        }
        (!line.is_empty() && self.budget.admit(line.len())).then_some(line)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_joined_over_reads_and_long_ones_dropped() {
        let mut reader = DisplayReader::default();
        assert!(reader.push(b"{\"a\"").is_empty());
        assert_eq!(reader.push(b":1}\n{}\n\n{"), [b"{\"a\":1}".to_vec(), b"{}".to_vec()]);
        for _ in 0..=MAX_DISPLAY_BYTES / 1024 {
            assert!(reader.push(&[b'x'; 1024]).is_empty());
        }
        assert_eq!(reader.push(b"\n{}\n"), [b"{}".to_vec()]);
        assert_eq!(reader.dropped(), 1);
    }

    #[test]
    fn the_count_is_bounded() {
        let mut reader = DisplayReader::default();
        assert_eq!(reader.push(&b"1\n".repeat(600)).len(), 500);
        assert_eq!(reader.dropped(), 100);
    }
}
