//! GET /executions/{id}/stdout and /stderr: the exact bytes.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse as _, Response};
use bytes::{Bytes, BytesMut};
use futures::stream;
use kiln_domain::{ExecutionId, TenantId};
use kiln_http::auth::Caller;
use kiln_http::{ApiPath, Problem, ProblemDocument};

use super::AppState;
use crate::Results;
use crate::store::{self, Kind};

/// The bytes that the program wrote to standard output, so far.
#[utoipa::path(
    get, path = "/api/v1/executions/{id}/stdout", operation_id = "getStdout", tag = "executions", security(("bearer" = [])),
    params(("id" = uuid::Uuid, Path)),
    responses(
        (status = 200, content_type = "application/octet-stream", description = "The bytes"),
        (status = 401, body = ProblemDocument, description = "No valid credential", content_type = "application/problem+json"),
        (status = 403, body = ProblemDocument, description = "Not allowed", content_type = "application/problem+json"),
        (status = 404, body = ProblemDocument, description = "No such execution", content_type = "application/problem+json"),
    )
)]
pub async fn get_stdout(
    State(AppState(results)): State<AppState>,
    caller: Caller,
    ApiPath(id): ApiPath<ExecutionId>,
) -> Result<Response, Problem> {
    raw(results, caller, id, Kind::Stdout).await
}

/// The bytes that the program wrote to standard error, so far.
#[utoipa::path(
    get, path = "/api/v1/executions/{id}/stderr", operation_id = "getStderr", tag = "executions", security(("bearer" = [])),
    params(("id" = uuid::Uuid, Path)),
    responses(
        (status = 200, content_type = "application/octet-stream", description = "The bytes"),
        (status = 401, body = ProblemDocument, description = "No valid credential", content_type = "application/problem+json"),
        (status = 403, body = ProblemDocument, description = "Not allowed", content_type = "application/problem+json"),
        (status = 404, body = ProblemDocument, description = "No such execution", content_type = "application/problem+json"),
    )
)]
pub async fn get_stderr(
    State(AppState(results)): State<AppState>,
    caller: Caller,
    ApiPath(id): ApiPath<ExecutionId>,
) -> Result<Response, Problem> {
    raw(results, caller, id, Kind::Stderr).await
}

async fn raw(results: Arc<Results>, caller: Caller, id: ExecutionId, kind: Kind) -> Result<Response, Problem> {
    let tenant = caller.tenant_id;
    let attempt = results.find(tenant, id).await?.progress.map(|progress| progress.attempt);
    // A page of frames at a time, whatever the size of the whole.
    let pages = stream::try_unfold(attempt.map(|attempt| (attempt, 0)), move |at| {
        let results = Arc::clone(&results);
        async move {
            let Some((attempt, after)) = at else { return Ok(None) };
            let (page, next) = results.page(tenant, id, attempt, after, kind).await?;
            Ok::<_, std::io::Error>(Some((page, next.map(|after| (attempt, after)))))
        }
    });
    let mut response = Body::from_stream(pages).into_response();
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/octet-stream"));
    Ok(response)
}

impl Results {
    /// The bytes of one page, and the frame after which the next begins, if there may be more.
    async fn page(
        &self,
        tenant: TenantId,
        execution: ExecutionId,
        attempt: i32,
        after: i32,
        kind: Kind,
    ) -> std::io::Result<(Bytes, Option<i32>)> {
        let mut tx = self.database.tenant(tenant).await.map_err(std::io::Error::other)?;
        let frames = store::frames(&mut tx, execution, attempt, after).await.map_err(std::io::Error::other)?;
        tx.commit().await.map_err(std::io::Error::other)?;
        let next = frames.last().filter(|_| frames.len() == store::PAGE).map(|frame| frame.seq);
        let mut bytes = BytesMut::new();
        for frame in frames.iter().filter(|frame| frame.kind == kind) {
            bytes.extend_from_slice(&frame.body);
        }
        Ok((bytes.freeze(), next))
    }
}
