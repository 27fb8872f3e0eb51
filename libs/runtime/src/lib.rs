//! How a process of Kiln is put together: what a service is, its settings, its outbox relay, and what serves it.

pub mod config;
pub mod logging;
pub mod metrics;
pub mod outbox;
mod service;
pub mod serving;
pub mod shutdown;
pub mod vitals;

pub use service::{Deps, Ready, Service, Task};
