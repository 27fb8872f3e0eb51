//! The scheduler's statements. Locks are taken in one order everywhere: tenants by id, then executions.

mod accept;
mod attempt;
mod batch;
mod dispatch;
mod end;
mod gauges;
mod list;
mod load;
mod record;
mod session;
mod tenant;
mod usage;
mod workspace;

pub use accept::{Begun, NewExecution, StoredPayload, insert, lock_tenant};
pub use attempt::{Beat, claim, extend_leases, instance_gone, leases_expired};
pub use batch::{mark_batch, stopped};
pub use dispatch::{any_queued, mark_dispatched, stuck_dispatches, waiting};
pub use end::{Ending, end, lock_tenants, requeue};
pub use gauges::gauges;
pub use list::{Filter, list};
pub use load::{active_total, ceilings, correct_reservations, position, usage, waited_for_runtime};
pub use record::{ExecutionRow, load, load_for_update, payload};
pub use session::{
    NewSession, SessionPlace, SessionRow, close_session, delete_session, enter_session, extend_session_leases, forget_sessions,
    idle_sessions, insert_session, list_sessions, live_of_session, live_sessions, load_session, lost_sessions, opened,
    session_count, sessions_of_earlier_instance, touch_session,
};
pub use tenant::{
    close_tenant, delete_ended, forget_tenant, is_suspended, not_started, over_budget, request_stop, requeue_dispatched, running,
    secrets_of_attempt,
};
pub use usage::usage_sums;
pub use workspace::{
    NameTaken, NewWorkspace, change_workspace, delete_workspace, ensure_default, forget_workspaces, gone_workspaces,
    hold_workspace, insert_workspace, list_workspaces, set_workspace_used, settle_store, storage, workspace,
};
