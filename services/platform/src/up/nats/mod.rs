//! The embedded NATS: found or fetched, given an account a service, reached by loopback.

mod fetch;
mod locate;
mod server;
pub mod users;

pub use fetch::fetch;
pub use locate::{Found, locate};
pub use server::Server;

/// Oldest version with what Kiln uses of JetStream.
pub const OLDEST: (u32, u32) = (2, 12);
