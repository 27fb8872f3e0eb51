//! How a process of Kiln is put together: what a service is, its settings, its outbox relay.

pub mod outbox;
mod service;

pub use service::{Deps, Ready, Service, Task};
