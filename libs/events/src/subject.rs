//! Subjects and streams, each with its version in its name.

use kiln_domain::{ExecutionId, TenantId};

/// Work for executors: one message an attempt, removed when acknowledged.
pub const TASKS: &str = "KILN_TASKS";
/// What happened: one message a fact.
pub const EVENTS: &str = "KILN_EVENTS";
/// What each execution printed, in order, and how it ended.
pub const OUTPUT: &str = "KILN_OUTPUT";
/// Input for interactive executions, kept until they read it.
pub const STDIN: &str = "KILN_STDIN";
/// Object store for payloads and files too large for a message.
pub const OBJECTS: &str = "kiln-objects";

pub const ALL_TASKS: &str = "kiln.task.v1.>";
pub const ALL_EVENTS: &str = "kiln.event.v1.>";
pub const ALL_OUTPUT: &str = "kiln.output.v1.>";
pub const ALL_STDIN: &str = "kiln.stdin.v1.>";

pub const EXECUTION_FINISHED: &str = "kiln.event.v1.executor.execution.finished";
pub const EXECUTION_DELETED: &str = "kiln.event.v1.scheduler.execution.deleted";
pub const TENANT_CREATED: &str = "kiln.event.v1.auth.tenant.created";
pub const TENANT_DELETED: &str = "kiln.event.v1.auth.tenant.deleted";
pub const TENANT_CHANGED: &str = "kiln.event.v1.auth.tenant.changed";
pub const SIGN_IN_REVOKED: &str = "kiln.event.v1.auth.signin.revoked";
/// One of a kind for each service: `kiln.event.v1.<service>.tenant.purged`.
pub const TENANT_PURGED: &str = "kiln.event.v1.*.tenant.purged";
pub const USER_REVOKED: &str = "kiln.event.v1.auth.user.revoked";
pub const API_KEY_REVOKED: &str = "kiln.event.v1.auth.apikey.revoked";

/// Runtime ids hold dots (`python3.13`), which separate tokens on the bus.
pub fn task(pool: &str, runtime: &str) -> String {
    format!("kiln.task.v1.{pool}.{}", runtime.replace('.', "_"))
}

/// Work for the sessions of one executor.
pub fn session_task(executor: &str) -> String {
    format!("kiln.task.v1.session-{executor}.cell")
}

pub fn pool_tasks(pool: &str) -> String {
    format!("kiln.task.v1.{pool}.>")
}

pub fn output(tenant: TenantId, execution: ExecutionId) -> String {
    format!("kiln.output.v1.{tenant}.{execution}")
}

/// The output of all of a tenant's executions.
pub fn tenant_output(tenant: TenantId) -> String {
    format!("kiln.output.v1.{tenant}.>")
}

pub fn stdin(execution: ExecutionId) -> String {
    format!("kiln.stdin.v1.{execution}")
}

/// That this service has removed what it had of a deleted tenant.
pub fn tenant_purged(service: &str) -> String {
    format!("kiln.event.v1.{service}.tenant.purged")
}

/// A request to a service by name, or to one executor by its id.
pub fn control(target: &str, verb: &str) -> String {
    format!("kiln.control.v1.{target}.{verb}")
}

/// Core NATS notice that the result service has stored more of an execution.
pub fn stored(tenant: TenantId, execution: ExecutionId) -> String {
    format!("kiln.stored.v1.{tenant}.{execution}")
}

/// Object names: what an execution was given, and the files that an attempt left.
pub fn payload_object(execution: ExecutionId) -> String {
    format!("in/{execution}")
}

pub fn file_object(execution: ExecutionId, attempt: u32, index: usize) -> String {
    format!("out/{execution}/{attempt}/{index}")
}
