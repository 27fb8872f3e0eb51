//! Lines on standard output. A reader that has gone (`kiln status | head -1`) is no reason to break.

use std::io::{ErrorKind, Write};

/// Prints `text` and a line end.
pub fn say(text: &str) {
    let mut out = std::io::stdout().lock();
    match writeln!(out, "{text}").and_then(|()| out.flush()) {
        Ok(()) => {}
        Err(error) if error.kind() == ErrorKind::BrokenPipe => {}
        Err(error) => tracing::warn!(%error, "standard output cannot be written"),
    }
}
