//! PUT, PATCH and DELETE /notebooks/{id}.

#![expect(clippy::option_option, reason = "in a change a null and a field that is not there differ")]

use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use kiln_http::auth::Caller;
use kiln_http::{ApiJson, ApiPath, FieldError, Problem, ProblemDocument};
use serde::Deserialize;
use serde_json::value::RawValue;
use utoipa::ToSchema;
use uuid::Uuid;

use super::Notebook;
use crate::library::{Change, Content, IfMatch, Kind, name_fault};
use crate::notebook::{Ids, Source};
use crate::routes::AppState;
use crate::routes::library::{LargeBody, blocking, given, told, workspace_id};

/// The notebook as it is to be. What is left out stays, but for the content.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PutNotebook {
    /// That of the path, if it is given.
    id: Option<Uuid>,
    #[schema(min_length = 1, max_length = 200)]
    name: Option<String>,
    /// nbformat 4.5; older ones become that.
    #[schema(value_type = Object)]
    content: Box<RawValue>,
    runtime: Option<String>,
    /// Null for none.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<uuid::Uuid>)]
    workspace_id: Option<Option<String>>,
}

/// What to change; what is left out stays.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PatchNotebook {
    #[schema(min_length = 1, max_length = 200)]
    name: Option<String>,
    runtime: Option<String>,
    /// Null for none.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<uuid::Uuid>)]
    workspace_id: Option<Option<String>>,
}

/// Replaces the notebook. `If-Match` must name its present ETag, so that nobody's change is lost.
#[utoipa::path(
    put, path = "/api/v1/notebooks/{id}", operation_id = "putNotebook", tag = "notebooks", security(("bearer" = [])),
    params(("id" = uuid::Uuid, Path), ("If-Match" = String, Header, description = "The ETag of the notebook as it was read")),
    request_body = PutNotebook,
    responses(
        (status = 200, description = "As it is now; `ETag` is its new revision", body = Notebook),
        (status = 400, description = "The body is not JSON", body = ProblemDocument, content_type = "application/problem+json"),
        (status = 401, description = "No valid credential", body = ProblemDocument, content_type = "application/problem+json"),
        (status = 403, description = "Not allowed", body = ProblemDocument, content_type = "application/problem+json"),
        (status = 404, description = "No such notebook", body = ProblemDocument, content_type = "application/problem+json"),
        (status = 412, description = "It was changed since; `ETag` is its present revision", body = ProblemDocument, content_type = "application/problem+json"),
        (status = 413, description = "Too large", body = ProblemDocument, content_type = "application/problem+json"),
        (status = 415, description = "Not JSON", body = ProblemDocument, content_type = "application/problem+json"),
        (status = 422, description = "A field is not acceptable; `errors` names each cell that is not, and why", body = ProblemDocument, content_type = "application/problem+json"),
        (status = 428, description = "`If-Match` is missing", body = ProblemDocument, content_type = "application/problem+json"),
        (status = 507, description = "All notebooks and scripts have as much as they may", body = ProblemDocument, content_type = "application/problem+json"),
    )
)]
pub async fn put_notebook(
    State(AppState(results)): State<AppState>,
    caller: Caller,
    ApiPath(id): ApiPath<Uuid>,
    if_match: IfMatch,
    body: LargeBody,
) -> Result<Response, Problem> {
    let if_match = if_match.required()?;
    let put: PutNotebook = body.body.json()?;
    if put.id.is_some_and(|own| own != id) {
        return Err(Problem::invalid_field("/id", "is not that of the path"));
    }
    let patch = PatchNotebook { name: put.name, runtime: put.runtime, workspace_id: put.workspace_id };
    let patch = patch.checked()?;
    let json = put.content;
    let accepting = Arc::clone(&results);
    let content = blocking(move || accepting.accepted(&json, Source { pointer: "/content", ids: Ids::Unique })).await?;
    results.check_place(&caller, Kind::Notebook, patch.runtime.as_deref(), patch.workspace_id.flatten()).await?;
    let mut change = results.change(caller.tenant_id, Kind::Notebook, id).await?;
    if_match.check(change.entry.revision)?;
    patch.apply(&mut change);
    let saved = Content { bytes: &content, cause: "saved", in_place: false };
    let entry = change.save(&results, caller.actor(), Some(saved)).await?;
    Ok(told(&entry.clone(), Notebook::new(entry, content)?))
}

/// Renames the notebook, or changes where it runs. Its content stays.
#[utoipa::path(
    patch, path = "/api/v1/notebooks/{id}", operation_id = "changeNotebook", tag = "notebooks", security(("bearer" = [])),
    params(("id" = uuid::Uuid, Path), ("If-Match" = Option<String>, Header, description = "Only if this is its present ETag")),
    request_body = PatchNotebook,
    responses(
        (status = 200, description = "As it is now; `ETag` is its new revision", body = Notebook),
        (status = 400, description = "The body is not JSON", body = ProblemDocument, content_type = "application/problem+json"),
        (status = 401, description = "No valid credential", body = ProblemDocument, content_type = "application/problem+json"),
        (status = 403, description = "Not allowed", body = ProblemDocument, content_type = "application/problem+json"),
        (status = 404, description = "No such notebook", body = ProblemDocument, content_type = "application/problem+json"),
        (status = 412, description = "It was changed since; `ETag` is its present revision", body = ProblemDocument, content_type = "application/problem+json"),
        (status = 415, description = "Not JSON", body = ProblemDocument, content_type = "application/problem+json"),
        (status = 422, description = "A field is not acceptable", body = ProblemDocument, content_type = "application/problem+json"),
    )
)]
pub async fn change_notebook(
    State(AppState(results)): State<AppState>,
    caller: Caller,
    ApiPath(id): ApiPath<Uuid>,
    if_match: IfMatch,
    ApiJson(patch): ApiJson<PatchNotebook>,
) -> Result<Response, Problem> {
    let patch = patch.checked()?;
    results.check_place(&caller, Kind::Notebook, patch.runtime.as_deref(), patch.workspace_id.flatten()).await?;
    let mut change = results.change(caller.tenant_id, Kind::Notebook, id).await?;
    if_match.check(change.entry.revision)?;
    patch.apply(&mut change);
    let content = change.content().await?;
    let entry = change.save(&results, caller.actor(), None).await?;
    Ok(told(&entry.clone(), Notebook::new(entry, content)?))
}

/// Removes the notebook with all its versions. What it ran stays.
#[utoipa::path(
    delete, path = "/api/v1/notebooks/{id}", operation_id = "deleteNotebook", tag = "notebooks", security(("bearer" = [])),
    params(("id" = uuid::Uuid, Path)),
    responses(
        (status = 204, description = "Gone"),
        (status = 401, description = "No valid credential", body = ProblemDocument, content_type = "application/problem+json"),
        (status = 403, description = "Not allowed", body = ProblemDocument, content_type = "application/problem+json"),
        (status = 404, description = "No such notebook", body = ProblemDocument, content_type = "application/problem+json"),
        (status = 409, description = "It runs", body = ProblemDocument, content_type = "application/problem+json"),
    )
)]
pub async fn delete_notebook(
    State(AppState(results)): State<AppState>,
    caller: Caller,
    ApiPath(id): ApiPath<Uuid>,
) -> Result<StatusCode, Problem> {
    results.delete_entry(&caller, Kind::Notebook, id).await
}

/// Fields that are acceptable, and which of them are given.
struct Patch {
    name: Option<String>,
    runtime: Option<String>,
    workspace_id: Option<Option<Uuid>>,
}

impl PatchNotebook {
    fn checked(self) -> Result<Patch, Problem> {
        let mut faults = Vec::new();
        faults.extend(self.name.as_deref().and_then(name_fault).map(|detail| FieldError::new("/name", detail)));
        let workspace_id = self.workspace_id.map(|id| workspace_id(id.as_deref())).transpose();
        match workspace_id {
            Ok(workspace_id) if faults.is_empty() => Ok(Patch { name: self.name, runtime: self.runtime, workspace_id }),
            Ok(_) => Err(Problem::invalid(faults)),
            Err(fault) => {
                faults.push(fault);
                Err(Problem::invalid(faults))
            }
        }
    }
}

impl Patch {
    fn apply(self, change: &mut Change) {
        let entry = &mut change.entry;
        if let Some(name) = self.name {
            entry.name = name;
        }
        if let Some(runtime) = self.runtime {
            entry.runtime = runtime;
        }
        if let Some(workspace_id) = self.workspace_id {
            entry.workspace_id = workspace_id;
        }
    }
}
