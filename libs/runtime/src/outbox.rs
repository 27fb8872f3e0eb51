//! The relay: publishes what a service wrote to its outbox, at once when told, and by a sweep for what a crash left.

use std::time::Duration;

use jiff::Timestamp;
use kiln_bus::Bus;
use kiln_db::{Database, Outbox, Outgoing};
use kiln_domain::{EventId, TenantId};
use kiln_events::Envelope;
use serde::Serialize;
use sqlx::PgConnection;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::Task;

/// Messages committed and not yet taken by the relay; past it the sweep finds them.
const QUEUE: usize = 4096;
const SWEEP_EVERY: Duration = Duration::from_secs(1);
/// Published messages are deleted in batches, off every request's path.
const DELETE_BATCH: usize = 256;

/// Where a service hands its messages, before and after its commit.
#[derive(Clone, Debug)]
pub struct Relay {
    outbox: Outbox,
    committed: mpsc::Sender<Outgoing>,
}

impl Relay {
    /// The relay of a service and the task that runs it.
    pub fn new(database: Database, bus: Bus, shutdown: CancellationToken) -> (Self, Task) {
        let (committed, queue) = mpsc::channel(QUEUE);
        let outbox = Outbox::new(database.service());
        let worker = Worker { outbox: outbox.clone(), database, bus };
        (Self { outbox, committed }, Task::new("outbox-relay", worker.run(queue, shutdown)))
    }

    /// An event in its envelope, ready for the outbox.
    pub fn event<T: Serialize>(
        subject: &str,
        tenant: TenantId,
        now: Timestamp,
        payload: T,
    ) -> Result<Outgoing, serde_json::Error> {
        let envelope = Envelope::new(tenant, now, payload);
        Ok(Outgoing { id: envelope.id, subject: subject.to_owned(), body: serde_json::to_vec(&envelope)? })
    }

    /// Writes the messages in the transaction that makes them true.
    pub async fn add(&self, connection: &mut PgConnection, messages: &[Outgoing]) -> Result<(), sqlx::Error> {
        self.outbox.add(connection, messages).await
    }

    /// After the commit: publish now. What does not fit the queue is published by the sweep.
    pub fn send(&self, messages: Vec<Outgoing>) {
        for message in messages {
            if self.committed.try_send(message).is_err() {
                tracing::warn!("outbox relay is behind; the sweep will publish");
                return;
            }
        }
    }
}

struct Worker {
    outbox: Outbox,
    database: Database,
    bus: Bus,
}

impl Worker {
    async fn run(self, mut queue: mpsc::Receiver<Outgoing>, shutdown: CancellationToken) -> anyhow::Result<()> {
        let mut sweep = tokio::time::interval(SWEEP_EVERY);
        sweep.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let mut published = Vec::new();
        let mut batch = Vec::with_capacity(DELETE_BATCH);
        loop {
            tokio::select! {
                biased;
                taken = queue.recv_many(&mut batch, DELETE_BATCH) => {
                    if taken == 0 { break }
                    published.extend(self.publish(std::mem::take(&mut batch)).await);
                    if published.len() >= DELETE_BATCH { self.forget(&mut published).await; }
                }
                () = shutdown.cancelled() => break,
                _ = sweep.tick() => {
                    self.forget(&mut published).await;
                    if let Err(error) = self.sweep().await {
                        tracing::warn!(%error, "outbox sweep failed; it is tried again");
                    }
                }
            }
        }
        queue.close();
        while let Some(message) = queue.recv().await {
            published.extend(self.publish(vec![message]).await);
        }
        self.forget(&mut published).await;
        Ok(())
    }

    /// Publishes in order and returns those that the bus confirmed.
    async fn publish(&self, messages: Vec<Outgoing>) -> Vec<EventId> {
        let mut pending = Vec::with_capacity(messages.len());
        for message in messages {
            match self.bus.publish_later(&message.subject, Some(message.id), message.body).await {
                Ok(ack) => pending.push((message.id, ack)),
                Err(error) => tracing::warn!(%error, subject = message.subject, "publish failed; the sweep tries again"),
            }
        }
        let mut confirmed = Vec::with_capacity(pending.len());
        for (id, ack) in pending {
            match ack.confirmed().await {
                Ok(()) => confirmed.push(id),
                Err(error) => tracing::warn!(%error, "publish was not confirmed; the sweep tries again"),
            }
        }
        confirmed
    }

    async fn forget(&self, published: &mut Vec<EventId>) {
        if published.is_empty() {
            return;
        }
        let deleted = async {
            let mut tx = self.database.system().await?;
            self.outbox.delete(&mut tx, published).await?;
            tx.commit().await
        };
        match deleted.await {
            Ok(()) => published.clear(),
            Err(error) => {
                // The sweep publishes them once more; consumers drop the repeat by its id.
                tracing::warn!(%error, "published messages stay in the outbox");
                published.clear();
            }
        }
    }

    async fn sweep(&self) -> Result<(), sqlx::Error> {
        let mut tx = self.database.system().await?;
        let stale = self.outbox.stale(&mut tx, 500).await?;
        tx.commit().await?;
        if !stale.is_empty() {
            let mut published = self.publish(stale).await;
            self.forget(&mut published).await;
        }
        Ok(())
    }
}
