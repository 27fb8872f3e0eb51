//! GET /executions/{id}/events: the story as server-sent events.

use std::convert::Infallible;
use std::time::Duration;

use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::Sse;
use axum::response::sse::{Event as SseEvent, KeepAlive};
use futures::{Stream, StreamExt as _, stream};
use kiln_domain::ExecutionId;
use kiln_http::auth::StreamCaller;
use kiln_http::{ApiPath, ApiQuery, Problem, ProblemDocument};
use serde::Deserialize;
use utoipa::IntoParams;

use super::AppState;
use crate::story::{Event, EventBody, EventId, Reader};

/// A comment is sent on a quiet stream this often, so that proxies keep it open.
const KEEP_ALIVE: Duration = Duration::from_secs(15);

#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct After {
    /// Resume after the event with this id; the `Last-Event-ID` header wins.
    pub after: Option<String>,
    /// Single-use ticket, for clients that cannot set headers.
    #[allow(dead_code, reason = "read by the StreamCaller")]
    pub ticket: Option<String>,
}

/// Status, output and end as they happen; from the beginning, or after an event.
///
/// It ends early once the credential that it was opened with is revoked; one that has only expired leaves it open.
#[utoipa::path(
    get, path = "/api/v1/executions/{id}/events", operation_id = "streamEvents", tag = "executions", security(("bearer" = [])),
    params(("id" = uuid::Uuid, Path), After, ("Last-Event-ID" = Option<String>, Header, description = "Resume after this event")),
    responses(
        (status = 200, content_type = "text/event-stream", body = String, description = "Events `status`, `stdout`, `stderr`, `display`, and `end`, after which the server closes"),
        (status = 400, body = ProblemDocument, description = "Unknown event id", content_type = "application/problem+json"),
        (status = 401, body = ProblemDocument, description = "No valid credential", content_type = "application/problem+json"),
        (status = 403, body = ProblemDocument, description = "Not allowed", content_type = "application/problem+json"),
        (status = 404, body = ProblemDocument, description = "No such execution", content_type = "application/problem+json"),
        (status = 429, body = ProblemDocument, description = "Too many streams", content_type = "application/problem+json"),
    )
)]
pub async fn stream_events(
    State(AppState(results)): State<AppState>,
    StreamCaller(caller): StreamCaller,
    ApiPath(id): ApiPath<ExecutionId>,
    ApiQuery(query): ApiQuery<After>,
    headers: HeaderMap,
) -> Result<Sse<impl Stream<Item = Result<SseEvent, Infallible>>>, Problem> {
    results.must_exist(caller.tenant_id, id).await?;
    let after = resume_point(&headers, query.after.as_deref())?;
    let slot = results.streams.take(caller.actor())?;
    let verifier = results.verifier.clone();
    let reader = Reader::open(results, caller.tenant_id, id, after).await?;
    let events = stream::unfold((reader, slot, verifier, caller), |(mut reader, slot, verifier, caller)| async move {
        let next = tokio::select! {
            next = reader.next() => next,
            () = verifier.revoked(&caller) => return None,
        };
        match next {
            Ok(Some(events)) => Some((events, (reader, slot, verifier, caller))),
            Ok(None) => None,
            Err(problem) => {
                // The connection ends without `end`: the client resumes after its last event.
                tracing::warn!(?problem, "a stream was cut");
                None
            }
        }
    });
    let events = events.flat_map(|events| stream::iter(events.into_iter().map(|event| Ok(sse(event)))));
    Ok(Sse::new(events).keep_alive(KeepAlive::new().interval(KEEP_ALIVE)))
}

/// The header wins over the query.
pub fn resume_point(headers: &HeaderMap, after: Option<&str>) -> Result<Option<EventId>, Problem> {
    let header = match headers.get("last-event-id") {
        Some(value) => Some(value.to_str().map_err(|_| Problem::bad_request("Last-Event-ID is not text."))?),
        None => None,
    };
    header.or(after).filter(|text| !text.is_empty()).map(str::parse).transpose()
}

fn sse(event: Event) -> SseEvent {
    let id = event.id.to_string();
    match event.body {
        EventBody::Told { name, data } => SseEvent::default().id(id).event(name).data(data.to_string()),
        EventBody::End(document) => SseEvent::default().id(id).event("end").data(&*document),
    }
}
