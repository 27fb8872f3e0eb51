//! One command of the check: silent when it succeeds, bounded in time, whole in what it said when it fails.

use std::io::Read;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use anyhow::Context;

/// How a command ended.
pub struct Outcome {
    pub success: bool,
    /// Standard output and error together, in order.
    pub output: String,
}

/// Runs `command` until it ends or `within` is over; then it is killed and counts as failed.
pub fn run(command: &mut Command, within: Duration) -> anyhow::Result<Outcome> {
    let (mut reader, writer) = std::io::pipe().context("pipe")?;
    command.stdin(Stdio::null()).stdout(writer.try_clone().context("pipe")?).stderr(writer);
    let program = command.get_program().to_string_lossy().into_owned();
    let mut child = command.spawn().with_context(|| format!("{program} cannot be executed"))?;
    // The command holds the pipe's other end too; without this the reader would never see the end.
    command.stdout(Stdio::null()).stderr(Stdio::null());

    let (say, heard) = mpsc::channel();
    let collector = thread::spawn(move || {
        let mut bytes = Vec::new();
        let read = reader.read_to_end(&mut bytes);
        // Nobody listens any more when the time was up.
        let _late = say.send(read.map(|_| String::from_utf8_lossy(&bytes).into_owned()));
    });
    if let Ok(read) = heard.recv_timeout(within) {
        let output = read.context("its output cannot be read")?;
        let success = child.wait().context("wait")?.success();
        anyhow::ensure!(collector.join().is_ok(), "the collector of output broke");
        return Ok(Outcome { success, output });
    }
    end(&mut child)?;
    Ok(Outcome { success: false, output: format!("{program} was killed: not done within {within:?}") })
}

fn end(child: &mut Child) -> anyhow::Result<()> {
    child.kill().context("kill")?;
    child.wait().context("wait").map(drop)
}
