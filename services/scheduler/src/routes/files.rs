//! Files sent with an execution: their paths and their contents.

use std::collections::BTreeSet;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use kiln_events::InputFile;
use kiln_http::{FieldError, Object, Problem};
use serde::Deserialize;
use utoipa::ToSchema;

use crate::Config;

const MAX_FILES: usize = 1_000;
/// Longest part of a path, and longest path, in bytes.
const MAX_PART: usize = 255;
const MAX_PATH: usize = 4_095;
/// Directories in directories, the file included; sandboxes take no deeper input.
const MAX_DEPTH: usize = 32;

/// A file that the program finds in its working directory.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct FileBody {
    /// Relative to the working directory.
    pub path: String,
    /// The bytes in base64.
    #[schema(format = "byte")]
    pub content: String,
}

/// The files, decoded; 413 when they are too large, 422 when a path or a content is not acceptable.
pub fn decode(bodies: Vec<Object<FileBody>>, config: &Config) -> Result<Vec<InputFile>, Problem> {
    if bodies.len() > MAX_FILES {
        return Err(Problem::invalid_field("/files", format!("must be at most {MAX_FILES}")));
    }
    let mut errors = Vec::new();
    let (mut files, mut total) = (Vec::with_capacity(bodies.len()), 0);
    for (at, Object(body)) in bodies.into_iter().enumerate() {
        if let Some(fault) = path_fault(&body.path) {
            errors.push(FieldError::new(format!("/files/{at}/path"), fault));
        }
        match STANDARD.decode(body.content.as_bytes()) {
            Ok(content) => {
                let size = content.len() as u64;
                if size > config.file_bytes {
                    return Err(Problem::too_large(format!("/files/{at} is larger than {} bytes.", config.file_bytes)));
                }
                total += size;
                if total > config.files_bytes {
                    return Err(Problem::too_large(format!("The files together are larger than {} bytes.", config.files_bytes)));
                }
                files.push(InputFile { path: body.path, content });
            }
            Err(_) => errors.push(FieldError::new(format!("/files/{at}/content"), "must be base64")),
        }
    }
    errors.extend(collisions(&files));
    if errors.is_empty() { Ok(files) } else { Err(Problem::invalid(errors)) }
}

fn path_fault(path: &str) -> Option<&'static str> {
    if path.is_empty() || path.len() > MAX_PATH {
        return Some("must be 1 to 4095 bytes");
    }
    if path.contains('\0') {
        return Some("must not contain NUL");
    }
    if path.starts_with('/') {
        return Some("must be relative");
    }
    if path.split('/').count() > MAX_DEPTH {
        return Some("must have at most 32 parts");
    }
    for part in path.split('/') {
        match part {
            "" | "." => return Some("must not have empty parts or `.`"),
            ".." => return Some("must not contain `..`"),
            _ if part.len() > MAX_PART => return Some("must have parts of at most 255 bytes"),
            _ => {}
        }
    }
    // The program itself is written there.
    if matches!(path.split('/').next(), Some("main.py" | "main.sh" | "main.js")) {
        return Some("is where the program itself is put");
    }
    None
}

/// Paths given twice, and files that others use as a directory.
fn collisions(files: &[InputFile]) -> Vec<FieldError> {
    let mut seen = BTreeSet::new();
    let directories: BTreeSet<&str> =
        files.iter().flat_map(|file| file.path.match_indices('/').filter_map(|(at, _)| file.path.get(..at))).collect();
    let mut errors = Vec::new();
    for (at, file) in files.iter().enumerate() {
        if !seen.insert(file.path.as_str()) {
            errors.push(FieldError::new(format!("/files/{at}/path"), "is given twice"));
        }
        if directories.contains(file.path.as_str()) {
            errors.push(FieldError::new(format!("/files/{at}/path"), "is a directory of another file"));
        }
    }
    errors
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_normal_relative_paths() {
        let (deepest, deeper) = (["d"; 32].join("/"), ["d"; 33].join("/"));
        for path in ["a", "a/b.txt", "...", "naïve/日本", "a b", "-rf", deepest.as_str()] {
            assert_eq!(path_fault(path), None, "{path}");
        }
        let long = "x".repeat(256);
        for path in ["", "/a", "..", "a/../b", "a//b", "a/", "./a", "a\0", "main.py", long.as_str(), deeper.as_str()] {
            assert!(path_fault(path).is_some(), "{path}");
        }
    }

    #[test]
    fn files_do_not_collide() {
        let file = |path: &str| InputFile { path: path.to_owned(), content: Vec::new() };
        assert!(collisions(&[file("a"), file("b/c"), file("b/d")]).is_empty());
        assert_eq!(collisions(&[file("a"), file("a")]).len(), 1);
        assert_eq!(collisions(&[file("a"), file("a/b")]).len(), 1);
    }
}
