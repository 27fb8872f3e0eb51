//! One command of the check: silent when it succeeds, bounded in time, whole in what it said when it fails.

use std::io::{PipeReader, Read};
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::Context;
use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;

/// How a command ended.
pub struct Outcome {
    pub success: bool,
    /// Standard output and error together, in order.
    pub output: String,
}

/// Runs `command` until it ends or `within` is over; then all that it started is killed, and it counts as failed.
pub fn run(command: &mut Command, within: Duration) -> anyhow::Result<Outcome> {
    let deadline = Instant::now() + within;
    let (reader, writer) = std::io::pipe().context("pipe")?;
    command.stdin(Stdio::null()).stdout(writer.try_clone().context("pipe")?).stderr(writer).process_group(0);
    let program = command.get_program().to_string_lossy().into_owned();
    let mut child = command.spawn().with_context(|| format!("{program} cannot be executed"))?;
    // The command holds the pipe's other end too; without this the reader would never see the end.
    command.stdout(Stdio::null()).stderr(Stdio::null());

    let pieces = pieces(reader);
    let mut output = Vec::new();
    loop {
        match pieces.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
            Ok(piece) => output.extend(piece.context("its output cannot be read")?),
            Err(RecvTimeoutError::Disconnected) => {
                let success = child.wait().context("wait")?.success();
                return Ok(Outcome { success, output: text(&output) });
            }
            Err(RecvTimeoutError::Timeout) => {
                end(&mut child)?;
                let output = format!("{}\n{program} was killed: not done within {within:?}", text(&output));
                return Ok(Outcome { success: false, output });
            }
        }
    }
}

/// What is read until the end, as it comes. Ends by itself when nobody listens any more.
fn pieces(mut reader: PipeReader) -> mpsc::Receiver<std::io::Result<Vec<u8>>> {
    let (say, heard) = mpsc::channel();
    thread::spawn(move || {
        loop {
            let mut piece = vec![0; 64 * 1024];
            let piece = match reader.read(&mut piece) {
                Ok(0) => return,
                Ok(count) => {
                    piece.truncate(count);
                    Ok(piece)
                }
                Err(error) => Err(error),
            };
            let last = piece.is_err();
            if say.send(piece).is_err() || last {
                return;
            }
        }
    });
    heard
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn end(child: &mut Child) -> anyhow::Result<()> {
    killpg(Pid::from_raw(child.id().cast_signed()), Signal::SIGKILL).context("kill")?;
    child.wait().context("wait").map(drop)
}
