//! /sessions: interpreters that live on.

mod create;
mod execute;
mod manage;
mod view;

pub use create::*;
pub use execute::*;
pub use manage::*;

use kiln_domain::SessionId;
use kiln_http::Problem;
use kiln_http::auth::{Caller, Permission};

use crate::Scheduler;
use crate::store::{self, SessionRow};

impl Scheduler {
    /// The tenant's session, else 404.
    async fn find_session(&self, caller: &Caller, id: SessionId) -> Result<SessionRow, Problem> {
        let mut tx = self.database.tenant(caller.tenant_id).await?;
        let row = store::load_session(&mut tx, id).await?;
        tx.commit().await?;
        row.ok_or_else(Problem::not_found)
    }

    /// The same, if the caller may change it: its own, or any for those who manage.
    async fn find_session_to_change(&self, caller: &Caller, id: SessionId) -> Result<SessionRow, Problem> {
        let row = self.find_session(caller, id).await?;
        if row.created_by != caller.actor() {
            caller.require(Permission::SessionsManage)?;
        }
        Ok(row)
    }
}
