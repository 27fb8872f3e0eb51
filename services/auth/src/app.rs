//! What every handler and task of the service holds.

use std::net::IpAddr;
use std::ops::Deref;
use std::sync::Arc;

use axum::extract::FromRef;
use kiln_bus::Bus;
use kiln_db::Database;
use kiln_http::auth::{ClientAddress, Verifier};
use kiln_http::{Problem, RateLimit};
use kiln_runtime::outbox::Relay;
use tokio_util::task::TaskTracker;

use crate::config::Config;
use crate::envelope::Keyring;
use crate::mail::Mailer;
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
    /// Invitations, each of which is a mail to whom the caller names, by address.
    pub invitations: RateLimit<IpAddr>,
    /// Mails asked for, by address.
    pub mails: RateLimit<IpAddr>,
    pub mailer: Mailer,
    /// The operator's keys for tenants' secrets.
    pub keyring: Keyring,
    pub verifier: Verifier,
    /// Requests that go on after their client has left.
    pub requests: TaskTracker,
}

impl App {
    pub fn new(parts: Parts) -> Self {
        Self(Arc::new(parts))
    }

    /// Counts an invitation; 429 when the address has sent too many.
    pub fn take_invitation(&self, address: ClientAddress) -> Result<(), Problem> {
        let taken = self.invitations.take(&address.network()).map(drop);
        taken.map_err(|refused| refused.refusal("rate_limited", "Too many invitations from this address; wait and try again."))
    }

    /// Counts a mail that is asked for; 429 when the address has asked for too many.
    pub fn take_mail(&self, address: ClientAddress) -> Result<(), Problem> {
        let taken = self.mails.take(&address.network()).map(drop);
        taken
            .map_err(|refused| refused.refusal("rate_limited", "Too many mails asked for from this address; wait and try again."))
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
