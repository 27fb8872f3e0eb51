//! Paths as clients name files of a workspace: relative, normal, text.

use std::path::{Path, PathBuf};

const MAX_BYTES: usize = 4_000;
const MAX_PART_BYTES: usize = 255;
const MAX_PARTS: usize = 128;

/// A path that can name something in a workspace, never the workspace itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WorkspacePath(PathBuf);

/// What is wrong with a path, in words for the caller.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct PathFault(&'static str);

impl WorkspacePath {
    pub fn parse(text: &str) -> Result<Self, PathFault> {
        let parts = || text.split('/');
        let fault = if text.is_empty() {
            Some("must not be empty")
        } else if text.contains('\0') {
            Some("must not contain NUL")
        } else if text.starts_with('/') {
            Some("must be relative")
        } else if parts().any(|part| matches!(part, "" | "." | "..")) {
            Some("must be normal: no empty parts, no `.` and no `..`")
        } else if parts().any(|part| part.len() > MAX_PART_BYTES) {
            Some("a part must be at most 255 bytes")
        } else if text.len() > MAX_BYTES || parts().count() > MAX_PARTS {
            Some("must be at most 4000 bytes and 128 parts")
        } else {
            None
        };
        fault.map_or_else(|| Ok(Self(PathBuf::from(text))), |fault| Err(PathFault(fault)))
    }

    /// The rest of a request's path, percent-encoded as it came: what is not UTF-8 has a fault of its own.
    pub fn parse_encoded(text: &str) -> Result<Self, PathFault> {
        let bytes = decode(text).ok_or(PathFault("has a % that encodes nothing"))?;
        let text = String::from_utf8(bytes).map_err(|_| PathFault("must be UTF-8"))?;
        Self::parse(&text)
    }

    pub fn as_path(&self) -> &Path {
        &self.0
    }

    /// As it was given.
    pub fn text(&self) -> &str {
        self.0.to_str().unwrap_or_default()
    }
}

fn decode(text: &str) -> Option<Vec<u8>> {
    let mut bytes = text.bytes();
    let mut decoded = Vec::with_capacity(text.len());
    while let Some(byte) = bytes.next() {
        if byte == b'%' {
            let digit = |byte: Option<u8>| char::from(byte?).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
            decoded.push((digit(bytes.next())? << 4) | digit(bytes.next())?);
        } else {
            decoded.push(byte);
        }
    }
    Some(decoded)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_relative_normal_paths_name_files() {
        for good in ["a", "a/b.txt", "ä/…", ".hidden", "a/..b", &"x".repeat(255)] {
            assert_eq!(WorkspacePath::parse(good).unwrap().text(), good);
        }
        let long = "x".repeat(256);
        let deep = "d/".repeat(200) + "f";
        for bad in ["", "/a", "..", ".", "a/../b", "./a", "a//b", "a/", "a\0b", &long, &deep] {
            assert!(WorkspacePath::parse(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn an_encoded_path_is_judged_by_what_it_means() {
        assert_eq!(WorkspacePath::parse_encoded("%C3%A9%20b/c%25").unwrap().text(), "é b/c%");
        for bad in ["..%2Fx", "%2e%2e/x", "%2Fetc", "a%00", "%FF", "%", "%4", "%zz", "%+1"] {
            assert!(WorkspacePath::parse_encoded(bad).is_err(), "{bad}");
        }
    }
}
