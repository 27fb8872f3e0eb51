//! What a deleted execution leaves behind is removed: its rows, what it was given, and the files that it left.

use std::sync::Arc;
use std::time::Duration;

use kiln_bus::{Delivery, Outcome};
use kiln_events::{Delete, Envelope, subject};
use kiln_runtime::Task;
use tokio_util::sync::CancellationToken;

use crate::{Results, store};

pub fn task(results: &Arc<Results>, shutdown: CancellationToken) -> Task {
    let results = Arc::clone(results);
    Task::new("result-deletion", async move {
        let consumer = results
            .bus
            .consumer(subject::EVENTS, "result-deleted", subject::EXECUTION_DELETED, Duration::from_mins(1), 20)
            .await?;
        consumer.run_batches(shutdown, |batch| delete(&results, batch)).await
    })
}

async fn delete(results: &Results, batch: Vec<Delivery<Envelope<Delete>>>) -> anyhow::Result<Vec<Outcome>> {
    for delivery in &batch {
        let Delete { tenant_id, execution_id } = delivery.payload.payload;
        let mut tx = results.database.tenant(tenant_id).await?;
        let record = store::record_of_deleted(&mut tx, execution_id).await?;
        results.bus.delete_object(&subject::payload_object(execution_id)).await?;
        if let Some(record) = record {
            let files = record.ended.map_or(0, |ended| ended.files.len());
            for index in 0..files {
                results.bus.delete_object(&subject::file_object(execution_id, record.attempt, index)).await?;
            }
        }
        store::delete(&mut tx, execution_id).await?;
        tx.commit().await?;
    }
    Ok(vec![Outcome::Done; batch.len()])
}
