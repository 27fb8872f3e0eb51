//! Sessions in real sandboxes: state from cell to cell, the outputs in their order, every way that a cell can end.
//!
//! Needs what the sandbox's own tests need, and says so where it is missing.

#![allow(clippy::unwrap_used, clippy::wildcard_enum_match_arm, reason = "tests")]

#[path = "../sandbox/fixture.rs"]
#[allow(dead_code, reason = "shared with the tests of the sandbox, which use more of it")]
mod fixture;

const START: kiln_domain::Start = kiln_domain::Start::Warm;

mod ends;
mod input;
mod outputs;
mod rich;
mod state;
mod talk;
