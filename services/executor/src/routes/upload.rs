//! PUT /workspaces/{id}/files/{path}: a file, as it comes, into its place once it is whole.

use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::body::BodyDataStream;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, StatusCode, header};
use bytes::Bytes;
use futures::StreamExt as _;
use kiln_events::WorkspaceRecord;
use kiln_http::auth::Caller;
use kiln_http::{Problem, ProblemDocument};
use nix::errno::Errno;
use tokio::sync::mpsc;

use super::{AppState, Named, blocking, full};
use crate::sandbox::{Upload, Workspace, blocks_of};
use crate::workspaces::{self, Entry, TreeError, WorkspacePath};

/// Pieces of a body between the network and the disk.
const WINDOW: usize = 8;
/// A client that is refused is heard out for so long and so much, since few clients read an answer while they send.
const HEARD_BYTES: u64 = 256 << 20;
const HEARD_FOR: Duration = Duration::from_secs(10);

/// Writes a file, in place of one that is there. Whoever reads sees the old one or the new one, whole.
#[utoipa::path(
    put, path = "/api/v1/workspaces/{id}/files/{*path}", operation_id = "putFile", tag = "workspaces", security(("bearer" = [])),
    params(("id" = uuid::Uuid, Path), ("path" = String, Path, description = "Relative and normal; directories are made")),
    request_body(content = String, content_type = "application/octet-stream", description = "The bytes, of any type"),
    responses(
        (status = 200, body = Entry, description = "It has taken the place of the old one"),
        (status = 201, body = Entry, description = "Made"),
        (status = 400, body = ProblemDocument, description = "The body broke off; nothing has changed", content_type = "application/problem+json"),
        (status = 401, body = ProblemDocument, description = "No valid credential", content_type = "application/problem+json"),
        (status = 403, body = ProblemDocument, description = "Not allowed", content_type = "application/problem+json"),
        (status = 404, body = ProblemDocument, description = "No such workspace", content_type = "application/problem+json"),
        (status = 409, body = ProblemDocument, description = "There is a directory of that name, or a part of the path is none", content_type = "application/problem+json"),
        (status = 413, body = ProblemDocument, description = "Over the workspace's limit of a file", content_type = "application/problem+json"),
        (status = 422, body = ProblemDocument, description = "The path is not relative and normal", content_type = "application/problem+json"),
        (status = 507, body = ProblemDocument, description = "Over the workspace's quota, or the tenant's storage", content_type = "application/problem+json"),
    )
)]
pub async fn put_file(
    State(state): State<AppState>,
    caller: Caller,
    named: Result<Named, Problem>,
    request: Request,
) -> Result<(StatusCode, Json<Entry>), Problem> {
    let (parts, body) = request.into_parts();
    let mut body = body.into_data_stream();
    let taken = async {
        let Named { workspace: id, path } = named?;
        let opened = state.workspaces.mount(caller.tenant_id, id).await?;
        let bound = Bound::of(&opened.record, &opened.workspace, &path).await?;
        bound.check(announced(&parts.headers).unwrap_or(0))?;
        let taken = take(&opened.workspace, &path, bound, &mut body).await;
        state.workspaces.report(caller.tenant_id, id, &opened.workspace).await;
        taken
    };
    match taken.await {
        Ok((true, entry)) => Ok((StatusCode::CREATED, Json(entry))),
        Ok((false, entry)) => Ok((StatusCode::OK, Json(entry))),
        Err(problem) => {
            hear_out(body).await;
            Err(problem)
        }
    }
}

fn announced(headers: &HeaderMap) -> Option<u64> {
    headers.get(header::CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}

/// How large the file may become.
#[derive(Debug, Clone, Copy)]
struct Bound {
    /// Of a single file, in bytes.
    largest: u64,
    /// By the quota and by what the tenant may store.
    room: u64,
    /// Of the workspace, in which it must fit once it is whole as well.
    quota: u64,
}

impl Bound {
    async fn of(record: &WorkspaceRecord, workspace: &Arc<Workspace>, path: &WorkspacePath) -> Result<Self, Problem> {
        let (workspace, path) = (Arc::clone(workspace), path.clone());
        let (space, replaced) = blocking(move || {
            let replaced = workspaces::open_file(&workspace, &path).map_or(0, |(_, metadata)| blocks_of(&metadata));
            Ok::<_, TreeError>((workspace.space()?, replaced))
        })
        .await?;
        let others = space.used_bytes.saturating_sub(replaced);
        let room = record.quota_bytes.min(record.room_bytes).saturating_sub(others);
        Ok(Self { largest: record.max_file_bytes.unwrap_or(u64::MAX), room, quota: record.quota_bytes })
    }

    fn check(self, bytes: u64) -> Result<(), Problem> {
        if bytes > self.largest {
            return Err(Problem::too_large(format!("A file of this workspace may have {} bytes.", self.largest)));
        }
        if bytes > self.room { Err(full()) } else { Ok(()) }
    }
}

/// Takes the body into a file that nobody sees, then puts that in place; true when there was none of that name.
async fn take(
    workspace: &Arc<Workspace>,
    path: &WorkspacePath,
    bound: Bound,
    body: &mut BodyDataStream,
) -> Result<(bool, Entry), Problem> {
    let upload = blocking({
        let workspace = Arc::clone(workspace);
        move || workspace.upload().map_err(TreeError::from)
    })
    .await?;
    let (pieces, receiver) = mpsc::channel(WINDOW);
    let writer = tokio::task::spawn_blocking(move || write(upload, receiver));
    let sent = send(body, bound, pieces).await;
    let written = writer.await.map_err(Problem::internal)?;
    let upload = written?;
    // The bound is told of before a body that broke off, and either leaves all as it was.
    sent?;
    let (workspace, path) = (Arc::clone(workspace), path.clone());
    blocking(move || {
        let committed = upload.commit(path.as_path(), bound.quota);
        let is_new = committed.map_err(|errno| if errno == Errno::EEXIST { TreeError::NotADirectory } else { errno.into() })?;
        Ok::<_, TreeError>((is_new, workspaces::find(&workspace, path.as_path())?))
    })
    .await
}

async fn send(body: &mut BodyDataStream, bound: Bound, pieces: mpsc::Sender<Bytes>) -> Result<(), Problem> {
    let mut count = 0;
    while let Some(piece) = body.next().await {
        let piece = piece.map_err(|_| Problem::bad_request("The body broke off; nothing has changed."))?;
        count += piece.len() as u64;
        bound.check(count)?;
        if pieces.send(piece).await.is_err() {
            // The writer says why.
            break;
        }
    }
    Ok(())
}

fn write(mut upload: Upload, mut pieces: mpsc::Receiver<Bytes>) -> Result<Upload, TreeError> {
    while let Some(piece) = pieces.blocking_recv() {
        upload.write(&piece)?;
    }
    Ok(upload)
}

/// Takes the rest of a refused body, within bounds, so that the refusal arrives.
async fn hear_out(mut body: BodyDataStream) {
    let hear = async {
        let mut heard = 0;
        while let Some(Ok(piece)) = body.next().await {
            heard += piece.len() as u64;
            if heard > HEARD_BYTES {
                return;
            }
        }
    };
    // After that the connection is cut.
    let _ = tokio::time::timeout(HEARD_FOR, hear).await;
}
