//! POST /scripts; PUT, PATCH and DELETE of one.

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use kiln_http::auth::Caller;
use kiln_http::{ApiJson, ApiPath, Idempotency, Problem, ProblemDocument};
use serde::Deserialize;
use utoipa::ToSchema;
use uuid::Uuid;

use super::{Script, created, faults};
use crate::Results;
use crate::library::{Content, Entry, IfMatch, Kind};
use crate::routes::AppState;
use crate::routes::library::{DEFAULT_RUNTIME, Draft, LargeBody, told};

const ROUTE: &str = "POST /api/v1/scripts";

/// What to make.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CreateScript {
    #[schema(min_length = 1, max_length = 200)]
    name: String,
    #[serde(default)]
    #[schema(max_length = 10_000)]
    description: String,
    /// Id or alias; `python`, the newest, unless said.
    runtime: Option<String>,
    #[serde(default)]
    #[schema(max_length = 1_000_000)]
    code: String,
}

/// The script as it is to be. What is left out stays, but for the code.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PutScript {
    /// That of the path, if it is given.
    id: Option<Uuid>,
    #[schema(min_length = 1, max_length = 200)]
    name: Option<String>,
    #[schema(max_length = 10_000)]
    description: Option<String>,
    runtime: Option<String>,
    #[schema(max_length = 1_000_000)]
    code: String,
}

/// What to change; what is left out stays.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PatchScript {
    #[schema(min_length = 1, max_length = 200)]
    name: Option<String>,
    #[schema(max_length = 10_000)]
    description: Option<String>,
    runtime: Option<String>,
}

/// Makes a script.
#[utoipa::path(
    post, path = "/api/v1/scripts", operation_id = "createScript", tag = "scripts", request_body = CreateScript,
    params(("Idempotency-Key" = Option<String>, Header, description = "Repeats with the same key and body get the first answer")),
    security(("bearer" = [])),
    responses(
        (status = 201, description = "Made; `Location` names it, `ETag` is its revision", body = Script),
        (status = 400, description = "The body is not JSON", body = ProblemDocument, content_type = "application/problem+json"),
        (status = 401, description = "No valid credential", body = ProblemDocument, content_type = "application/problem+json"),
        (status = 403, description = "Not allowed", body = ProblemDocument, content_type = "application/problem+json"),
        (status = 409, description = "The first request with this key is still running", body = ProblemDocument, content_type = "application/problem+json"),
        (status = 413, description = "Too large", body = ProblemDocument, content_type = "application/problem+json"),
        (status = 415, description = "Not JSON", body = ProblemDocument, content_type = "application/problem+json"),
        (status = 422, description = "A field is not acceptable", body = ProblemDocument, content_type = "application/problem+json"),
        (status = 429, description = "There are as many as there may be", body = ProblemDocument, content_type = "application/problem+json"),
        (status = 507, description = "All notebooks and scripts have as much as they may", body = ProblemDocument, content_type = "application/problem+json"),
    )
)]
pub async fn create_script(
    State(AppState(results)): State<AppState>,
    caller: Caller,
    idempotency: Idempotency,
    body: LargeBody,
) -> Result<Response, Problem> {
    let asked: CreateScript = body.body.json()?;
    let faults = faults(Some(&asked.name), Some(&asked.description), Some(&asked.code));
    if !faults.is_empty() {
        return Err(Problem::invalid(faults));
    }
    let draft = Draft {
        kind: Kind::Script,
        name: asked.name,
        description: asked.description,
        runtime: asked.runtime.unwrap_or_else(|| DEFAULT_RUNTIME.to_owned()),
        workspace_id: None,
        content: asked.code.into_bytes(),
        cause: "created",
    };
    results.make(caller, (ROUTE, String::new(), idempotency), body, draft, created).await
}

/// Replaces the script. `If-Match` must name its present ETag, so that nobody's change is lost.
#[utoipa::path(
    put, path = "/api/v1/scripts/{id}", operation_id = "putScript", tag = "scripts", security(("bearer" = [])),
    params(("id" = uuid::Uuid, Path), ("If-Match" = String, Header, description = "The ETag of the script as it was read")),
    request_body = PutScript,
    responses(
        (status = 200, description = "As it is now; `ETag` is its new revision", body = Script),
        (status = 400, description = "The body is not JSON", body = ProblemDocument, content_type = "application/problem+json"),
        (status = 401, description = "No valid credential", body = ProblemDocument, content_type = "application/problem+json"),
        (status = 403, description = "Not allowed", body = ProblemDocument, content_type = "application/problem+json"),
        (status = 404, description = "No such script", body = ProblemDocument, content_type = "application/problem+json"),
        (status = 412, description = "It was changed since; `ETag` is its present revision", body = ProblemDocument, content_type = "application/problem+json"),
        (status = 415, description = "Not JSON", body = ProblemDocument, content_type = "application/problem+json"),
        (status = 422, description = "A field is not acceptable", body = ProblemDocument, content_type = "application/problem+json"),
        (status = 428, description = "`If-Match` is missing", body = ProblemDocument, content_type = "application/problem+json"),
        (status = 507, description = "All notebooks and scripts have as much as they may", body = ProblemDocument, content_type = "application/problem+json"),
    )
)]
pub async fn put_script(
    State(AppState(results)): State<AppState>,
    caller: Caller,
    ApiPath(id): ApiPath<Uuid>,
    if_match: IfMatch,
    body: LargeBody,
) -> Result<Response, Problem> {
    let if_match = if_match.required()?;
    let put: PutScript = body.body.json()?;
    if put.id.is_some_and(|own| own != id) {
        return Err(Problem::invalid_field("/id", "is not that of the path"));
    }
    let patch = PatchScript { name: put.name, description: put.description, runtime: put.runtime };
    let (entry, code) = results.save_script(&caller, id, &if_match, patch, Some(&put.code)).await?;
    Ok(told(&entry.clone(), Script::new(entry, code)?))
}

/// Renames the script, or changes its description or runtime. Its code stays.
#[utoipa::path(
    patch, path = "/api/v1/scripts/{id}", operation_id = "changeScript", tag = "scripts", security(("bearer" = [])),
    params(("id" = uuid::Uuid, Path), ("If-Match" = Option<String>, Header, description = "Only if this is its present ETag")),
    request_body = PatchScript,
    responses(
        (status = 200, description = "As it is now; `ETag` is its new revision", body = Script),
        (status = 400, description = "The body is not JSON", body = ProblemDocument, content_type = "application/problem+json"),
        (status = 401, description = "No valid credential", body = ProblemDocument, content_type = "application/problem+json"),
        (status = 403, description = "Not allowed", body = ProblemDocument, content_type = "application/problem+json"),
        (status = 404, description = "No such script", body = ProblemDocument, content_type = "application/problem+json"),
        (status = 412, description = "It was changed since; `ETag` is its present revision", body = ProblemDocument, content_type = "application/problem+json"),
        (status = 415, description = "Not JSON", body = ProblemDocument, content_type = "application/problem+json"),
        (status = 422, description = "A field is not acceptable", body = ProblemDocument, content_type = "application/problem+json"),
    )
)]
pub async fn change_script(
    State(AppState(results)): State<AppState>,
    caller: Caller,
    ApiPath(id): ApiPath<Uuid>,
    if_match: IfMatch,
    ApiJson(patch): ApiJson<PatchScript>,
) -> Result<Response, Problem> {
    let (entry, code) = results.save_script(&caller, id, &if_match, patch, None).await?;
    Ok(told(&entry.clone(), Script::new(entry, code)?))
}

/// Removes the script with all its versions.
#[utoipa::path(
    delete, path = "/api/v1/scripts/{id}", operation_id = "deleteScript", tag = "scripts", security(("bearer" = [])),
    params(("id" = uuid::Uuid, Path)),
    responses(
        (status = 204, description = "Gone"),
        (status = 401, description = "No valid credential", body = ProblemDocument, content_type = "application/problem+json"),
        (status = 403, description = "Not allowed", body = ProblemDocument, content_type = "application/problem+json"),
        (status = 404, description = "No such script", body = ProblemDocument, content_type = "application/problem+json"),
    )
)]
pub async fn delete_script(
    State(AppState(results)): State<AppState>,
    caller: Caller,
    ApiPath(id): ApiPath<Uuid>,
) -> Result<StatusCode, Problem> {
    results.delete_entry(&caller, Kind::Script, id).await
}

impl Results {
    /// Writes what is given; the script as it then is, with its code.
    async fn save_script(
        &self,
        caller: &Caller,
        id: Uuid,
        if_match: &IfMatch,
        patch: PatchScript,
        code: Option<&str>,
    ) -> Result<(Entry, Vec<u8>), Problem> {
        let faults = faults(patch.name.as_deref(), patch.description.as_deref(), code);
        if !faults.is_empty() {
            return Err(Problem::invalid(faults));
        }
        self.check_place(caller, Kind::Script, patch.runtime.as_deref(), None).await?;
        let mut change = self.change(caller.tenant_id, Kind::Script, id).await?;
        if_match.check(change.entry.revision)?;
        let content = match code {
            Some(code) => code.as_bytes().to_vec(),
            None => change.content().await?,
        };
        let entry = &mut change.entry;
        entry.name = patch.name.unwrap_or_else(|| entry.name.clone());
        entry.description = patch.description.unwrap_or_else(|| entry.description.clone());
        entry.runtime = patch.runtime.unwrap_or_else(|| entry.runtime.clone());
        let saved = code.map(|code| Content { bytes: code.as_bytes(), cause: "saved", in_place: false });
        Ok((change.save(self, caller.actor(), saved).await?, content))
    }
}
