//! What every HTTP route of Kiln shares: problem documents, extractors whose refusals are problems, pagination,
//! idempotency, and who is calling.

pub mod auth;
mod execution;
mod extract;
mod idempotency;
mod layer;
mod page;
mod problem;
mod seal;

pub use execution::{Execution, Printed};
pub use extract::{ApiJson, ApiPath, ApiQuery, Body, Object};
pub use idempotency::{Begun, Hold, Idempotency, Keyed};
pub use layer::{RequestContext, layers};
pub use page::{Cursor, Page, PageQuery};
pub use problem::{FieldError, Problem, ProblemDocument};
