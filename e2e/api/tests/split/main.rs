//! The contract against each service in a process of its own.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test that panics says so at the place")]

#[path = "../api/suite/mod.rs"]
mod suite;

const MODE: kiln_test_support::Mode = kiln_test_support::Mode::Split;
