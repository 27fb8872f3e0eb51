//! Runs programs in sandboxes.

pub mod sandbox;
