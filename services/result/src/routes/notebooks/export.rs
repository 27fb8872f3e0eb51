//! GET /notebooks/{id}/export.

use axum::extract::State;
use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse as _, Response};
use kiln_http::auth::Caller;
use kiln_http::{ApiPath, ApiQuery, Problem, ProblemDocument, attachment};
use serde::Deserialize;
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;

use crate::library::Kind;
use crate::notebook::{self, parsed};
use crate::routes::AppState;
use crate::routes::library::blocking;

/// As what.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct ExportQuery {
    #[serde(default)]
    #[param(inline)]
    format: Format,
}

#[derive(Debug, Clone, Copy, Default, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Format {
    /// As Jupyter reads it.
    #[default]
    Ipynb,
    /// Cells begin with `# %%`; all but code is comments.
    Py,
    /// One page, in which nothing of the notebook acts.
    Html,
}

/// The notebook as a file.
#[utoipa::path(
    get, path = "/api/v1/notebooks/{id}/export", operation_id = "exportNotebook", tag = "notebooks", security(("bearer" = [])),
    params(("id" = uuid::Uuid, Path), ExportQuery),
    responses(
        (status = 200, description = "The file, as an attachment", content(
            (String = "application/x-ipynb+json"), (String = "text/x-python"), (String = "text/html"))),
        (status = 400, description = "A parameter is not acceptable", body = ProblemDocument, content_type = "application/problem+json"),
        (status = 401, description = "No valid credential", body = ProblemDocument, content_type = "application/problem+json"),
        (status = 403, description = "Not allowed", body = ProblemDocument, content_type = "application/problem+json"),
        (status = 404, description = "No such notebook", body = ProblemDocument, content_type = "application/problem+json"),
    )
)]
pub async fn export_notebook(
    State(AppState(results)): State<AppState>,
    caller: Caller,
    ApiPath(id): ApiPath<Uuid>,
    ApiQuery(ExportQuery { format }): ApiQuery<ExportQuery>,
) -> Result<Response, Problem> {
    let _permit = results.documents.acquire().await.map_err(Problem::internal)?;
    let (entry, content) = results.read_entry(&caller, Kind::Notebook, id).await?;
    let title = entry.name.trim_end_matches(".ipynb").to_owned();
    let (kind, extension) = match format {
        Format::Ipynb => ("application/x-ipynb+json", "ipynb"),
        Format::Py => ("text/x-python; charset=utf-8", "py"),
        Format::Html => ("text/html; charset=utf-8", "html"),
    };
    let name = format!("{}.{extension}", title.replace(['/', '\\'], "_"));
    let file = blocking(move || {
        let notebook = parsed(content)?;
        Ok(match format {
            Format::Ipynb => notebook::ipynb(&notebook),
            Format::Py => notebook::python(&notebook).into_bytes(),
            Format::Html => notebook::html(&title, &notebook).into_bytes(),
        })
    });
    let mut response = file.await?.into_response();
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
    headers.insert(header::CONTENT_DISPOSITION, attachment(&name)?);
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    // Should somebody open it in the place of storing it, it is nobody's page.
    headers.insert(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY));
    Ok(response)
}

const POLICY: &str = "sandbox; default-src 'none'; img-src data:; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'";
