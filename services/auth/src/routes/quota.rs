//! `GET /tenant/quota`: what the tenant may use and what it uses.

use std::time::Duration;

use axum::Json;
use axum::extract::State;
use kiln_events::{TenantUsage, TenantUsageReply, subject};
use kiln_http::auth::Caller;
use kiln_http::{Problem, ProblemDocument};
use serde::Serialize;
use utoipa::ToSchema;

use crate::app::App;
use crate::quotas::{self, QuotaLimits};

const DEADLINE: Duration = Duration::from_secs(3);

#[derive(Serialize, ToSchema)]
pub struct Quota {
    limits: QuotaLimits,
    used: QuotaUsed,
}

/// What is in use of each limit; null for those that bound one run and are not used up.
#[derive(Serialize, ToSchema)]
pub struct QuotaUsed {
    max_concurrent: u64,
    max_queued: u64,
    executions_per_minute: u64,
    cpu_ms_per_day: u64,
    max_timeout_ms: Option<u64>,
    max_memory_bytes: Option<u64>,
    max_cpu_millis: Option<u64>,
    max_sessions: u64,
    storage_bytes: u64,
}

/// What the tenant may use, and uses
#[utoipa::path(get, path = "/api/v1/tenant/quota", tag = "tenant", security(("bearer" = [])), responses(
    (status = 200, body = Quota),
    (status = 401, body = ProblemDocument),
    (status = 503, body = ProblemDocument, description = "What is in use cannot be told now."),
))]
pub async fn get_quota(State(app): State<App>, caller: Caller) -> Result<Json<Quota>, Problem> {
    let tenant_id = caller.tenant_id;
    let mut tx = app.database.tenant(tenant_id).await?;
    let limits = quotas::chosen(&mut tx, tenant_id).await?.over(&app.config.quota);
    tx.commit().await?;
    let usage: TenantUsageReply =
        app.bus.request(&subject::control("scheduler", "usage"), &TenantUsage { tenant_id }, DEADLINE).await?;
    let used = QuotaUsed {
        max_concurrent: usage.running,
        max_queued: usage.queued,
        executions_per_minute: usage.executions_last_minute,
        cpu_ms_per_day: usage.cpu_ms_today,
        max_timeout_ms: None,
        max_memory_bytes: None,
        max_cpu_millis: None,
        max_sessions: usage.sessions,
        storage_bytes: usage.storage_bytes,
    };
    Ok(Json(Quota { limits, used }))
}
