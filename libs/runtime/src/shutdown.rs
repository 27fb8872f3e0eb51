//! Turning signals into one cancellation token, and a second signal into an immediate end.

use std::time::{Duration, Instant};

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio_util::sync::CancellationToken;

/// A second signal so soon after the first is the same one, sent to the process and to its group.
const SAME_SIGNAL: Duration = Duration::from_millis(300);

/// Exit code of a process that a second Ctrl-C ended before its drain was over.
const IMPATIENT_EXIT: i32 = 130;

/// Cancels the returned token at the first SIGINT or SIGTERM; the second one ends the
/// process at once.
///
/// # Errors
/// When the handlers cannot be installed.
pub fn on_signals() -> std::io::Result<CancellationToken> {
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    let token = CancellationToken::new();
    let cancelled = token.clone();
    tokio::spawn(async move {
        wait_for_either(&mut interrupt, &mut terminate).await;
        tracing::info!("stopping: draining what runs; a second signal ends everything at once");
        cancelled.cancel();
        let first = Instant::now();
        loop {
            wait_for_either(&mut interrupt, &mut terminate).await;
            if first.elapsed() > SAME_SIGNAL {
                break;
            }
        }
        tracing::warn!("second signal: ending without a drain");
        std::process::exit(IMPATIENT_EXIT);
    });
    Ok(token)
}

async fn wait_for_either(interrupt: &mut Signal, terminate: &mut Signal) {
    tokio::select! {
        _ = interrupt.recv() => {}
        _ = terminate.recv() => {}
    }
}
