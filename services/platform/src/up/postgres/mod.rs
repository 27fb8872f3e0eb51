//! The embedded Postgres: found on the machine or fetched, its cluster made once, reached by a Unix socket.

mod cluster;
mod fetch;
mod locate;

pub use cluster::{Cluster, DATABASE, OWNER, remove_outside};
pub use fetch::fetch;
pub use locate::{Found, locate};

/// Oldest major version that Kiln's SQL is written for.
pub const OLDEST: u32 = 14;
