//! GET /executions.

use axum::Json;
use axum::extract::{RawQuery, State};
use kiln_domain::Status;
use kiln_http::auth::Caller;
use kiln_http::{Execution, Page, PageQuery, Problem, ProblemDocument};
use utoipa::IntoParams;

use super::AppState;
use crate::store::{self, Filter};

/// What the list is narrowed to; documented here, parsed by hand since `label` may be repeated.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
#[expect(dead_code, reason = "the fields only document the parameters")]
pub struct ListQuery {
    /// Statuses separated by commas.
    status: Option<String>,
    /// Runtime id or alias.
    runtime: Option<String>,
    session_id: Option<String>,
    /// `key=value`; repeatable, all must hold.
    label: Option<Vec<String>>,
}

/// The tenant's executions, newest first, without their output.
#[utoipa::path(
    get, path = "/api/v1/executions", operation_id = "listExecutions", tag = "executions", params(ListQuery, PageQuery), security(("bearer" = [])),
    responses(
        (status = 200, description = "A page", body = Page<Execution>),
        (status = 400, description = "A parameter is not acceptable", body = ProblemDocument, content_type = "application/problem+json"),
        (status = 401, description = "No valid credential", body = ProblemDocument, content_type = "application/problem+json"),
        (status = 403, description = "Not allowed", body = ProblemDocument, content_type = "application/problem+json"),
    )
)]
pub async fn list_executions(
    State(AppState(scheduler)): State<AppState>,
    caller: Caller,
    RawQuery(query): RawQuery,
) -> Result<Json<Page<Execution>>, Problem> {
    let (mut filter, page) = parse(query.as_deref().unwrap_or_default())?;
    if let Some(name) = &filter.runtime
        && let Some(id) = scheduler.runtimes.resolve(name)
    {
        filter.runtime = Some(id);
    }
    let limit = page.limit()?;
    let mut tx = scheduler.database.tenant(caller.tenant_id).await?;
    let rows = store::list(&mut tx, &filter, page.after()?, limit + 1).await?;
    tx.commit().await?;
    let records = rows.iter().map(store::ExecutionRow::record).collect::<anyhow::Result<Vec<_>>>().map_err(Problem::internal)?;
    let executions = records.into_iter().map(|record| Execution::new(record, None)).collect();
    Ok(Json(Page::from_rows(executions, limit, |execution: &Execution| execution.id)))
}

fn parse(query: &str) -> Result<(Filter, PageQuery), Problem> {
    let pairs: Vec<(String, String)> =
        serde_urlencoded::from_str(query).map_err(|_| Problem::bad_request("The query cannot be read."))?;
    let (mut filter, mut page) = (Filter::default(), PageQuery::default());
    for (name, value) in pairs {
        match name.as_str() {
            "limit" => page.limit = Some(value),
            "cursor" => page.cursor = Some(value),
            "status" => {
                for word in value.split(',') {
                    let status = Status::parse(word).ok_or_else(|| Problem::bad_request("status is not one that there is."))?;
                    filter.states.push(status.as_str().to_owned());
                    if status == Status::Queued {
                        filter.states.push("dispatched".to_owned());
                    }
                }
            }
            "runtime" if !value.contains('\0') => filter.runtime = Some(value),
            "session_id" => {
                filter.session_id = Some(value.parse().map_err(|_| Problem::bad_request("session_id is no UUID."))?);
            }
            "label" => match value.split_once('=') {
                Some((key, label)) if !value.contains('\0') => {
                    filter.labels.insert(key.to_owned(), label.into());
                }
                _ => return Err(Problem::bad_request("label must be key=value.")),
            },
            _ => return Err(Problem::bad_request(format!("There is no parameter {name}."))),
        }
    }
    Ok((filter, page))
}
