//! Waiting for a condition instead of for a time.

use std::time::{Duration, Instant};

/// How often a condition is asked again.
const INTERVAL: Duration = Duration::from_millis(20);

/// Asks until the answer is there.
///
/// # Panics
/// When `deadline` has passed without an answer, naming what was waited for.
pub async fn eventually<T>(deadline: Duration, what: &str, mut ask: impl AsyncFnMut() -> Option<T>) -> T {
    let start = Instant::now();
    loop {
        if let Some(answer) = ask().await {
            return answer;
        }
        assert!(start.elapsed() < deadline, "not within {deadline:?}: {what}");
        tokio::time::sleep(INTERVAL).await;
    }
}
