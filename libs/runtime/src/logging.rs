//! Log lines on stderr: JSON for machines, plain text for a person at a terminal.
//!
//! Which lines: `KILN_LOG` (a `tracing` filter such as `info,kiln_scheduler=debug`), else the
//! caller's default. Which form: `KILN_LOG_FORMAT` (`json` or `text`), else by whether
//! stderr is a terminal.

use std::io::IsTerminal;

use tracing_subscriber::EnvFilter;

/// A value of `KILN_LOG` or `KILN_LOG_FORMAT` that means nothing.
#[derive(Debug, thiserror::Error)]
pub enum LoggingError {
    #[error("wrong setting KILN_LOG: {0}")]
    Filter(String),
    #[error("wrong setting KILN_LOG_FORMAT: {0:?} is neither json nor text")]
    Format(String),
}

/// Installs the process's log subscriber; called once, first thing.
///
/// # Errors
/// When one of the two variables cannot be understood.
pub fn init(default_filter: &str) -> Result<(), LoggingError> {
    let filter = match std::env::var("KILN_LOG") {
        Ok(text) if !text.is_empty() => EnvFilter::try_new(text).map_err(|error| LoggingError::Filter(error.to_string()))?,
        _ => EnvFilter::new(default_filter),
    };
    let json = match std::env::var("KILN_LOG_FORMAT").as_deref() {
        Ok("json") => true,
        Ok("text") => false,
        Ok("") | Err(_) => !std::io::stderr().is_terminal(),
        Ok(other) => return Err(LoggingError::Format(other.to_owned())),
    };
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    if json {
        builder.json().flatten_event(true).init();
    } else {
        builder.with_target(false).init();
    }
    Ok(())
}
