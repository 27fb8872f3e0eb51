//! Programs in each runtime, in real sandboxes: the same words and ends as by the bare interpreter, and figures.
//!
//! Needs what the sandbox's own tests need, and says so where it is missing.

#[path = "../sandbox/fixture.rs"]
#[allow(dead_code, reason = "shared with the tests of the sandbox, which use more of it")]
mod fixture;

mod bare;
mod figures;
mod poisoned;
