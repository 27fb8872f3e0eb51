//! GET /executions/{id}/attach: the story, and input, over a WebSocket.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use axum::extract::ws::{CloseFrame, Message, Utf8Bytes, WebSocket, WebSocketUpgrade, close_code};
use axum::http::HeaderMap;
use axum::response::Response;
use kiln_domain::ExecutionId;
use kiln_events::{ExecutionRecord, SendSignal, StopReply, subject};
use kiln_http::auth::{Caller, Permission, StreamCaller};
use kiln_http::{ApiPath, ApiQuery, Problem, ProblemDocument};
use serde::Deserialize;
use serde_json::{Value, json};

use super::AppState;
use super::events::{After, resume_point};
use crate::Results;
use crate::story::{Event, EventBody, Reader};
use crate::streams::StreamSlot;

/// Largest frame from the client: 1 MiB of input, as JSON at its widest.
const MAX_MESSAGE: usize = 8 << 20;
/// A client that takes nothing for so long is let go; it can resume.
const SEND_DEADLINE: Duration = Duration::from_mins(1);
/// How long a client may take to answer the close.
const CLOSE_DEADLINE: Duration = Duration::from_secs(2);
const PING_EVERY: Duration = Duration::from_secs(20);
const SIGNAL_DEADLINE: Duration = Duration::from_secs(2);

/// What a client may say.
#[derive(Debug, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case", deny_unknown_fields)]
enum Said {
    Stdin { data: String },
    Eof,
    Signal { signal: String },
}

/// The events as JSON text frames, and input the other way.
#[utoipa::path(
    get, path = "/api/v1/executions/{id}/attach", operation_id = "attach", tag = "executions", security(("bearer" = [])),
    params(("id" = uuid::Uuid, Path), After),
    responses(
        (status = 101, description = "A WebSocket"),
        (status = 400, body = ProblemDocument, description = "Not an upgrade, or an unknown event id", content_type = "application/problem+json"),
        (status = 401, body = ProblemDocument, description = "No valid credential", content_type = "application/problem+json"),
        (status = 403, body = ProblemDocument, description = "Not allowed", content_type = "application/problem+json"),
        (status = 404, body = ProblemDocument, description = "No such execution", content_type = "application/problem+json"),
        (status = 429, body = ProblemDocument, description = "Too many streams", content_type = "application/problem+json"),
    )
)]
pub async fn attach(
    State(AppState(results)): State<AppState>,
    StreamCaller(caller): StreamCaller,
    ApiPath(id): ApiPath<ExecutionId>,
    ApiQuery(query): ApiQuery<After>,
    headers: HeaderMap,
    upgrade: Result<WebSocketUpgrade, axum::extract::ws::rejection::WebSocketUpgradeRejection>,
) -> Result<Response, Problem> {
    let record = results.find(caller.tenant_id, id).await?.record;
    let after = resume_point(&headers, query.after.as_deref())?;
    let upgrade = upgrade.map_err(|_| Problem::bad_request("This address is a WebSocket; connect with an upgrade."))?;
    let slot = results.streams.take(caller.actor())?;
    let reader = Reader::open(Arc::clone(&results), caller.tenant_id, id, after).await?;
    let attached = Attached { results, caller, record, slot };
    Ok(upgrade.max_message_size(MAX_MESSAGE).on_upgrade(move |socket| attached.serve(socket, reader)))
}

struct Attached {
    results: Arc<Results>,
    caller: Caller,
    record: ExecutionRecord,
    #[expect(dead_code, reason = "held as long as the stream is open")]
    slot: StreamSlot,
}

impl Attached {
    async fn serve(self, mut socket: WebSocket, mut reader: Reader) {
        let revoked = self.results.verifier.revoked(&self.caller);
        tokio::pin!(revoked);
        let mut ping = tokio::time::interval(PING_EVERY);
        loop {
            tokio::select! {
                () = &mut revoked => return close(socket, close_code::POLICY, "the credential was revoked").await,
                events = reader.next() => match events {
                    Ok(Some(events)) => {
                        for event in events {
                            if send(&mut socket, Message::text(frame(event))).await.is_err() {
                                return;
                            }
                        }
                    }
                    Ok(None) => return close(socket, close_code::NORMAL, "the execution has ended").await,
                    Err(_) => return close(socket, close_code::RESTART, "resume after the last id").await,
                },
                said = socket.recv() => match said {
                    Some(Ok(Message::Text(text))) => {
                        if let Err(problem) = self.hear(&text).await {
                            let complaint = json!({ "type": "error", "id": null, "detail": problem.detail() });
                            if send(&mut socket, Message::text(complaint.to_string())).await.is_err() {
                                return;
                            }
                        }
                    }
                    Some(Ok(Message::Binary(_))) => return close(socket, close_code::UNSUPPORTED, "frames are JSON text").await,
                    Some(Ok(Message::Ping(_) | Message::Pong(_))) => {}
                    Some(Ok(Message::Close(_)) | Err(_)) | None => return,
                },
                _ = ping.tick() => if send(&mut socket, Message::Ping(bytes::Bytes::new())).await.is_err() { return },
            }
        }
    }

    async fn hear(&self, text: &str) -> Result<(), Problem> {
        let said: Said = serde_json::from_str(text).map_err(|_| {
            Problem::bad_request("Say {\"type\":\"stdin\",\"data\":…}, {\"type\":\"eof\"} or {\"type\":\"signal\",\"signal\":…}.")
        })?;
        self.caller.require(Permission::ExecutionsWrite)?;
        if self.record.created_by != self.caller.actor() {
            self.caller.require(Permission::ExecutionsManage)?;
        }
        match said {
            Said::Stdin { data } => self.results.write_stdin(&self.record, data, false).await,
            Said::Eof => self.results.write_stdin(&self.record, String::new(), true).await,
            Said::Signal { signal } => self.results.signal(&self.record, signal).await,
        }
    }
}

impl Results {
    /// Hands the signal to the executor that runs the program.
    async fn signal(&self, record: &ExecutionRecord, signal: String) -> Result<(), Problem> {
        let now = self.find(record.tenant_id, record.id).await?.record;
        let Some(executor) = now.executor_id.filter(|_| !now.status.is_terminal()) else {
            return Err(Problem::conflict("not_running", "The program does not run."));
        };
        let query = SendSignal { execution_id: record.id, signal };
        let reply: StopReply = self.bus.request(&subject::control(&executor, "signal"), &query, SIGNAL_DEADLINE).await?;
        if reply.known { Ok(()) } else { Err(Problem::conflict("not_running", "The program does not take that signal now.")) }
    }
}

/// `{"type", "id", …}` with the event's data.
fn frame(event: Event) -> Utf8Bytes {
    let id = event.id.to_string();
    match event.body {
        EventBody::Told { name, data } => {
            let mut object = if let Value::Object(object) = data { object } else { serde_json::Map::new() };
            object.insert("type".to_owned(), name.into());
            object.insert("id".to_owned(), id.into());
            Value::Object(object).to_string().into()
        }
        EventBody::End(document) => format!("{{\"type\":\"end\",\"id\":\"{id}\",\"execution\":{document}}}").into(),
    }
}

async fn send(socket: &mut WebSocket, message: Message) -> Result<(), ()> {
    match tokio::time::timeout(SEND_DEADLINE, socket.send(message)).await {
        Ok(Ok(())) => Ok(()),
        Ok(Err(_)) | Err(_) => Err(()),
    }
}

async fn close(mut socket: WebSocket, code: u16, reason: &'static str) {
    let frame = CloseFrame { code, reason: Utf8Bytes::from_static(reason) };
    if send(&mut socket, Message::Close(Some(frame))).await.is_err() {
        return; // the client has left
    }
    // The connection stays until the client has answered (RFC 6455, 7.1.1), or what it has not read yet could be lost.
    let answered = async { while let Some(Ok(_)) = socket.recv().await {} };
    if tokio::time::timeout(CLOSE_DEADLINE, answered).await.is_err() {
        tracing::debug!("a client did not answer the close of its stream");
    }
}
