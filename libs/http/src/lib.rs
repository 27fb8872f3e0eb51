//! What every HTTP route of Kiln shares: problem documents, extractors whose refusals are problems, pagination,
//! idempotency, and who is calling.

mod attachment;
pub mod auth;
mod edge;
mod execution;
mod extract;
mod idempotency;
mod layer;
mod measure;
mod page;
mod problem;
mod rate;
mod seal;
mod workspace;

pub use attachment::attachment;
pub use edge::{Edge, EdgeConfig, RequestContext};
pub use execution::{Execution, Printed};
pub use extract::{ApiJson, ApiPath, ApiQuery, Body, Object};
pub use idempotency::{Begun, Hold, Idempotency, Keyed};
pub use layer::layers;
pub use measure::measured;
pub use page::{Cursor, Page, PageQuery};
pub use problem::{FieldError, Problem, ProblemDocument};
pub use rate::{RateLimit, Standing};
pub use workspace::Workspace;
