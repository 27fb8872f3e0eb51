//! Masked secrets in what a program prints: each occurrence becomes asterisks, also when the program writes it in pieces.
//! Against accidents, not against a program that wants to tell: what it encodes or spells out slowly is not recognised.

use kiln_events::Stream;
use memchr::memmem::Finder;
use serde_json::Value;

const ASTERISKS: &str = "***";
/// Shorter ones are not masked: too much would be taken for them.
const MIN_BYTES: usize = 8;

/// The secrets of one run that are not to be printed, and the ends of its streams that may be the beginning of one.
#[derive(Default)]
pub struct Mask {
    /// Longest first, so that one which contains another is taken whole.
    secrets: Vec<Secret>,
    stdout: Vec<u8>,
    stderr: Vec<u8>,
}

/// One secret, prepared so that looking for it takes as long as reading does, whatever it is: a tenant chooses both the
/// secrets and the text.
struct Secret {
    text: String,
    finder: Finder<'static>,
    /// Of each beginning the length of the longest shorter one that it ends with (Knuth, Morris and Pratt, 1977).
    borders: Vec<usize>,
}

impl Mask {
    /// Of each value, without the white space around it, which programs strip.
    pub fn new<'a>(values: impl Iterator<Item = &'a str>) -> Self {
        let mut secrets: Vec<_> = values.map(str::trim).filter(|value| value.len() >= MIN_BYTES).map(Secret::new).collect();
        secrets.sort_by_key(|secret| std::cmp::Reverse(secret.text.len()));
        Self { secrets, ..Self::default() }
    }

    pub fn is_empty(&self) -> bool {
        self.secrets.is_empty()
    }

    /// What of the stream can be told now that these bytes have come.
    pub fn pass(&mut self, stream: Stream, bytes: Vec<u8>) -> Vec<u8> {
        let held = self.held(stream);
        let mut text = std::mem::take(held);
        text.extend(bytes);
        let (told, rest) = self.hide(&text, false);
        *self.held(stream) = text.get(rest..).unwrap_or_default().to_vec();
        told
    }

    /// Whether something is held back.
    pub fn holds(&self) -> bool {
        !self.stdout.is_empty() || !self.stderr.is_empty()
    }

    /// What was held back, as it is if nothing follows.
    pub fn let_go(&mut self, stream: Stream) -> Vec<u8> {
        let held = std::mem::take(self.held(stream));
        self.hide(&held, true).0
    }

    /// Hides the secrets in every text of a document.
    pub fn hide_in(&self, document: &mut Value) {
        match document {
            Value::String(text) => {
                for secret in &self.secrets {
                    if text.contains(&secret.text) {
                        *text = text.replace(&secret.text, ASTERISKS);
                    }
                }
            }
            Value::Array(parts) => parts.iter_mut().for_each(|part| self.hide_in(part)),
            Value::Object(fields) => fields.values_mut().for_each(|field| self.hide_in(field)),
            Value::Null | Value::Bool(_) | Value::Number(_) => {}
        }
    }

    /// The text without secrets, and from where on it could be the beginning of one, unless it is complete.
    fn hide(&self, text: &[u8], complete: bool) -> (Vec<u8>, usize) {
        let mut begun: Vec<_> =
            if complete { Vec::new() } else { self.secrets.iter().flat_map(|secret| secret.begun(text)).collect() };
        begun.sort_unstable();
        let mut begun = begun.into_iter().peekable();
        let mut next: Vec<_> = self.secrets.iter().map(|secret| secret.find(text, 0)).collect();
        let (mut told, mut at) = (Vec::with_capacity(text.len()), 0);
        loop {
            for (secret, found) in self.secrets.iter().zip(&mut next) {
                if found.is_some_and(|found| found < at) {
                    *found = secret.find(text, at);
                }
            }
            let found = self.secrets.iter().zip(&next).filter_map(|(secret, found)| Some((secret, (*found)?)));
            let first = found.min_by_key(|(_, found)| *found);
            while begun.next_if(|start| *start < at).is_some() {}
            let held = begun.peek().copied();
            let upto = [held, first.map(|(_, found)| found)].into_iter().flatten().min().unwrap_or(text.len());
            told.extend_from_slice(text.get(at..upto).unwrap_or_default());
            match first {
                Some((secret, found)) if held.is_none_or(|held| found < held) => {
                    told.extend_from_slice(ASTERISKS.as_bytes());
                    at = found + secret.text.len();
                }
                _ => return (told, upto),
            }
        }
    }

    fn held(&mut self, stream: Stream) -> &mut Vec<u8> {
        match stream {
            Stream::Stdout => &mut self.stdout,
            Stream::Stderr => &mut self.stderr,
        }
    }
}

impl Secret {
    fn new(text: &str) -> Self {
        let bytes = text.as_bytes();
        let (mut borders, mut border) = (vec![0; bytes.len()], 0);
        for at in 1..bytes.len() {
            border = step(bytes, &borders, border, bytes.get(at));
            if let Some(slot) = borders.get_mut(at) {
                *slot = border;
            }
        }
        Self { text: text.to_owned(), finder: Finder::new(text).into_owned(), borders }
    }

    /// Where it is for the first time from `at` on.
    fn find(&self, text: &[u8], at: usize) -> Option<usize> {
        self.finder.find(text.get(at..)?).map(|found| found + at)
    }

    /// Where a part of it begins with which the text ends.
    fn begun(&self, text: &[u8]) -> Vec<usize> {
        let bytes = self.text.as_bytes();
        let tail = text.get(text.len().saturating_sub(bytes.len() - 1)..).unwrap_or_default();
        let mut length = tail.iter().fold(0, |length, byte| step(bytes, &self.borders, length, Some(byte)));
        let mut starts = Vec::new();
        while length > 0 {
            starts.push(text.len() - length);
            length = self.borders.get(length - 1).copied().unwrap_or(0);
        }
        starts
    }
}

/// How much of the secret's beginning the text ends with after one more byte.
fn step(secret: &[u8], borders: &[usize], mut length: usize, byte: Option<&u8>) -> usize {
    while length > 0 && secret.get(length) != byte {
        length = borders.get(length - 1).copied().unwrap_or(0);
    }
    if secret.get(length) == byte { length + 1 } else { 0 }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn printed(secrets: &[&str], pieces: &[&str]) -> String {
        let mut mask = Mask::new(secrets.iter().copied());
        let mut told = Vec::new();
        for piece in pieces {
            told.extend(mask.pass(Stream::Stdout, piece.as_bytes().to_vec()));
        }
        told.extend(mask.let_go(Stream::Stdout));
        String::from_utf8(told).unwrap()
    }

    #[test]
    fn a_secret_is_hidden_whole_or_in_pieces() {
        assert_eq!(printed(&["hunter2hunter2"], &["a hunter2hunter2 b"]), "a *** b");
        assert_eq!(printed(&["hunter2hunter2"], &["a hunt", "er2hunter", "2 b"]), "a *** b");
        assert_eq!(printed(&["hunter2hunter2\n"], &["hunter2hunter2"]), "***");
        assert_eq!(printed(&["aaaaaaaab", "aaaaaaaa"], &["aaaaaaaaaab"]), "***aab");
        for pieces in [&["longer-secret-2"][..], &["longer-secret", "-2"], &["longer-secret"]] {
            assert_eq!(printed(&["longer-secret", "longer-secret-2"], pieces), "***");
        }
    }

    #[test]
    fn what_is_none_passes() {
        assert_eq!(printed(&["hunter2hunter2"], &["hunter2", " hunter3"]), "hunter2 hunter3");
        assert_eq!(printed(&["short"], &["short"]), "short");
        let mut mask = Mask::new(std::iter::once("hunter2hunter2"));
        assert_eq!(mask.pass(Stream::Stderr, b"Password: h".to_vec()), b"Password: ");
        assert!(mask.holds());
        assert_eq!(mask.let_go(Stream::Stderr), b"h");
        assert!(!mask.holds());
    }

    #[test]
    fn streams_do_not_mix() {
        let mut mask = Mask::new(std::iter::once("hunter2hunter2"));
        assert_eq!(mask.pass(Stream::Stdout, b"hunter2".to_vec()), b"");
        assert_eq!(mask.pass(Stream::Stderr, b"hunter2".to_vec()), b"");
        assert_eq!(mask.pass(Stream::Stdout, b"hunter2".to_vec()), b"***");
        assert_eq!(mask.let_go(Stream::Stderr), b"hunter2");
    }

    #[test]
    fn documents_are_searched_through() {
        let mask = Mask::new(std::iter::once("hunter2hunter2"));
        let mut output = json!({"data": {"text/plain": ["is hunter2hunter2"]}, "n": 1});
        mask.hide_in(&mut output);
        assert_eq!(output, json!({"data": {"text/plain": ["is ***"]}, "n": 1}));
    }

    #[test]
    fn no_text_takes_long() {
        let secret = format!("{}b", "a".repeat(32 * 1024));
        let mut mask = Mask::new([secret.as_str(), &secret[1..], &secret[2..]].into_iter());
        let begun = std::time::Instant::now();
        let told: usize = (0..64).map(|_| mask.pass(Stream::Stdout, vec![b'a'; 64 * 1024]).len()).sum();
        assert_eq!(told + mask.let_go(Stream::Stdout).len(), 64 * 64 * 1024);
        assert!(begun.elapsed() < std::time::Duration::from_secs(2), "{:?}", begun.elapsed());
    }

    proptest! {
        #[test]
        fn pieces_make_no_difference(text in "[ab]{0,60}", cuts in proptest::collection::vec(0_usize..60, 0..6)) {
            let mut cuts: Vec<usize> = cuts.into_iter().map(|cut| cut.min(text.len())).collect();
            cuts.extend([0, text.len()]);
            cuts.sort_unstable();
            let pieces: Vec<&str> = cuts.windows(2).map(|pair| &text[pair[0]..pair[1]]).collect();
            let secrets = ["aabaabaab", "abababab"];
            prop_assert_eq!(printed(&secrets, &pieces), printed(&secrets, &[&text]));
        }
    }
}
