//! GET, PATCH and DELETE /workspaces/{id}.

#![expect(clippy::option_option, reason = "in a patch a null and a field that is not there differ")]

use std::time::Duration;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use kiln_domain::{TenantId, WorkspaceId};
use kiln_events::{ChangeWorkspace, ChangeWorkspaceReply, DeleteWorkspace, DeleteWorkspaceReply, WorkspaceRecord, subject};
use kiln_http::auth::{Caller, Permission};
use kiln_http::{ApiJson, ApiPath, Problem, ProblemDocument, Workspace};
use serde::{Deserialize, Deserializer};
use utoipa::ToSchema;

use super::AppState;
use crate::workspaces::Workspaces;

const DEADLINE: Duration = Duration::from_secs(5);
const MIN_QUOTA_BYTES: u64 = 1 << 20;
const MAX_NAME_CHARS: usize = 200;

/// What to change; what is not named stays.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PatchWorkspace {
    #[schema(min_length = 1, max_length = 200)]
    name: Option<String>,
    /// Not below what is used. In force for files at once, for programs from the time on when nothing uses the workspace.
    #[schema(minimum = 1_048_576)]
    quota_bytes: Option<u64>,
    /// Null: no own limit.
    #[serde(default, deserialize_with = "named")]
    #[schema(value_type = Option<u64>, minimum = 1)]
    max_file_bytes: Option<Option<u64>>,
}

/// Tells a null from a field that is not there.
fn named<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Option<u64>>, D::Error> {
    Option::deserialize(deserializer).map(Some)
}

/// One workspace.
#[utoipa::path(
    get, path = "/api/v1/workspaces/{id}", operation_id = "getWorkspace", tag = "workspaces", security(("bearer" = [])),
    params(("id" = uuid::Uuid, Path)),
    responses(
        (status = 200, body = Workspace, description = "As it is, with what it uses now"),
        (status = 401, body = ProblemDocument, description = "No valid credential", content_type = "application/problem+json"),
        (status = 403, body = ProblemDocument, description = "Not allowed", content_type = "application/problem+json"),
        (status = 404, body = ProblemDocument, description = "No such workspace", content_type = "application/problem+json"),
    )
)]
pub async fn get_workspace(
    State(state): State<AppState>,
    caller: Caller,
    ApiPath(id): ApiPath<WorkspaceId>,
) -> Result<Json<Workspace>, Problem> {
    Ok(Json(state.workspaces.look(caller.tenant_id, id).await?.into()))
}

/// Changes its name, its quota, or the limit of its files.
#[utoipa::path(
    patch, path = "/api/v1/workspaces/{id}", operation_id = "changeWorkspace", tag = "workspaces", security(("bearer" = [])),
    params(("id" = uuid::Uuid, Path)), request_body = PatchWorkspace,
    responses(
        (status = 200, body = Workspace, description = "As it is now"),
        (status = 400, body = ProblemDocument, description = "The body is not JSON", content_type = "application/problem+json"),
        (status = 401, body = ProblemDocument, description = "No valid credential", content_type = "application/problem+json"),
        (status = 403, body = ProblemDocument, description = "Not allowed", content_type = "application/problem+json"),
        (status = 404, body = ProblemDocument, description = "No such workspace", content_type = "application/problem+json"),
        (status = 409, body = ProblemDocument, description = "The name is taken, or more is used than the quota would be", content_type = "application/problem+json"),
        (status = 422, body = ProblemDocument, description = "A field is not acceptable", content_type = "application/problem+json"),
    )
)]
pub async fn change_workspace(
    State(state): State<AppState>,
    caller: Caller,
    ApiPath(id): ApiPath<WorkspaceId>,
    ApiJson(patch): ApiJson<PatchWorkspace>,
) -> Result<Json<Workspace>, Problem> {
    let record = find_to_change(&state.workspaces, &caller, id).await?;
    let bad_name =
        |name: &String| name.trim().is_empty() || name.chars().count() > MAX_NAME_CHARS || name.chars().any(char::is_control);
    if patch.name.as_ref().is_some_and(bad_name) {
        return Err(Problem::invalid_field("/name", "must have 1 to 200 characters, none of them a control character"));
    }
    if patch.max_file_bytes == Some(Some(0)) {
        return Err(Problem::invalid_field("/max_file_bytes", "must be at least 1"));
    }
    if patch.quota_bytes.is_some_and(|quota| quota >= MIN_QUOTA_BYTES && quota < record.used_bytes) {
        let detail = format!("{} bytes are in use; remove files first.", record.used_bytes);
        return Err(Problem::conflict("quota_below_use", detail));
    }
    let change = ChangeWorkspace {
        tenant_id: caller.tenant_id,
        workspace_id: id,
        name: patch.name,
        quota_bytes: patch.quota_bytes,
        max_file_bytes: patch.max_file_bytes,
    };
    let changed = match ask(&state.workspaces, "change_workspace", &change).await? {
        ChangeWorkspaceReply::Changed(changed) => *changed,
        ChangeWorkspaceReply::NotFound => return Err(Problem::not_found()),
        ChangeWorkspaceReply::NameTaken => {
            return Err(Problem::conflict("name_taken", "Another workspace of the tenant has this name."));
        }
        ChangeWorkspaceReply::OverStorage { storage_bytes } => {
            let detail = format!("must be between {MIN_QUOTA_BYTES} and {storage_bytes}");
            return Err(Problem::invalid_field("/quota_bytes", detail));
        }
        ChangeWorkspaceReply::IsDefault => {
            return Err(Problem::conflict("is_default", "The tenant's own workspace keeps its name."));
        }
    };
    state.workspaces.changed(&changed, change.quota_bytes.is_some()).await;
    Ok(Json(WorkspaceRecord { used_bytes: record.used_bytes, ..changed }.into()))
}

/// Deletes a workspace with all its files. Not while an execution or a session that has not ended uses it.
#[utoipa::path(
    delete, path = "/api/v1/workspaces/{id}", operation_id = "deleteWorkspace", tag = "workspaces", security(("bearer" = [])),
    params(("id" = uuid::Uuid, Path)),
    responses(
        (status = 204, description = "Gone"),
        (status = 401, body = ProblemDocument, description = "No valid credential", content_type = "application/problem+json"),
        (status = 403, body = ProblemDocument, description = "Not allowed", content_type = "application/problem+json"),
        (status = 404, body = ProblemDocument, description = "No such workspace", content_type = "application/problem+json"),
        (status = 409, body = ProblemDocument, description = "It is in use, or the tenant's own", content_type = "application/problem+json"),
    )
)]
pub async fn delete_workspace(
    State(state): State<AppState>,
    caller: Caller,
    ApiPath(id): ApiPath<WorkspaceId>,
) -> Result<StatusCode, Problem> {
    find_to_change(&state.workspaces, &caller, id).await?;
    let deletion = DeleteWorkspace { tenant_id: caller.tenant_id, workspace_id: id };
    match ask(&state.workspaces, "delete_workspace", &deletion).await? {
        DeleteWorkspaceReply::Deleted => {}
        DeleteWorkspaceReply::NotFound => return Err(Problem::not_found()),
        DeleteWorkspaceReply::IsDefault => {
            return Err(Problem::conflict("is_default", "The tenant's own workspace cannot be deleted."));
        }
        DeleteWorkspaceReply::InUse => {
            return Err(Problem::conflict("in_use", "An execution or session that has not ended uses the workspace."));
        }
    }
    // It has gone for everybody; what stays of it for a while is found by the next look for such images.
    if let Err(error) = state.workspaces.remove(id).await {
        tracing::warn!(error = format!("{error:#}"), workspace = %id, "files of a deleted workspace stay for now");
    }
    Ok(StatusCode::NO_CONTENT)
}

/// The workspace, if the caller may change it: its own, or any for those who manage.
async fn find_to_change(workspaces: &Workspaces, caller: &Caller, id: WorkspaceId) -> Result<WorkspaceRecord, Problem> {
    let tenant: TenantId = caller.tenant_id;
    let record = workspaces.look(tenant, id).await?;
    if record.created_by != Some(caller.actor()) {
        caller.require(Permission::FilesManage)?;
    }
    Ok(record)
}

async fn ask<Q: serde::Serialize, A: serde::de::DeserializeOwned>(
    workspaces: &Workspaces,
    verb: &str,
    query: &Q,
) -> Result<A, Problem> {
    Ok(workspaces.bus().request(&subject::control("scheduler", verb), query, DEADLINE).await?)
}
