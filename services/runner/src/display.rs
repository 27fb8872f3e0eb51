//! The display descriptor: one JSON document a line, bounded by line, by count and in all.

use kiln_runner_protocol::MAX_DISPLAY_BYTES;

/// Documents of one run.
const MAX_DOCUMENTS: u32 = 500;
/// Bytes of all documents of one run.
const MAX_TOTAL_BYTES: usize = 64 * 1024 * 1024;

#[derive(Debug, Default)]
pub struct DisplayReader {
    line: Vec<u8>,
    /// The current line has passed its bound and is skipped to its end.
    skipping: bool,
    documents: u32,
    total_bytes: usize,
    dropped: u64,
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
        self.dropped
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
        let full = self.documents == MAX_DOCUMENTS || self.total_bytes + line.len() > MAX_TOTAL_BYTES;
        if std::mem::take(&mut self.skipping) || full {
            self.dropped += 1;
            return None;
        }
        if line.is_empty() {
            return None;
        }
        self.documents += 1;
        self.total_bytes += line.len();
        Some(line)
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
