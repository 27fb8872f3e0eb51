//! What the result service answers over the bus: the whole execution, once it has ended.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use kiln_bus::Large;
use kiln_events::{AWAIT_ENDED, AWAIT_LIVE, AwaitEnd, subject};
use kiln_http::Problem;
use kiln_runtime::Task;
use tokio_util::sync::CancellationToken;

use crate::Results;

/// An end that is not told in this process by then is looked for in the store.
const READ_AFTER: Duration = Duration::from_millis(30);

pub fn task(results: &Arc<Results>, shutdown: CancellationToken) -> Task {
    let results = Arc::clone(results);
    Task::new("result-await", async move {
        let bus = results.bus.clone();
        let answer = move |query: AwaitEnd| {
            let results = Arc::clone(&results);
            async move { results.await_end(query).await.map_err(|problem| anyhow::anyhow!("{problem:?}")) }
        };
        bus.serve_large(&subject::control("result", "await"), "result", shutdown, answer).await
    })
}

impl Results {
    async fn await_end(&self, query: AwaitEnd) -> Result<Large, Problem> {
        let AwaitEnd { tenant_id: tenant, execution_id: execution, until } = query;
        let left = until.duration_since(Timestamp::now()).max(jiff::SignedDuration::ZERO).unsigned_abs();
        let told = self.ends.wait((tenant, execution));
        let read = async {
            tokio::time::sleep(READ_AFTER).await;
            self.wait_for_end(tenant, execution).await
        };
        let waited = async {
            tokio::select! {
                document = told => Ok(Some(document)),
                ended = read => ended.map(|()| None),
            }
        };
        let tag = match tokio::time::timeout(left, waited).await {
            Ok(Ok(Some(body))) => return Ok(Large { tag: AWAIT_ENDED.to_owned(), body }),
            Ok(Ok(None)) => AWAIT_ENDED,
            Ok(Err(problem)) => return Err(problem),
            Err(_) => AWAIT_LIVE,
        };
        let document = self.document(tenant, execution).await?;
        // It may have ended between the deadline and the look.
        let tag = if document.status.is_terminal() { AWAIT_ENDED } else { tag };
        let body = serde_json::to_vec(&document).map_err(Problem::internal)?;
        Ok(Large { tag: tag.to_owned(), body: body.into() })
    }
}
