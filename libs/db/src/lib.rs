//! Postgres as every service uses it: one role and one schema a service, and no statement outside a transaction
//! that says for which tenant, or for the system, it speaks.

mod idempotency;
mod outbox;
mod transaction;

pub use idempotency::{Answer, IdempotencyStore, Lookup};
pub use outbox::{Outbox, Outgoing};
pub use transaction::{Connections, Database, SystemTx, TenantTx};
