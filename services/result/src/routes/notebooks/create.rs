//! POST /notebooks and POST /notebooks/import.

use std::sync::Arc;

use axum::extract::{RawQuery, State};
use axum::response::Response;
use kiln_http::auth::Caller;
use kiln_http::{ApiQuery, FieldError, Idempotency, Problem, ProblemDocument};
use serde::Deserialize;
use serde_json::value::RawValue;
use utoipa::{IntoParams, ToSchema};

use super::{Notebook, created};
use crate::library::{Kind, name_fault};
use crate::notebook::{self, Ids, Source};
use crate::routes::AppState;
use crate::routes::library::{DEFAULT_RUNTIME, Draft, LargeBody, blocking, workspace_id};

const CREATE_ROUTE: &str = "POST /api/v1/notebooks";
const IMPORT_ROUTE: &str = "POST /api/v1/notebooks/import";

/// What to make.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CreateNotebook {
    #[schema(min_length = 1, max_length = 200)]
    name: String,
    /// nbformat 4.5; older ones become that. Empty unless given.
    #[schema(value_type = Option<Object>)]
    content: Option<Box<RawValue>>,
    /// Id or alias of a Python runtime; `python`, the newest, unless said.
    runtime: Option<String>,
    #[schema(value_type = Option<uuid::Uuid>)]
    workspace_id: Option<String>,
}

#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct ImportQuery {
    /// Its title, or `Imported`, unless given.
    name: Option<String>,
    runtime: Option<String>,
    workspace_id: Option<String>,
}

/// Makes a notebook.
#[utoipa::path(
    post, path = "/api/v1/notebooks", operation_id = "createNotebook", tag = "notebooks", request_body = CreateNotebook,
    params(("Idempotency-Key" = Option<String>, Header, description = "Repeats with the same key and body get the first answer")),
    security(("bearer" = [])),
    responses(
        (status = 201, description = "Made; `Location` names it, `ETag` is its revision", body = Notebook),
        (status = 400, description = "The body is not JSON", body = ProblemDocument, content_type = "application/problem+json"),
        (status = 401, description = "No valid credential", body = ProblemDocument, content_type = "application/problem+json"),
        (status = 403, description = "Not allowed", body = ProblemDocument, content_type = "application/problem+json"),
        (status = 409, description = "The first request with this key is still running", body = ProblemDocument, content_type = "application/problem+json"),
        (status = 413, description = "Too large", body = ProblemDocument, content_type = "application/problem+json"),
        (status = 415, description = "Not JSON", body = ProblemDocument, content_type = "application/problem+json"),
        (status = 422, description = "A field is not acceptable; `errors` names each cell that is not, and why", body = ProblemDocument, content_type = "application/problem+json"),
        (status = 429, description = "There are as many as there may be", body = ProblemDocument, content_type = "application/problem+json"),
        (status = 507, description = "All notebooks and scripts have as much as they may", body = ProblemDocument, content_type = "application/problem+json"),
    )
)]
pub async fn create_notebook(
    State(state): State<AppState>,
    caller: Caller,
    idempotency: Idempotency,
    body: LargeBody,
) -> Result<Response, Problem> {
    let asked: CreateNotebook = body.body.json()?;
    let workspace = workspace_id(asked.workspace_id.as_deref());
    let mut faults: Vec<_> = name_fault(&asked.name).map(|detail| FieldError::new("/name", detail)).into_iter().collect();
    faults.extend(workspace.as_ref().err().cloned());
    let results = Arc::clone(&state.0);
    let content = asked.content;
    let content = blocking(move || match content {
        Some(json) => results.accepted(&json, Source { pointer: "/content", ids: Ids::Unique }),
        None => results.bounded(&notebook::Notebook::empty()),
    });
    let draft = Draft {
        kind: Kind::Notebook,
        name: asked.name,
        description: String::new(),
        runtime: asked.runtime.unwrap_or_else(|| DEFAULT_RUNTIME.to_owned()),
        workspace_id: workspace.unwrap_or_default(),
        content: if faults.is_empty() { content.await? } else { return Err(Problem::invalid(faults)) },
        cause: "created",
    };
    state.0.make(caller, (CREATE_ROUTE, String::new(), idempotency), body, draft, created).await
}

/// Makes a notebook of an `.ipynb` file, of whatever version of nbformat.
#[utoipa::path(
    post, path = "/api/v1/notebooks/import", operation_id = "importNotebook", tag = "notebooks", request_body = Object,
    params(ImportQuery, ("Idempotency-Key" = Option<String>, Header, description = "Repeats with the same key and body get the first answer")),
    security(("bearer" = [])),
    responses(
        (status = 201, description = "Made; `Location` names it, `ETag` is its revision", body = Notebook),
        (status = 400, description = "The body is not JSON", body = ProblemDocument, content_type = "application/problem+json"),
        (status = 401, description = "No valid credential", body = ProblemDocument, content_type = "application/problem+json"),
        (status = 403, description = "Not allowed", body = ProblemDocument, content_type = "application/problem+json"),
        (status = 409, description = "The first request with this key is still running", body = ProblemDocument, content_type = "application/problem+json"),
        (status = 413, description = "Too large", body = ProblemDocument, content_type = "application/problem+json"),
        (status = 415, description = "Not JSON", body = ProblemDocument, content_type = "application/problem+json"),
        (status = 422, description = "It is no notebook; `errors` says where and why", body = ProblemDocument, content_type = "application/problem+json"),
        (status = 429, description = "There are as many as there may be", body = ProblemDocument, content_type = "application/problem+json"),
        (status = 507, description = "All notebooks and scripts have as much as they may", body = ProblemDocument, content_type = "application/problem+json"),
    )
)]
pub async fn import_notebook(
    State(state): State<AppState>,
    caller: Caller,
    idempotency: Idempotency,
    ApiQuery(query): ApiQuery<ImportQuery>,
    RawQuery(raw_query): RawQuery,
    body: LargeBody,
) -> Result<Response, Problem> {
    let json: Box<RawValue> = body.body.json()?;
    let title = title(&json);
    let named = query.name.is_some();
    let name = query.name.or(title).unwrap_or_else(|| "Imported".to_owned());
    if let Some(detail) = name_fault(&name).filter(|_| named) {
        return Err(Problem::invalid_field("name", detail));
    }
    let workspace = workspace_id(query.workspace_id.as_deref()).map_err(|error| Problem::invalid(vec![error]))?;
    let results = Arc::clone(&state.0);
    let content = blocking(move || results.accepted(&json, Source { pointer: "", ids: Ids::Mended })).await?;
    let draft = Draft {
        kind: Kind::Notebook,
        name,
        description: String::new(),
        runtime: query.runtime.unwrap_or_else(|| DEFAULT_RUNTIME.to_owned()),
        workspace_id: workspace,
        content,
        cause: "imported",
    };
    state.0.make(caller, (IMPORT_ROUTE, raw_query.unwrap_or_default(), idempotency), body, draft, created).await
}

/// The title that the notebook gives itself, if it can be a name.
fn title(json: &RawValue) -> Option<String> {
    #[derive(Deserialize)]
    struct Titled {
        metadata: Metadata,
    }
    #[derive(Deserialize)]
    struct Metadata {
        title: String,
    }
    let title = serde_json::from_str::<Titled>(json.get()).ok()?.metadata.title;
    name_fault(&title).is_none().then_some(title)
}
