//! What executors ask: may I start this attempt, and: I live.

use std::time::Instant;

use kiln_domain::{ReasonCode, SessionId};
use kiln_events::{Claim, ClaimReply, Heartbeat, HeartbeatReply, Stop};

use crate::sessions::Closing;
use crate::store::Beat;
use crate::{Scheduler, store};

impl Scheduler {
    pub(super) async fn claim(&self, claim: Claim) -> anyhow::Result<ClaimReply> {
        let mut tx = self.database.system().await?;
        let granted = store::claim(&mut tx, &claim, i64::try_from(self.config.lease_ms)?).await?;
        tx.commit().await?;
        Ok(if granted { ClaimReply::Granted } else { ClaimReply::Refused })
    }

    pub(super) async fn heartbeat(&self, call: Heartbeat) -> anyhow::Result<HeartbeatReply> {
        if self.fleet.heard(&call, Instant::now()) {
            tracing::info!(
                executor = call.executor_id,
                slots = call.slots,
                isolation = call.isolation,
                "executor called for the first time"
            );
            self.give_up_earlier_instance(&call).await?;
        }
        self.runtimes.offered(&self.database, &call.runtimes).await?;
        let close = if call.sessions.is_empty() { Vec::new() } else { self.extend_sessions(&call).await? };
        let stop = if call.running.is_empty() { Vec::new() } else { self.extend(&call).await? };
        self.wake.notify_one();
        Ok(HeartbeatReply { stop, close })
    }

    /// A restarted executor has none of the processes that its forerunner had.
    async fn give_up_earlier_instance(&self, call: &Heartbeat) -> anyhow::Result<()> {
        let mut tx = self.database.system().await?;
        let gone = store::instance_gone(&mut tx, &call.executor_id, call.instance).await?;
        let sessions = store::sessions_of_earlier_instance(&mut tx, &call.executor_id, call.instance).await?;
        tx.commit().await?;
        for (tenant, session) in sessions {
            self.close_session(tenant, session, &Closing::ExecutorLost).await?;
        }
        for (tenant, execution) in gone {
            self.give_up_attempt(tenant, execution).await?;
        }
        Ok(())
    }

    async fn extend_sessions(&self, call: &Heartbeat) -> anyhow::Result<Vec<SessionId>> {
        let mut tx = self.database.system().await?;
        let lease_ms = i64::try_from(self.config.lease_ms)?;
        let close = store::extend_session_leases(&mut tx, call.instance, &call.sessions, lease_ms).await?;
        tx.commit().await?;
        Ok(close)
    }

    async fn extend(&self, call: &Heartbeat) -> anyhow::Result<Vec<Stop>> {
        let mut tx = self.database.system().await?;
        let beats = store::extend_leases(&mut tx, call.instance, &call.running, i64::try_from(self.config.lease_ms)?).await?;
        let over = store::over_budget(&mut tx, &self.fleet.live_cpu_of(call, Instant::now()), self.config.cpu_ms_per_day).await?;
        tx.commit().await?;
        for tenant in over {
            self.stop_running(tenant, ReasonCode::CpuTime).await?;
        }
        let stop =
            |cause| move |live: kiln_events::LiveAttempt| Stop { execution_id: live.execution_id, attempt: live.attempt, cause };
        Ok(beats
            .into_iter()
            .filter_map(|(live, beat)| match beat {
                Beat::Keep => None,
                Beat::Stop(cause) => Some(stop(cause)(live)),
                Beat::Drop => Some(stop(ReasonCode::ExecutorLost)(live)),
            })
            .collect())
    }
}
