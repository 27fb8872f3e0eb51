//! A session as clients see it.

use jiff::Timestamp;
use kiln_domain::Limits;
use serde::Serialize;
use utoipa::ToSchema;
use uuid::Uuid;

use crate::store::SessionRow;

/// An interpreter that lives on.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct Session {
    pub id: Uuid,
    pub name: String,
    pub status: SessionStatus,
    /// Why it is closed.
    pub reason: Option<SessionReason>,
    pub runtime: String,
    pub limits: Limits,
    pub workspace_id: Option<Uuid>,
    /// An idle session is closed after so long.
    pub idle_timeout_ms: u64,
    /// User or API key.
    pub created_by: Uuid,
    #[schema(value_type = String, format = DateTime)]
    pub created_at: Timestamp,
    #[schema(value_type = String, format = DateTime)]
    pub last_active_at: Timestamp,
    #[schema(value_type = Option<String>, format = DateTime)]
    pub closed_at: Option<Timestamp>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum SessionStatus {
    Starting,
    Idle,
    /// An execution of it runs or waits.
    Busy,
    Closed,
}

/// Why a session is closed: `idle_timeout`, `finished`, `executor_lost`, `session_failed` or `tenant_suspended`, and plain words.
#[derive(Debug, Clone, Serialize, serde::Deserialize, ToSchema)]
pub struct SessionReason {
    pub code: String,
    pub message: String,
}

impl TryFrom<SessionRow> for Session {
    type Error = serde_json::Error;

    fn try_from(row: SessionRow) -> Result<Self, Self::Error> {
        let status = match row.state.as_str() {
            "starting" => SessionStatus::Starting,
            "open" if row.busy => SessionStatus::Busy,
            "open" => SessionStatus::Idle,
            _ => SessionStatus::Closed,
        };
        Ok(Self {
            id: row.id,
            name: row.name,
            status,
            reason: row.reason.map(serde_json::from_value).transpose()?,
            runtime: row.runtime,
            limits: serde_json::from_value(row.limits)?,
            workspace_id: row.workspace_id,
            idle_timeout_ms: u64::try_from(row.idle_timeout_ms).unwrap_or(0),
            created_by: row.created_by,
            created_at: row.created_at.to_jiff(),
            last_active_at: row.last_active_at.to_jiff(),
            closed_at: row.closed_at.map(jiff_sqlx::Timestamp::to_jiff),
        })
    }
}
