//! The executor's HTTP routes: everything under `/api/v1/workspaces/{id}`, since it has the files.

mod directory;
mod file;
mod list;
mod moving;
mod upload;
mod workspace;

use axum::extract::{FromRef, FromRequestParts};
use axum::http::StatusCode;
use axum::http::request::Parts;
use kiln_domain::WorkspaceId;
use kiln_http::Problem;
use kiln_http::auth::Verifier;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::workspaces::{OpenError, TreeError, WorkspacePath, Workspaces};

/// What handlers are given.
#[derive(Clone)]
pub struct AppState {
    pub workspaces: Workspaces,
    pub verifier: Verifier,
}

impl FromRef<AppState> for Verifier {
    fn from_ref(state: &AppState) -> Self {
        state.verifier.clone()
    }
}

pub fn router(state: AppState) -> OpenApiRouter {
    routes().with_state(state)
}

/// The routes' document, without a service.
pub fn api() -> utoipa::openapi::OpenApi {
    routes().split_for_parts().1
}

fn routes() -> OpenApiRouter<AppState> {
    OpenApiRouter::new()
        .routes(routes!(workspace::get_workspace, workspace::change_workspace, workspace::delete_workspace))
        .routes(routes!(list::list_files, directory::make_directory))
        .routes(routes!(file::get_file, file::delete_file, upload::put_file, moving::move_file))
}

/// The workspace and the file that a request's path names, by what it encodes: a name that is no UTF-8 has its own fault.
pub struct Named {
    pub workspace: WorkspaceId,
    pub path: WorkspacePath,
}

impl Named {
    /// From `/api/v1/workspaces/{id}/files/{path}`, less what the operation adds to the path.
    fn from_uri(parts: &Parts, operation: &str) -> Result<Self, Problem> {
        let mut segments = parts.uri.path().splitn(7, '/').skip(4);
        let workspace = segments.next().and_then(|id| id.parse().ok()).ok_or_else(Problem::not_found)?;
        let rest = segments.nth(1).unwrap_or_default();
        let path = rest.strip_suffix(operation).filter(|path| !path.is_empty()).ok_or_else(Problem::not_found)?;
        let path = WorkspacePath::parse_encoded(path).map_err(|fault| Problem::invalid_field("path", fault.to_string()))?;
        Ok(Self { workspace, path })
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Named {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        Self::from_uri(parts, "")
    }
}

impl From<OpenError> for Problem {
    fn from(error: OpenError) -> Self {
        match error {
            OpenError::NotFound => Self::not_found(),
            OpenError::Scheduler(error) => error.into(),
            OpenError::Elsewhere(_) | OpenError::Host(_) | OpenError::Mount(_) => {
                tracing::warn!(error = format!("{:#}", anyhow::Error::new(error)), "a workspace cannot be reached");
                Self::unavailable("The workspace's files cannot be reached now.")
            }
            OpenError::Lost(_) | OpenError::Image(_) => Self::internal(error),
        }
    }
}

impl From<TreeError> for Problem {
    fn from(error: TreeError) -> Self {
        match error {
            TreeError::NotFound => Self::not_found(),
            TreeError::IsDirectory => Self::conflict("is_directory", "There is a directory of that name."),
            TreeError::NotADirectory => Self::conflict("not_a_directory", "A part of the path is no directory."),
            TreeError::NotEmpty => Self::conflict("not_empty", "The directory is not empty."),
            TreeError::Exists => Self::conflict("exists", "Something of that name is there already."),
            TreeError::IntoItself => Self::invalid_field("/to", "is in the directory that is to be moved"),
            TreeError::Full => full(),
            TreeError::System(error) => Self::internal(error),
        }
    }
}

/// The workspace, or all that the tenant may store, is full.
fn full() -> Problem {
    Problem::new(StatusCode::INSUFFICIENT_STORAGE, "quota_exceeded", "The workspace has no room for it.")
}

/// Does what touches files where blocking is allowed.
async fn blocking<T: Send + 'static, E: Into<Problem> + Send + 'static>(
    work: impl FnOnce() -> Result<T, E> + Send + 'static,
) -> Result<T, Problem> {
    tokio::task::spawn_blocking(work).await.map_err(Problem::internal)?.map_err(Into::into)
}
