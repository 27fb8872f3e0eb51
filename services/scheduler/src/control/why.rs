//! Why an execution waits.

use std::time::Instant;

use jiff::Timestamp;
use kiln_domain::Status;
use kiln_events::{WaitingFor, Why, WhyReply};

use crate::admission::until_midnight_s;
use crate::{Scheduler, store};

/// What a run is guessed to take when nothing better is known, in milliseconds.
const GUESSED_RUN_MS: u64 = 1_000;

impl Scheduler {
    pub(super) async fn why(&self, query: Why) -> anyhow::Result<WhyReply> {
        let mut tx = self.database.tenant(query.tenant_id).await?;
        let Some(row) = store::load(&mut tx, query.execution_id).await? else { return Ok(WhyReply::NotFound) };
        let state = row.status();
        if row.state != "queued" {
            // On its way to an executor it is next.
            let position = (state == Status::Queued).then_some(1);
            let waiting_for = position.map(|_| WaitingFor::Capacity);
            return Ok(WhyReply::State { state, position, waiting_for, estimate_ms: position.map(|_| 0) });
        }
        let at = store::position(&mut tx, &row).await?;
        tx.commit().await?;
        let now = Instant::now();
        let limit = at.max_concurrent.unwrap_or(self.config.max_concurrent);
        if at.cpu_ms_spent >= at.cpu_ms_per_day.unwrap_or(self.config.cpu_ms_per_day) {
            let estimate_ms = Some(until_midnight_s(Timestamp::now()) * 1000);
            return Ok(WhyReply::State { state, position: Some(at.place), waiting_for: Some(WaitingFor::Rate), estimate_ms });
        }
        let waiting_for = if !self.fleet.runtimes(now).contains(&row.runtime) {
            WaitingFor::Runtime
        } else if at.active >= limit {
            WaitingFor::TenantConcurrency
        } else {
            WaitingFor::Capacity
        };
        let at_once = self.fleet.slots(now).min(u64::from(limit)).max(1);
        let estimate_ms = (waiting_for != WaitingFor::Runtime).then_some(at.place.div_ceil(at_once) * GUESSED_RUN_MS);
        Ok(WhyReply::State { state, position: Some(at.place), waiting_for: Some(waiting_for), estimate_ms })
    }
}
