//! What every handler and task of the service holds.

use std::net::IpAddr;
use std::ops::Deref;
use std::sync::Arc;

use axum::extract::FromRef;
use kiln_bus::Bus;
use kiln_db::Database;
use kiln_http::RateLimit;
use kiln_http::auth::Verifier;
use kiln_runtime::outbox::Relay;
use tokio_util::task::TaskTracker;

use crate::config::Config;
use crate::password::Hasher;
use crate::signing::SigningKeys;

/// The service's state; cheap to clone.
#[derive(Clone)]
pub struct App(Arc<Parts>);

pub struct Parts {
    pub config: Config,
    pub database: Database,
    pub bus: Bus,
    pub relay: Relay,
    pub hasher: Hasher,
    pub signing: SigningKeys,
    /// Sign-ups by address.
    pub signups: RateLimit<IpAddr>,
    pub verifier: Verifier,
    /// Requests that go on after their client has left.
    pub requests: TaskTracker,
}

impl App {
    pub fn new(parts: Parts) -> Self {
        Self(Arc::new(parts))
    }
}

impl Deref for App {
    type Target = Parts;
    fn deref(&self) -> &Parts {
        &self.0
    }
}

impl FromRef<App> for Verifier {
    fn from_ref(app: &App) -> Self {
        app.verifier.clone()
    }
}
