//! The contract against `kiln up`, and what concerns an installation as a whole.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test that panics says so at the place")]

mod cli;
mod crash;
mod keys;
mod many;
mod notebook_crash;
mod suite;
mod up;
mod workspace_crash;

const MODE: kiln_test_support::Mode = kiln_test_support::Mode::All;
