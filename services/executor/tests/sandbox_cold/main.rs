//! The tests of the local sandbox again, with an interpreter executed for each program.

#![expect(clippy::unwrap_used, clippy::wildcard_enum_match_arm, reason = "a test fails by panicking")]

const START: kiln_domain::Start = kiln_domain::Start::Cold;

#[path = "../sandbox/ends.rs"]
mod ends;
#[path = "../sandbox/fixture.rs"]
mod fixture;
#[path = "../sandbox/inputs.rs"]
mod inputs;
#[path = "../sandbox/isolation.rs"]
mod isolation;
#[path = "../sandbox/limits.rs"]
mod limits;
#[path = "../sandbox/nothing_left.rs"]
mod nothing_left;
#[path = "../sandbox/outputs.rs"]
mod outputs;
