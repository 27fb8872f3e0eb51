//! What goes to the runner while a program runs: commands at once, standard input as fast as it is taken.

use std::sync::Arc;

use bytes::Bytes;
use kiln_runner_protocol::{Command, MAX_STDIN_CHUNK_BYTES, STDIN_WINDOW_BYTES, encode};
use tokio::io::AsyncWriteExt;
use tokio::net::unix::OwnedWriteHalf;
use tokio::sync::{Semaphore, mpsc};
use tokio_util::sync::CancellationToken;

/// Writes commands and input until the run is over. Input is sent only as far as the runner's window
/// allows, so a command never waits behind it.
pub async fn write(mut half: OwnedWriteHalf, mut commands: mpsc::Receiver<Command>, mut feed: Feed, over: CancellationToken) {
    loop {
        let command = tokio::select! {
            biased;
            () = over.cancelled() => None,
            command = commands.recv() => command,
            command = feed.next() => Some(command),
        };
        let Some(command) = command else { return };
        let mut bytes = Vec::new();
        if encode(&command, &mut bytes).is_err() || half.write_all(&bytes).await.is_err() {
            // The reading side sees the same end and says what it means.
            return;
        }
    }
}

/// Standard input in the order in which it was given.
pub struct Feed {
    current: Bytes,
    later: Option<mpsc::Receiver<Bytes>>,
    credit: Arc<Semaphore>,
    closed: bool,
}

impl Feed {
    /// First `given`, then what comes from `later`, then the end.
    pub fn new(given: Bytes, later: Option<mpsc::Receiver<Bytes>>) -> (Self, Arc<Semaphore>) {
        let credit = Arc::new(Semaphore::new(STDIN_WINDOW_BYTES));
        (Self { current: given, later, credit: Arc::clone(&credit), closed: false }, credit)
    }

    /// The next command to send; never resolves after the end. Cancel-safe.
    async fn next(&mut self) -> Command {
        while self.current.is_empty() {
            let more = match &mut self.later {
                Some(later) => later.recv().await,
                None => None,
            };
            match more {
                Some(bytes) => self.current = bytes,
                None if self.closed => std::future::pending().await,
                None => {
                    self.closed = true;
                    self.later = None;
                    return Command::CloseStdin;
                }
            }
        }
        let wanted = self.current.len().min(MAX_STDIN_CHUNK_BYTES);
        let permits = u32::try_from(wanted).unwrap_or(u32::MAX);
        match self.credit.acquire_many(permits).await {
            Ok(taken) => taken.forget(),
            // Closed with the run: nothing more is to be sent.
            Err(_) => std::future::pending().await,
        }
        Command::Stdin(self.current.split_to(wanted).to_vec())
    }
}
