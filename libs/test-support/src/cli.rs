//! The command line, as a user types it, with a home that is not the user's.

use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use tokio::io::AsyncWriteExt;

use crate::installation::kiln_command;

/// How long a command may take.
const DEADLINE: Duration = Duration::from_mins(1);

/// A user's command line; its credentials go with this value.
pub struct Cli {
    home: tempfile::TempDir,
}

/// What a command printed, and how it ended.
#[derive(Debug)]
pub struct Finished {
    /// None when a signal ended it.
    pub code: Option<i32>,
    pub stdout: String,
    pub stderr: String,
}

impl Cli {
    pub fn new() -> Self {
        Self { home: tempfile::tempdir().expect("a temporary directory can be made") }
    }

    /// A directory of the user's, where the credentials are as well.
    pub fn home(&self) -> &Path {
        self.home.path()
    }

    /// A command with pipes for its streams, that is killed when it is dropped.
    pub fn command(&self, arguments: &[&str]) -> tokio::process::Command {
        let mut command = kiln_command();
        command.args(arguments).env("XDG_CONFIG_HOME", self.home()).current_dir(self.home());
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut command = tokio::process::Command::from(command);
        command.kill_on_drop(true);
        command
    }

    /// Runs a command to its end with nothing on its standard input.
    pub async fn run(&self, arguments: &[&str]) -> Finished {
        self.run_with(arguments, "").await
    }

    /// Runs a command to its end with this on its standard input.
    pub async fn run_with(&self, arguments: &[&str], stdin: &str) -> Finished {
        finish(self.command(arguments), arguments, stdin).await
    }

    /// Runs a command to its end with one more variable in its environment.
    pub async fn run_in(&self, variable: (&str, &str), arguments: &[&str]) -> Finished {
        let mut command = self.command(arguments);
        command.env(variable.0, variable.1);
        finish(command, arguments, "").await
    }
}

impl Default for Cli {
    fn default() -> Self {
        Self::new()
    }
}

async fn finish(mut command: tokio::process::Command, arguments: &[&str], stdin: &str) -> Finished {
    let mut child = command.spawn().expect("kiln can be started");
    let mut input = child.stdin.take().expect("stdin is a pipe");
    let run = async {
        // A command that does not read its input may close it.
        let _closed = input.write_all(stdin.as_bytes()).await;
        drop(input);
        child.wait_with_output().await.expect("a child can be waited for")
    };
    let output = tokio::time::timeout(DEADLINE, run).await;
    let output = output.unwrap_or_else(|_| panic!("kiln {arguments:?} has not ended within {DEADLINE:?}"));
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    Finished { code: output.status.code(), stdout: text(&output.stdout), stderr: text(&output.stderr) }
}
