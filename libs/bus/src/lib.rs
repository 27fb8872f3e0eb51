//! NATS as every service uses it: streams with stated bounds, at-least-once consumers whose handlers say what became of
//! a message, and requests with a deadline.

mod consumer;
mod gauges;
mod large;
mod objects;
mod publish;
mod request;
mod streams;

pub use consumer::{Consumer, Delivery, Outcome};
pub use large::Large;
pub use objects::ObjectError;
pub use publish::{Ack, PublishError};
pub use request::{Fault, RequestError};

use std::time::Duration;

use async_nats::jetstream;

/// Longest wait for the bus to confirm a publication.
const ACK_TIMEOUT: Duration = Duration::from_secs(5);
/// Publications in flight on one connection; further ones wait.
const MAX_ACK_INFLIGHT: usize = 1024;

/// Connection to NATS as one service.
#[derive(Clone, Debug)]
pub struct Bus {
    client: async_nats::Client,
    jetstream: jetstream::Context,
}

/// Where NATS is and who this service is to it.
#[derive(Clone, Debug)]
pub struct BusConfig {
    /// Such as `nats://127.0.0.1:4222`; several separated by commas.
    pub url: String,
    pub user: String,
    pub password: String,
    /// Shown by NATS's monitoring.
    pub name: String,
}

impl BusConfig {
    /// Below which the answers to this service's requests come, so that it needs to hear no other's.
    fn inbox(&self) -> String {
        let name: String = self.user.chars().map(|letter| if letter.is_ascii_alphanumeric() { letter } else { '-' }).collect();
        if name.is_empty() { "_INBOX".to_owned() } else { format!("_INBOX.{name}") }
    }
}

#[derive(Debug, thiserror::Error)]
#[error("cannot connect to NATS at {url}")]
pub struct ConnectError {
    url: String,
    source: async_nats::ConnectError,
}

impl Bus {
    /// Connects once; after that the client reconnects by itself for as long as it lives.
    pub async fn connect(config: &BusConfig) -> Result<Self, ConnectError> {
        let servers: Vec<&str> = config.url.split(',').map(str::trim).collect();
        let client = async_nats::ConnectOptions::new()
            .name(&config.name)
            .custom_inbox_prefix(config.inbox())
            .user_and_password(config.user.clone(), config.password.clone())
            .connection_timeout(Duration::from_secs(5))
            .request_timeout(Some(Duration::from_secs(5)))
            .reconnect_delay_callback(|attempt| Duration::from_millis(50 * (attempt.min(20) as u64)))
            .connect(servers)
            .await
            .map_err(|source| ConnectError { url: config.url.clone(), source })?;
        let jetstream = jetstream::context::ContextBuilder::new()
            .timeout(ACK_TIMEOUT)
            .ack_timeout(ACK_TIMEOUT)
            .max_ack_inflight(MAX_ACK_INFLIGHT)
            .build(client.clone());
        Ok(Self { client, jetstream })
    }

    /// Whether the connection is up.
    pub fn is_connected(&self) -> bool {
        matches!(self.client.connection_state(), async_nats::connection::State::Connected)
    }

    /// The client itself, for core subscriptions.
    pub fn client(&self) -> &async_nats::Client {
        &self.client
    }

    /// JetStream itself, for consumers of a special kind.
    pub fn jetstream(&self) -> &jetstream::Context {
        &self.jetstream
    }

    /// Sends what is buffered and closes the subscriptions.
    pub async fn drain(&self) {
        if let Err(error) = self.client.drain().await {
            tracing::warn!(%error, "the bus was not drained");
        }
    }
}
