//! The local sandbox as it is: real namespaces, control groups, disks, programs.
//!
//! Needs root, control groups, loop devices, a system Python, and `kiln-runner` built in the same profile.
//! Where the host lacks one, each test says so by name and does nothing.

#![expect(clippy::unwrap_used, clippy::wildcard_enum_match_arm, reason = "a test fails by panicking")]

/// How every program here starts; `tests/sandbox_cold` has the same tests with the other way.
const START: kiln_domain::Start = kiln_domain::Start::Warm;

mod ends;
mod fixture;
mod inputs;
mod isolation;
mod limits;
mod nothing_left;
mod outputs;
