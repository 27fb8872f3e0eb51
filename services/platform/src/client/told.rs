//! What a running program's stream tells, and how a terminal shows it.

use std::io::{ErrorKind, Write};

use anyhow::Context;
use serde_json::Value;

use super::execution::Execution;

/// One event of a run's stream.
#[derive(Debug)]
pub enum Told {
    Stdout(String),
    Stderr(String),
    /// A figure or another rich output.
    Display,
    /// The whole execution, after which nothing comes.
    End(Box<Execution>),
    /// A status, or something that this client does not know.
    Other,
}

impl Told {
    /// From the event's name and its data; `end` holds the execution itself or under `execution`.
    pub fn parse(name: &str, mut data: Value) -> anyhow::Result<Self> {
        let text = |data: &Value| data.get("text").and_then(Value::as_str).unwrap_or_default().to_owned();
        Ok(match name {
            "stdout" => Self::Stdout(text(&data)),
            "stderr" => Self::Stderr(text(&data)),
            "display" => Self::Display,
            "end" => {
                let execution = match data.get_mut("execution") {
                    Some(execution) => execution.take(),
                    None => data,
                };
                Self::End(serde_json::from_value(execution).context("the server tells an end that this client does not know")?)
            }
            _ => Self::Other,
        })
    }

    /// Prints the program's output where the program printed it.
    pub fn show(&self) -> anyhow::Result<()> {
        match self {
            Self::Stdout(text) => print(&mut std::io::stdout().lock(), text),
            Self::Stderr(text) => print(&mut std::io::stderr().lock(), text),
            Self::Display | Self::End(_) | Self::Other => Ok(()),
        }
    }
}

fn print(out: &mut impl Write, text: &str) -> anyhow::Result<()> {
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        // Whoever read the output, such as `head`, has enough; the run goes on.
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(()),
        other => other.context("the output cannot be written"),
    }
}
