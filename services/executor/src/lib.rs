//! Runs programs: finds the interpreters, keeps the sandboxes, and turns tasks into ended runs.

pub mod runtimes;
pub mod sandbox;
