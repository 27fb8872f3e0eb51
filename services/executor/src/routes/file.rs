//! GET and DELETE /workspaces/{id}/files/{path}.

use std::fs::{File, Metadata};
use std::io::Seek as _;
use std::os::unix::fs::MetadataExt as _;
use std::sync::Arc;

use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use bytes::{Bytes, BytesMut};
use kiln_http::auth::Caller;
use kiln_http::{ApiQuery, Problem, ProblemDocument, attachment};
use serde::Deserialize;
use tokio::sync::mpsc;
use utoipa::IntoParams;

use super::{AppState, Named, blocking};
use crate::sandbox::Workspace;
use crate::workspaces;

/// Read at once, and pieces between the disk and the network.
const PIECE_BYTES: usize = 256 * 1024;
const WINDOW: usize = 4;

/// A file's bytes. `Range`, `If-Range` and `If-None-Match` are heeded.
#[utoipa::path(
    get, path = "/api/v1/workspaces/{id}/files/{*path}", operation_id = "getFile", tag = "workspaces", security(("bearer" = [])),
    params(("id" = uuid::Uuid, Path), ("path" = String, Path, description = "As listed"),
        ("Range" = Option<String>, Header, description = "One range of bytes")),
    responses(
        (status = 200, content_type = "application/octet-stream", description = "The bytes, as an attachment"),
        (status = 206, content_type = "application/octet-stream", description = "The part that was asked for"),
        (status = 304, description = "It has not changed"),
        (status = 401, body = ProblemDocument, description = "No valid credential", content_type = "application/problem+json"),
        (status = 403, body = ProblemDocument, description = "Not allowed", content_type = "application/problem+json"),
        (status = 404, body = ProblemDocument, description = "No such workspace or file", content_type = "application/problem+json"),
        (status = 409, body = ProblemDocument, description = "It is a directory", content_type = "application/problem+json"),
        (status = 416, body = ProblemDocument, description = "The range is not in the file", content_type = "application/problem+json"),
        (status = 422, body = ProblemDocument, description = "The path is not relative and normal", content_type = "application/problem+json"),
    )
)]
pub async fn get_file(
    State(state): State<AppState>,
    caller: Caller,
    Named { workspace: id, path }: Named,
    asked: HeaderMap,
) -> Result<Response, Problem> {
    let opened = state.workspaces.mount(caller.tenant_id, id).await?;
    let workspace = Arc::clone(&opened.workspace);
    let (file, metadata, path) =
        blocking(move || workspaces::open_file(&workspace, &path).map(|(file, metadata)| (file, metadata, path))).await?;
    let tag = entity_tag(&metadata)?;
    let mut headers = HeaderMap::new();
    headers.insert(header::ETAG, tag.clone());
    headers.insert(header::LAST_MODIFIED, last_modified(&metadata)?);
    headers.insert(header::ACCEPT_RANGES, HeaderValue::from_static("bytes"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("private, no-cache"));
    if is_known(&asked, &tag) {
        return Ok((StatusCode::NOT_MODIFIED, headers).into_response());
    }
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/octet-stream"));
    headers.insert(header::CONTENT_DISPOSITION, attachment(path.text())?);
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    let size = metadata.len();
    let whole_wanted = asked.get(header::IF_RANGE).is_some_and(|value| *value != tag);
    let range = if whole_wanted { Wanted::Whole } else { Wanted::of(asked.get(header::RANGE), size) };
    let (status, start, length) = match range {
        Wanted::Whole => (StatusCode::OK, 0, size),
        Wanted::Part { first, last } => {
            let told = HeaderValue::from_str(&format!("bytes {first}-{last}/{size}")).map_err(Problem::internal)?;
            headers.insert(header::CONTENT_RANGE, told);
            (StatusCode::PARTIAL_CONTENT, first, last - first + 1)
        }
        Wanted::Outside => {
            let told = HeaderValue::from_str(&format!("bytes */{size}")).map_err(Problem::internal)?;
            let problem = Problem::new(StatusCode::RANGE_NOT_SATISFIABLE, "range_not_satisfiable", "The file is shorter.");
            return Err(problem.header(header::CONTENT_RANGE, told));
        }
    };
    headers.insert(header::CONTENT_LENGTH, HeaderValue::from(length));
    let body = stream(opened.workspace, file, start, length);
    Ok((status, headers, body).into_response())
}

#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct DeleteQuery {
    /// A directory with all that is in it.
    #[serde(default)]
    recursive: bool,
}

/// Removes a file or a directory.
#[utoipa::path(
    delete, path = "/api/v1/workspaces/{id}/files/{*path}", operation_id = "deleteFile", tag = "workspaces", security(("bearer" = [])),
    params(("id" = uuid::Uuid, Path), ("path" = String, Path, description = "As listed"), DeleteQuery),
    responses(
        (status = 204, description = "Gone"),
        (status = 401, body = ProblemDocument, description = "No valid credential", content_type = "application/problem+json"),
        (status = 403, body = ProblemDocument, description = "Not allowed", content_type = "application/problem+json"),
        (status = 404, body = ProblemDocument, description = "No such workspace or file", content_type = "application/problem+json"),
        (status = 409, body = ProblemDocument, description = "The directory is not empty", content_type = "application/problem+json"),
        (status = 422, body = ProblemDocument, description = "The path is not relative and normal", content_type = "application/problem+json"),
    )
)]
pub async fn delete_file(
    State(state): State<AppState>,
    caller: Caller,
    Named { workspace: id, path }: Named,
    ApiQuery(DeleteQuery { recursive }): ApiQuery<DeleteQuery>,
) -> Result<StatusCode, Problem> {
    let opened = state.workspaces.mount(caller.tenant_id, id).await?;
    let workspace = Arc::clone(&opened.workspace);
    blocking(move || workspaces::remove_entry(&workspace, &path, recursive)).await?;
    state.workspaces.report(caller.tenant_id, id, &opened.workspace).await;
    Ok(StatusCode::NO_CONTENT)
}

/// What of a file is wanted, by `Range` (RFC 9110, 14.2): one range; anything else is as if it were not there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Wanted {
    Whole,
    Part { first: u64, last: u64 },
    Outside,
}

impl Wanted {
    fn of(range: Option<&HeaderValue>, size: u64) -> Self {
        let Some(text) = range.and_then(|range| range.to_str().ok()).and_then(|text| text.strip_prefix("bytes=")) else {
            return Self::Whole;
        };
        let Some((first, last)) = text.split_once('-') else { return Self::Whole };
        let number = |text: &str| text.trim().parse::<u64>();
        match (number(first), number(last)) {
            (Ok(first), Ok(last)) if first > last => Self::Whole,
            (Ok(first), _) if (last.trim().is_empty() || number(last).is_ok()) && first >= size => Self::Outside,
            (Ok(first), Ok(last)) => Self::Part { first, last: last.min(size - 1) },
            (Ok(first), Err(_)) if last.trim().is_empty() => Self::Part { first, last: size - 1 },
            (Err(_), Ok(0)) if first.is_empty() => Self::Outside,
            (Err(_), Ok(_)) if first.is_empty() && size == 0 => Self::Outside,
            (Err(_), Ok(most)) if first.is_empty() => Self::Part { first: size.saturating_sub(most), last: size - 1 },
            _ => Self::Whole,
        }
    }
}

/// Changes with every change of the file: no program can set the time of its last change.
fn entity_tag(metadata: &Metadata) -> Result<HeaderValue, Problem> {
    let tag = format!("\"{:x}-{:x}-{:x}-{:x}\"", metadata.ino(), metadata.len(), metadata.ctime(), metadata.ctime_nsec());
    HeaderValue::from_str(&tag).map_err(Problem::internal)
}

fn last_modified(metadata: &Metadata) -> Result<HeaderValue, Problem> {
    let at = metadata.modified().ok().and_then(|at| jiff::Timestamp::try_from(at).ok()).unwrap_or(jiff::Timestamp::UNIX_EPOCH);
    let text = jiff::fmt::rfc2822::DateTimePrinter::new().timestamp_to_rfc9110_string(&at).map_err(Problem::internal)?;
    HeaderValue::from_str(&text).map_err(Problem::internal)
}

fn is_known(asked: &HeaderMap, tag: &HeaderValue) -> bool {
    let name: HeaderName = header::IF_NONE_MATCH;
    let known = asked.get_all(name).iter().filter_map(|value| value.to_str().ok()).flat_map(|text| text.split(','));
    known.map(|known| known.trim().trim_start_matches("W/")).any(|known| known == "*" || known.as_bytes() == tag.as_bytes())
}

/// The part of the file, read as fast as it is taken. A file that becomes shorter meanwhile breaks the answer off.
fn stream(workspace: Arc<Workspace>, file: File, start: u64, length: u64) -> Body {
    let (pieces, receiver) = mpsc::channel(WINDOW);
    tokio::task::spawn_blocking(move || {
        read(file, start, length, &pieces);
        // The workspace stays mounted for as long as it is read.
        drop(workspace);
    });
    Body::from_stream(futures::stream::unfold(receiver, |mut receiver| async move { Some((receiver.recv().await?, receiver)) }))
}

fn read(mut file: File, start: u64, length: u64, pieces: &mpsc::Sender<std::io::Result<Bytes>>) {
    if let Err(error) = file.seek(std::io::SeekFrom::Start(start)) {
        // Who does not listen any more needs no word.
        let _ = pieces.blocking_send(Err(error));
        return;
    }
    let mut left = length;
    while left > 0 {
        let wanted = usize::try_from(left).unwrap_or(usize::MAX).min(PIECE_BYTES);
        let piece = read_piece(&mut file, wanted);
        left -= piece.as_ref().map_or(left, |piece| piece.len() as u64);
        if pieces.blocking_send(piece).is_err() {
            return;
        }
    }
}

fn read_piece(file: &mut File, wanted: usize) -> std::io::Result<Bytes> {
    use std::io::Read as _;
    let mut piece = BytesMut::zeroed(wanted);
    let count = file.read(&mut piece)?;
    if count == 0 {
        return Err(std::io::ErrorKind::UnexpectedEof.into());
    }
    piece.truncate(count);
    Ok(piece.freeze())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_range_is_heeded_and_nothing_else() {
        let of = |text: &str, size| Wanted::of(Some(&HeaderValue::from_str(text).unwrap()), size);
        let part = |first, last| Wanted::Part { first, last };
        for (text, size, wanted) in [
            ("bytes=0-0", 10, part(0, 0)),
            ("bytes=2-5", 10, part(2, 5)),
            ("bytes=2-", 10, part(2, 9)),
            ("bytes=2-99", 10, part(2, 9)),
            ("bytes=-3", 10, part(7, 9)),
            ("bytes=-99", 10, part(0, 9)),
            ("bytes=10-", 10, Wanted::Outside),
            ("bytes=10-12", 10, Wanted::Outside),
            ("bytes=-0", 10, Wanted::Outside),
            ("bytes=0-", 0, Wanted::Outside),
            ("bytes=-5", 0, Wanted::Outside),
            ("bytes=5-2", 10, Wanted::Whole),
            ("bytes=0-1,4-5", 10, Wanted::Whole),
            ("bytes=a-b", 10, Wanted::Whole),
            ("bytes=-", 10, Wanted::Whole),
            ("lines=0-1", 10, Wanted::Whole),
        ] {
            assert_eq!(of(text, size), wanted, "{text} of {size}");
        }
    }
}
