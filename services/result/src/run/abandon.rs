//! Runs that come to nothing: whatever there is of them is stopped, and they say so.

use kiln_domain::ExecutionId;
use kiln_http::Problem;
use serde_json::json;

use super::NOT_RUN;
use super::store::{self, Run};
use crate::Results;

impl Results {
    /// Stops what the scheduler may have taken of a run that is still `starting`, and ends it. Repeats change nothing.
    pub async fn abandon(&self, run: &Run, why: &str) -> Result<(), Problem> {
        let mut tx = self.database.tenant(run.tenant()).await?;
        let cells = store::cells(&mut tx, run.id).await?;
        drop(tx);
        // From the last, so that none starts because one before it has ended.
        for cell in cells.iter().rev() {
            self.ask_cancel(run.tenant(), ExecutionId(cell.execution_id)).await?;
        }
        self.finish_own_session(run).await?;
        let mut tx = self.database.tenant(run.tenant()).await?;
        let reason = json!({ "code": "abandoned", "message": why });
        for cell in &cells {
            store::mark(&mut tx, run, ExecutionId(cell.execution_id), NOT_RUN, Some(&reason)).await?;
        }
        store::set_state(&mut tx, run, "starting", "ended").await?;
        tx.commit().await?;
        tracing::warn!(run = %run.id, why, "a notebook's run was given up before it began");
        self.runs.ended.notify_waiters();
        Ok(())
    }

    /// Ends the wait for executions that the scheduler does not know any more.
    pub async fn forget_deleted_cells(&self, run: &Run) -> Result<(), Problem> {
        let mut tx = self.database.tenant(run.tenant()).await?;
        let cells = store::cells(&mut tx, run.id).await?;
        drop(tx);
        for cell in cells.iter().filter(|cell| cell.status.is_none()) {
            let execution = ExecutionId(cell.execution_id);
            if self.describe(run.tenant(), execution).await?.is_some() {
                continue;
            }
            let mut tx = self.database.tenant(run.tenant()).await?;
            let reason = json!({ "code": "deleted", "message": "Its execution was deleted." });
            store::mark(&mut tx, run, execution, "lost", Some(&reason)).await?;
            tx.commit().await?;
            self.runs.wake.notify_one();
        }
        Ok(())
    }
}
