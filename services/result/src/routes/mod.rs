//! The result service's HTTP routes: everything under `/api/v1/executions/{id}`, notebooks and scripts.

mod attach;
mod cancel;
mod delete;
mod events;
mod files;
mod get;
mod library;
mod notebooks;
mod raw;
mod retry;
mod scripts;
mod stdin;
mod why;

use std::sync::Arc;

use axum::extract::{DefaultBodyLimit, FromRef};
use kiln_domain::{ExecutionId, TenantId};
use kiln_events::ExecutionRecord;
use kiln_http::Problem;
use kiln_http::auth::{Caller, Permission, Verifier};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::Results;

/// What handlers are given.
#[derive(Clone)]
pub struct AppState(Arc<Results>);

impl FromRef<AppState> for Verifier {
    fn from_ref(state: &AppState) -> Self {
        state.0.verifier.clone()
    }
}

/// Largest body with a notebook, which may be spread out more than it is stored.
const MAX_NOTEBOOK_BODY: usize = 48 << 20;

pub fn router(results: Arc<Results>) -> OpenApiRouter {
    routes().with_state(AppState(results))
}

/// The routes' document, without a service.
pub fn api() -> utoipa::openapi::OpenApi {
    routes().split_for_parts().1
}

fn routes() -> OpenApiRouter<AppState> {
    OpenApiRouter::new()
        .routes(routes!(stdin::write_stdin))
        .layer(DefaultBodyLimit::max(stdin::MAX_BODY))
        .routes(routes!(get::get_execution, delete::delete_execution))
        .routes(routes!(cancel::cancel_execution))
        .routes(routes!(retry::retry_execution))
        .routes(routes!(why::why_execution))
        .routes(routes!(events::stream_events))
        .routes(routes!(attach::attach))
        .routes(routes!(raw::get_stdout))
        .routes(routes!(raw::get_stderr))
        .routes(routes!(files::get_file))
        .merge(library_routes())
}

fn library_routes() -> OpenApiRouter<AppState> {
    OpenApiRouter::new()
        .routes(routes!(notebooks::create_notebook, notebooks::list_notebooks))
        .routes(routes!(notebooks::import_notebook))
        .routes(routes!(notebooks::get_notebook, notebooks::put_notebook, notebooks::change_notebook, notebooks::delete_notebook))
        .layer(DefaultBodyLimit::max(MAX_NOTEBOOK_BODY))
        .routes(routes!(notebooks::export_notebook))
        .routes(routes!(notebooks::run_notebook, notebooks::get_notebook_run))
        .routes(routes!(notebooks::list_notebook_versions))
        .routes(routes!(notebooks::get_notebook_version))
        .routes(routes!(notebooks::diff_notebook_versions))
        .routes(routes!(notebooks::restore_notebook_version))
        .routes(routes!(scripts::create_script, scripts::list_scripts))
        .routes(routes!(scripts::get_script, scripts::put_script, scripts::change_script, scripts::delete_script))
        .layer(DefaultBodyLimit::max(MAX_NOTEBOOK_BODY))
        .routes(routes!(scripts::list_script_versions))
        .routes(routes!(scripts::get_script_version))
        .routes(routes!(scripts::diff_script_versions))
        .routes(routes!(scripts::restore_script_version))
}

impl Results {
    /// The execution, if the caller may change it: its own, or any for those who manage.
    async fn find_to_change(&self, caller: &Caller, execution: ExecutionId) -> Result<ExecutionRecord, Problem> {
        let record = self.find(caller.tenant_id, execution).await?.record;
        if record.created_by != caller.actor() {
            caller.require(Permission::ExecutionsManage)?;
        }
        Ok(record)
    }

    /// 404 unless the execution is the tenant's.
    async fn must_exist(&self, tenant: TenantId, execution: ExecutionId) -> Result<(), Problem> {
        self.find(tenant, execution).await.map(drop)
    }
}
