//! The words that every part of Kiln shares: identifiers, limits, and how an execution ends.
//!
//! Nothing here does I/O or knows a wire format beyond serde; the runner, the services and
//! the client agree on these types and on nothing else.

mod execution;
mod id;
mod limits;
mod role;
mod runtime;

pub use execution::{Ended, OutputFile, Reason, ReasonCode, Start, Status, Usage, Warning};
pub use id::{
    ApiKeyId, EventId, ExecutionId, IdError, InstanceId, RequestId, SessionId, SignInId, TenantId, UserId, WorkspaceId,
};
pub use limits::{LimitError, LimitRange, Limits, LimitsPatch};
pub use role::{Role, Scope};
pub use runtime::{Package, Runtime};
