//! What a deleted execution leaves behind is removed: its rows, what it was given, and the files that it left; and
//! whatever there still is of a tenant that is gone.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use kiln_bus::{Delivery, Outcome};
use kiln_events::{Delete, Envelope, TenantPurged, subject};
use kiln_runtime::Task;
use tokio_util::sync::CancellationToken;

use crate::{Results, library, store};

/// How often, and how many times, the deletions of a tenant's executions are waited for.
const LOOK_AGAIN: Duration = Duration::from_secs(1);
const DELETIONS_WAITED_FOR: i64 = 30;

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

/// After the scheduler has deleted all executions of a tenant that is gone.
pub fn purge_task(results: &Arc<Results>, shutdown: CancellationToken) -> Task {
    let results = Arc::clone(results);
    Task::new("result-purge", async move {
        let subject = subject::tenant_purged("scheduler");
        let consumer = results.bus.consumer(subject::EVENTS, "result-purged", &subject, Duration::from_mins(1), 60).await?;
        consumer.run_batches(shutdown, |batch| purge(&results, batch)).await
    })
}

async fn purge(results: &Results, batch: Vec<Delivery<Envelope<TenantPurged>>>) -> anyhow::Result<Vec<Outcome>> {
    let mut outcomes = Vec::with_capacity(batch.len());
    for delivery in &batch {
        let tenant = delivery.payload.tenant_id;
        let mut tx = results.database.system().await?;
        let left = store::left_of_tenant(&mut tx, tenant).await?;
        // Each execution's own deletion removes its files as well; what has none by now never will.
        if left > 0 && delivery.delivered < DELETIONS_WAITED_FOR {
            outcomes.push(Outcome::Retry(LOOK_AGAIN));
            continue;
        }
        // What is not stored yet never will be.
        let messages = results.bus.forget_output(tenant).await?;
        store::forget_tenant(&mut tx, tenant).await?;
        let kept = library::forget_tenant(&mut tx, tenant).await?;
        tx.commit().await?;
        let executions = delivery.payload.payload.removed.get("executions").copied().unwrap_or_default();
        let removed = BTreeMap::from([
            ("outputs_of_executions".to_owned(), executions),
            ("output_messages".to_owned(), messages),
            ("notebooks_and_scripts".to_owned(), kept),
        ]);
        let purged = TenantPurged { service: "result".to_owned(), removed };
        let purged = Envelope::new(tenant, Timestamp::now(), purged);
        results.bus.publish(&subject::tenant_purged("result"), Some(purged.id), &purged).await?;
        outcomes.push(Outcome::Done);
    }
    Ok(outcomes)
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
