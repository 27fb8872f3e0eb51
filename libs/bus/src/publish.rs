//! Publishing to a stream, confirmed.

use std::future::IntoFuture;

use async_nats::jetstream::context::{PublishAckFuture, PublishErrorKind};
use async_nats::jetstream::message::PublishMessage;
use kiln_domain::EventId;
use serde::Serialize;

use crate::Bus;

#[derive(Debug, thiserror::Error)]
pub enum PublishError {
    #[error("the message cannot be written as JSON")]
    Encode(#[from] serde_json::Error),
    #[error("the bus did not take the message")]
    Bus(#[from] async_nats::jetstream::context::PublishError),
}

impl PublishError {
    /// Whether the same publication can never succeed.
    pub fn is_permanent(&self) -> bool {
        match self {
            Self::Encode(_) => true,
            Self::Bus(error) => matches!(error.kind(), PublishErrorKind::MaxPayloadExceeded),
        }
    }
}

/// A publication under way.
pub struct Ack(PublishAckFuture);

impl Ack {
    /// Waits until the stream has stored the message.
    pub async fn confirmed(self) -> Result<(), PublishError> {
        Ok(self.0.into_future().await.map(drop)?)
    }
}

impl Bus {
    /// Sends now and returns before the confirmation; messages of one task keep their order.
    pub async fn publish_later(&self, subject: &str, id: Option<EventId>, body: Vec<u8>) -> Result<Ack, PublishError> {
        let mut message = PublishMessage::build().payload(body.into());
        if let Some(id) = id {
            message = message.message_id(id.to_string());
        }
        Ok(Ack(self.jetstream.send_publish(subject.to_owned(), message).await?))
    }

    /// Publishes and waits until the stream has stored the message.
    pub async fn publish<T: Serialize>(&self, subject: &str, id: Option<EventId>, payload: &T) -> Result<(), PublishError> {
        self.publish_later(subject, id, serde_json::to_vec(payload)?).await?.confirmed().await
    }
}
