//! What notebooks and scripts have in common as resources: how they are read from a request, made and told.

#![expect(clippy::option_option, reason = "in a change a null and a field that is not there differ")]

use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::extract::{FromRequest, Request};
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use jiff::Timestamp;
use kiln_events::{CheckPlace, CheckPlaceReply};
use kiln_http::auth::{Caller, Permission};
use kiln_http::{Begun, Body, FieldError, Idempotency, Keyed, Page, PageQuery, Problem};
use serde::{Deserialize, Deserializer, Serialize};
use tokio::sync::OwnedSemaphorePermit;
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;

use super::AppState;
use crate::Results;
use crate::library::{self, Entry, EntryId, Kind, MAX_VERSIONS, NewEntry, Version};

/// Runtime of an entry that names none.
pub const DEFAULT_RUNTIME: &str = "python";

/// Bodies up to this are read without waiting for a turn.
const SMALL_BODY: u64 = 1 << 20;
const TURN_DEADLINE: Duration = Duration::from_secs(30);

/// A JSON body that may be large: few are in memory at the same time.
pub struct LargeBody {
    pub body: Body,
    _turn: Option<OwnedSemaphorePermit>,
}

impl FromRequest<AppState> for LargeBody {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &AppState) -> Result<Self, Problem> {
        let length = request.headers().get(header::CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse::<u64>().ok());
        let turn = if length.is_some_and(|length| length <= SMALL_BODY) {
            None
        } else {
            let turn = tokio::time::timeout(TURN_DEADLINE, Arc::clone(&state.0.large_bodies).acquire_owned()).await;
            Some(
                turn.map_err(|_| Problem::unavailable("Too many large requests at once; try again."))?
                    .map_err(Problem::internal)?,
            )
        };
        Ok(Self { body: Body::from_request(request, state).await?, _turn: turn })
    }
}

/// What an entry is to be, checked but for its place.
pub struct Draft {
    pub kind: Kind,
    pub name: String,
    pub description: String,
    pub runtime: String,
    pub workspace_id: Option<Uuid>,
    pub content: Vec<u8>,
    pub cause: &'static str,
}

/// Narrows a list.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct ListQuery {
    /// Only those whose name holds this, in any case.
    pub name: Option<String>,
    /// Rows on a page, 1 to 200.
    #[param(value_type = Option<u32>, minimum = 1, maximum = 200, default = 50)]
    pub limit: Option<String>,
    /// `next_cursor` of the page before.
    pub cursor: Option<String>,
}

/// A version of a notebook or script.
#[derive(Debug, Serialize, ToSchema)]
pub struct VersionInfo {
    pub number: i32,
    pub cause: String,
    /// User or API key.
    pub author: Uuid,
    pub size_bytes: i64,
    /// It is the present one.
    pub current: bool,
    #[schema(value_type = String, format = DateTime)]
    pub created_at: Timestamp,
    /// Saves that follow each other soon are one version.
    #[schema(value_type = String, format = DateTime)]
    pub updated_at: Timestamp,
}

/// Against which version; the one before unless said.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct Against {
    /// The older version, by its number; 0 is nothing at all.
    pub against: Option<i32>,
}

impl VersionInfo {
    pub fn new(version: Version, present: i32) -> Self {
        Self {
            current: version.number == present,
            number: version.number,
            cause: version.cause,
            author: version.author,
            size_bytes: version.size_bytes,
            created_at: version.created_at.to_jiff(),
            updated_at: version.updated_at.to_jiff(),
        }
    }
}

/// A field that may be left out, which is not the same as null.
pub fn given<'de, D: Deserializer<'de>, T: Deserialize<'de>>(deserializer: D) -> Result<Option<Option<T>>, D::Error> {
    Option::deserialize(deserializer).map(Some)
}

/// A workspace named in a body; what is no id names none.
pub fn workspace_id(text: Option<&str>) -> Result<Option<Uuid>, FieldError> {
    text.map(|text| text.parse().map_err(|_| no_workspace())).transpose()
}

fn no_workspace() -> FieldError {
    FieldError::new("/workspace_id", "names no workspace of this tenant")
}

impl Results {
    /// Refuses a runtime or workspace that the tenant does not have; what is none is not looked at.
    pub async fn check_place(
        &self,
        caller: &Caller,
        kind: Kind,
        runtime: Option<&str>,
        workspace: Option<Uuid>,
    ) -> Result<(), Problem> {
        if runtime.is_none() && workspace.is_none() {
            return Ok(());
        }
        let check = CheckPlace {
            tenant_id: caller.tenant_id,
            runtime: runtime.map(str::to_owned),
            workspace_id: workspace.map(kiln_domain::WorkspaceId),
        };
        let CheckPlaceReply { runtime_known, has_sessions, workspace_known } = self.ask_check_place(&check).await?;
        let mut errors = Vec::new();
        if !runtime_known {
            errors.push(FieldError::new("/runtime", "there is no such runtime"));
        } else if kind == Kind::Notebook && !has_sessions {
            errors.push(FieldError::new("/runtime", "this runtime has no sessions, so no notebooks"));
        }
        if !workspace_known {
            errors.push(no_workspace());
        }
        if errors.is_empty() { Ok(()) } else { Err(Problem::invalid(errors)) }
    }

    /// Makes the entry, once for a key, and tells it by `answer`.
    pub async fn make(
        self: &Arc<Self>,
        caller: Caller,
        keyed: (&'static str, String, Idempotency),
        body: LargeBody,
        draft: Draft,
        answer: fn(Entry, Vec<u8>) -> Result<Response, Problem>,
    ) -> Result<Response, Problem> {
        let (route, query, idempotency) = keyed;
        // The request goes on when its client leaves: a key taken is answered.
        let task = self.requests.spawn({
            let results = Arc::clone(self);
            async move {
                let (database, tenant) = (&results.database, caller.tenant_id);
                let keyed = Keyed { database, tenant, route, idempotency, query: &query, body: &body.body.0 };
                match keyed.begin().await? {
                    Begun::Replay(answer) => Ok(answer),
                    Begun::Made(id) => {
                        let (entry, content) = results.read_entry(&caller, draft.kind, id).await?;
                        answer(entry, content)
                    }
                    Begun::Mine(hold) => {
                        let made = async {
                            results.check_place(&caller, draft.kind, Some(&draft.runtime), draft.workspace_id).await?;
                            let id = Uuid::now_v7();
                            let mut tx = results.database.tenant(caller.tenant_id).await?;
                            let new = NewEntry {
                                id,
                                kind: draft.kind,
                                name: &draft.name,
                                description: &draft.description,
                                runtime: &draft.runtime,
                                workspace_id: draft.workspace_id,
                                author: caller.actor(),
                                content: &draft.content,
                                cause: draft.cause,
                            };
                            results.insert_entry(&mut tx, &new).await?;
                            let entry = library::entry(&mut tx, draft.kind, id).await?.ok_or_else(Problem::not_found)?;
                            hold.bind(&mut tx, id).await?;
                            tx.commit().await?;
                            answer(entry, draft.content)
                        };
                        let made = made.await;
                        hold.finish(made).await
                    }
                }
            }
        });
        task.await.map_err(Problem::internal)?
    }

    /// The entry and its present content.
    pub async fn read_entry(&self, caller: &Caller, kind: Kind, id: EntryId) -> Result<(Entry, Vec<u8>), Problem> {
        let mut tx = self.database.tenant(caller.tenant_id).await?;
        let entry = library::entry(&mut tx, kind, id).await?.ok_or_else(Problem::not_found)?;
        let content = library::content(&mut tx, id, entry.version).await?;
        Ok((entry, content.ok_or_else(|| Problem::internal("an entry without its version"))?))
    }

    /// One version's content; 404 for a number that is not kept.
    pub async fn read_version(
        &self,
        caller: &Caller,
        kind: Kind,
        id: EntryId,
        number: i32,
    ) -> Result<(Entry, Version, Vec<u8>), Problem> {
        let mut tx = self.database.tenant(caller.tenant_id).await?;
        let entry = library::entry(&mut tx, kind, id).await?.ok_or_else(Problem::not_found)?;
        let version = library::version(&mut tx, id, number).await?.ok_or_else(Problem::not_found)?;
        let content = library::content(&mut tx, id, number).await?.ok_or_else(Problem::not_found)?;
        Ok((entry, version, content))
    }

    /// Two versions' contents, the older first; version 0, and one before the oldest that is kept when none is named, is none.
    pub async fn read_two(
        &self,
        caller: &Caller,
        kind: Kind,
        id: EntryId,
        number: i32,
        against: Option<i32>,
    ) -> Result<(i32, Option<Vec<u8>>, Vec<u8>), Problem> {
        let (_, _, new) = self.read_version(caller, kind, id, number).await?;
        let old_number = against.unwrap_or(number - 1);
        if old_number == 0 {
            return Ok((0, None, new));
        }
        match self.read_version(caller, kind, id, old_number).await {
            Ok((_, _, old)) => Ok((old_number, Some(old), new)),
            Err(problem) if problem.status() == StatusCode::NOT_FOUND && against.is_none() => Ok((0, None, new)),
            Err(problem) => Err(problem),
        }
    }

    /// A page of the entry's versions, newest first.
    pub async fn page_of_versions(
        &self,
        caller: &Caller,
        kind: Kind,
        id: EntryId,
        page: &PageQuery,
    ) -> Result<Json<Page<VersionInfo>>, Problem> {
        let limit = page.limit()?;
        let before = match page.after()? {
            None => i32::MAX,
            Some(after) => {
                i32::try_from(after.as_u128()).map_err(|_| Problem::bad_request("cursor is not one that this list has given."))?
            }
        };
        let mut tx = self.database.tenant(caller.tenant_id).await?;
        let entry = library::entry(&mut tx, kind, id).await?.ok_or_else(Problem::not_found)?;
        let rows = library::versions(&mut tx, id, before, (limit + 1).min(i64::from(MAX_VERSIONS) + 1)).await?;
        let versions = rows.into_iter().map(|version| VersionInfo::new(version, entry.version)).collect();
        let cursor = |version: &VersionInfo| Uuid::from_u128(u128::from(version.number.unsigned_abs()));
        Ok(Json(Page::from_rows(versions, limit, cursor)))
    }

    /// Removes the entry: one's own, or any for those who manage.
    pub async fn delete_entry(&self, caller: &Caller, kind: Kind, id: EntryId) -> Result<StatusCode, Problem> {
        let change = self.change(caller.tenant_id, kind, id).await?;
        if change.entry.created_by != caller.actor() {
            caller.require(Permission::ExecutionsManage)?;
        }
        if change.entry.run_state.as_deref().is_some_and(|state| state != "ended") {
            return Err(Problem::conflict("run_active", "The notebook runs; stop its execution first."));
        }
        change.delete().await?;
        Ok(StatusCode::NO_CONTENT)
    }
}

/// An entry as it was just made.
pub fn created(path: &str, entry: &Entry, body: impl Serialize) -> Result<Response, Problem> {
    let location = HeaderValue::from_str(&format!("/api/v1/{path}/{}", entry.id)).map_err(Problem::internal)?;
    let headers = [(header::LOCATION, location), (header::ETAG, library::tag(entry.revision))];
    Ok((StatusCode::CREATED, headers, Json(body)).into_response())
}

/// An entry as it is.
pub fn told(entry: &Entry, body: impl Serialize) -> Response {
    let caching = HeaderValue::from_static("private, no-cache");
    ([(header::ETAG, library::tag(entry.revision)), (header::CACHE_CONTROL, caching)], Json(body)).into_response()
}

/// Work that takes the processor for a while.
pub async fn blocking<T: Send + 'static>(work: impl FnOnce() -> Result<T, Problem> + Send + 'static) -> Result<T, Problem> {
    tokio::task::spawn_blocking(work).await.map_err(Problem::internal)?
}
