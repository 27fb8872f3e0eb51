//! Drives the real `kiln` program as a client and as an operator would, for tests alone.
//!
//! A test visits a deployment, signs tenants up there and speaks HTTP, server-sent events and WebSocket to it;
//! or it brings up an installation of its own, to kill it. Every wait here has a deadline, and a failed expectation
//! panics with the request and the whole answer.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test that panics says so at the place")]

mod answer;
mod api;
mod attach;
mod cli;
mod deployment;
mod events;
mod eventually;
mod guardian;
mod installation;
mod outside;
mod processes;
mod python;
mod shape;
mod split;
mod tenant;

pub use answer::{Answer, Problem};
pub use api::{Api, Call};
pub use attach::Attached;
pub use cli::{Cli, Finished};
pub use deployment::{Deployment, Mode, Visit};
pub use events::{Event, Events};
pub use eventually::eventually;
pub use installation::{Installation, kiln_program};
pub use processes::{Marker, cgroups_of, children, descendants, kill_all, live, processes_with};
pub use python::Python;
pub use shape::assert_like;
pub use split::Split;
pub use tenant::{PASSWORD, Tenant, unique_email};
