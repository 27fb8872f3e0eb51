//! GET /executions/{id}/files/{path}: a file that the run left.

use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse as _, Response};
use kiln_bus::ObjectError;
use kiln_domain::ExecutionId;
use kiln_events::subject;
use kiln_http::auth::Caller;
use kiln_http::{ApiPath, Problem, ProblemDocument, attachment};
use tokio_util::io::ReaderStream;

use super::AppState;

/// One file of those listed in `files`.
#[utoipa::path(
    get, path = "/api/v1/executions/{id}/files/{*path}", operation_id = "getExecutionFile", tag = "executions", security(("bearer" = [])),
    params(("id" = uuid::Uuid, Path), ("path" = String, Path, description = "As listed in `files`")),
    responses(
        (status = 200, content_type = "application/octet-stream", description = "The bytes, as an attachment"),
        (status = 401, body = ProblemDocument, description = "No valid credential", content_type = "application/problem+json"),
        (status = 403, body = ProblemDocument, description = "Not allowed", content_type = "application/problem+json"),
        (status = 404, body = ProblemDocument, description = "No such execution or file", content_type = "application/problem+json"),
    )
)]
pub async fn get_file(
    State(AppState(results)): State<AppState>,
    caller: Caller,
    ApiPath((id, path)): ApiPath<(ExecutionId, String)>,
) -> Result<Response, Problem> {
    let record = results.find(caller.tenant_id, id).await?.record;
    let files = record.ended.map(|ended| ended.files).unwrap_or_default();
    let index = files.iter().position(|file| file.path == path).ok_or_else(Problem::not_found)?;
    let (size, reader) = match results.bus.get_object(&subject::file_object(id, record.attempt, index)).await {
        Ok(found) => found,
        Err(ObjectError::Missing(name)) => return Err(Problem::internal(format!("no object {name}"))),
        Err(error @ ObjectError::Store(_)) => {
            tracing::warn!(%error, "object store is not reachable");
            return Err(Problem::unavailable("The file cannot be read now; try again."));
        }
    };
    let mut response = Body::from_stream(ReaderStream::new(reader)).into_response();
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/octet-stream"));
    headers.insert(header::CONTENT_LENGTH, HeaderValue::from(size));
    headers.insert(header::CONTENT_DISPOSITION, attachment(&path)?);
    Ok(response)
}
