//! The contract, one file an endpoint; the same against every way in which the services are spread over processes.

mod api_keys;
mod attach;
mod bad_input;
mod cancel;
mod create;
mod data_science;
mod delete;
mod events;
mod files;
mod get;
mod health;
mod idempotency;
mod jwks;
mod limits;
mod list;
mod login;
mod logout;
mod me;
mod notebook_exports;
mod notebook_formats;
pub mod notebook_runs;
pub mod notebooks;
mod openapi;
mod outcomes;
mod problems;
mod programs;
mod quota;
mod quotas;
mod rate_limits;
mod raw_output;
mod refresh;
mod retry;
mod runtimes;
mod scripts;
mod secrets;
mod session_files;
mod sessions;
mod sign_ins;
mod signup;
mod stdin;
mod switch;
mod tenancy;
mod tenant_deletion;
mod ticket;
mod usage;
mod wait;
mod walk;
mod why;
mod workspace_files;
mod workspace_runs;
pub mod workspaces;

use std::time::Duration;

use kiln_test_support::{Tenant, Visit};

/// A revocation is in force this soon everywhere, by the contract, and a second for the machine.
const REVOKED_WITHIN: Duration = Duration::from_secs(6);

/// Enough for any program here that does not wait on purpose, beside other tests.
const SOON: Duration = Duration::from_secs(20);

/// The shared deployment and a tenant of the test's own, beside other tests.
async fn visit() -> (Visit, Tenant) {
    let visit = Visit::beside(crate::MODE).await;
    let tenant = visit.sign_up().await;
    (visit, tenant)
}

/// The same with no other test at the same time.
async fn visit_alone() -> (Visit, Tenant) {
    let visit = Visit::alone(crate::MODE).await;
    let tenant = visit.sign_up().await;
    (visit, tenant)
}
