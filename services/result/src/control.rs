//! What the result service answers over the bus: the whole execution, once it has ended.

use std::sync::Arc;

use jiff::Timestamp;
use kiln_bus::Large;
use kiln_events::{AWAIT_ENDED, AWAIT_LIVE, AwaitEnd, subject};
use kiln_http::Problem;
use kiln_runtime::Task;
use tokio_util::sync::CancellationToken;

use crate::Results;

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
        let left = query.until.duration_since(Timestamp::now()).max(jiff::SignedDuration::ZERO).unsigned_abs();
        let waited = tokio::time::timeout(left, self.wait_for_end(query.tenant_id, query.execution_id)).await;
        let tag = match waited {
            Ok(ended) => ended.map(|()| AWAIT_ENDED)?,
            Err(_) => AWAIT_LIVE,
        };
        let document = self.document(query.tenant_id, query.execution_id).await?;
        // It may have ended between the deadline and the look.
        let tag = if document.status.is_terminal() { AWAIT_ENDED } else { tag };
        let body = serde_json::to_vec(&document).map_err(Problem::internal)?;
        Ok(Large { tag: tag.to_owned(), body: body.into() })
    }
}
