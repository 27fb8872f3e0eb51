//! The streams and the object store, with every bound stated.
//!
//! NATS reserves the bounds up front: its store must have room for 15 GiB in all.

use std::time::Duration;

use async_nats::jetstream::object_store;
use async_nats::jetstream::stream::{Config, DiscardPolicy, RetentionPolicy, StorageType};
use kiln_events::subject;

use crate::Bus;

const DAY: Duration = Duration::from_hours(24);
const GIB: i64 = 1 << 30;
/// Repeats of a message id within this time are dropped by the bus.
const DUPLICATE_WINDOW: Duration = Duration::from_mins(2);
const MAX_MESSAGE: i32 = 8 << 20;

impl Bus {
    /// Makes the streams, or brings their settings up to date. `replicas` is 1 for a single NATS server.
    pub async fn ensure_streams(&self, replicas: usize) -> anyhow::Result<()> {
        for config in configs(replicas) {
            self.jetstream.create_or_update_stream(config).await?;
        }
        if self.jetstream.get_object_store(subject::OBJECTS).await.is_err() {
            self.jetstream
                .create_object_store(object_store::Config {
                    bucket: subject::OBJECTS.to_owned(),
                    description: Some("Payloads and files of executions that are too large for a message".to_owned()),
                    storage: StorageType::File,
                    num_replicas: replicas,
                    max_bytes: 8 * GIB,
                    ..Default::default()
                })
                .await?;
        }
        Ok(())
    }
}

fn configs(replicas: usize) -> [Config; 4] {
    let base = |name: &str, subjects: &str| Config {
        name: name.to_owned(),
        subjects: vec![subjects.to_owned()],
        storage: StorageType::File,
        num_replicas: replicas,
        duplicate_window: DUPLICATE_WINDOW,
        max_message_size: MAX_MESSAGE,
        ..Default::default()
    };
    [
        Config {
            retention: RetentionPolicy::WorkQueue,
            discard: DiscardPolicy::New,
            max_bytes: GIB,
            ..base(subject::TASKS, subject::ALL_TASKS)
        },
        Config { discard: DiscardPolicy::Old, max_age: 7 * DAY, max_bytes: GIB, ..base(subject::EVENTS, subject::ALL_EVENTS) },
        Config { discard: DiscardPolicy::Old, max_age: DAY, max_bytes: 4 * GIB, ..base(subject::OUTPUT, subject::ALL_OUTPUT) },
        Config {
            discard: DiscardPolicy::New,
            discard_new_per_subject: true,
            max_messages_per_subject: 1_000,
            max_age: DAY,
            max_bytes: GIB / 4,
            ..base(subject::STDIN, subject::ALL_STDIN)
        },
    ]
}

impl Bus {
    /// Drops what the streams still hold of the output of a tenant that is gone; how many messages.
    pub async fn forget_output(&self, tenant: kiln_domain::TenantId) -> anyhow::Result<u64> {
        let stream = self.jetstream.get_stream_no_info(subject::OUTPUT).await?;
        Ok(stream.purge().filter(subject::tenant_output(tenant)).await?.purged)
    }

    /// Drops input that an ended execution has not read.
    pub async fn forget_stdin(&self, execution: kiln_domain::ExecutionId) -> anyhow::Result<()> {
        let stream = self.jetstream.get_stream_no_info(subject::STDIN).await?;
        stream.purge().filter(subject::stdin(execution)).await?;
        Ok(())
    }
}
