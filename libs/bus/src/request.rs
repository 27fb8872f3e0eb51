//! Request and reply over core NATS, in JSON, with a deadline.

use std::time::Duration;

use futures::StreamExt;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::Bus;

/// Requests that one service answers at the same time; further ones wait in the subscription.
const MAX_CONCURRENT: usize = 256;

/// What went wrong at the answering side, without its internals.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[error("{detail}")]
pub struct Fault {
    pub detail: String,
}

#[derive(Debug, thiserror::Error)]
pub enum RequestError {
    #[error("no service answers {subject}")]
    NoResponders { subject: String },
    #[error("{subject} did not answer in time")]
    TimedOut { subject: String },
    #[error("the answer of {subject} cannot be read")]
    Malformed {
        subject: String,
        #[source]
        source: serde_json::Error,
    },
    #[error("{subject} failed")]
    Fault {
        subject: String,
        #[source]
        source: Fault,
    },
    #[error("the bus did not carry the request to {subject}")]
    Bus { subject: String },
}

impl Bus {
    /// Asks and waits at most `deadline`.
    pub async fn request<Q: Serialize, A: DeserializeOwned>(
        &self,
        subject: &str,
        query: &Q,
        deadline: Duration,
    ) -> Result<A, RequestError> {
        let malformed = |source| RequestError::Malformed { subject: subject.to_owned(), source };
        let body = serde_json::to_vec(query).map_err(malformed)?;
        let request = async_nats::Request::new().payload(body.into()).timeout(Some(deadline));
        let reply = self.client.send_request(subject.to_owned(), request).await.map_err(|error| match error.kind() {
            async_nats::RequestErrorKind::NoResponders => RequestError::NoResponders { subject: subject.to_owned() },
            async_nats::RequestErrorKind::TimedOut => RequestError::TimedOut { subject: subject.to_owned() },
            async_nats::RequestErrorKind::InvalidSubject
            | async_nats::RequestErrorKind::MaxPayloadExceeded
            | async_nats::RequestErrorKind::Other => RequestError::Bus { subject: subject.to_owned() },
        })?;
        let answer: Result<A, Fault> = serde_json::from_slice(&reply.payload).map_err(malformed)?;
        answer.map_err(|source| RequestError::Fault { subject: subject.to_owned(), source })
    }

    /// Answers requests on `subject`, sharing them within `group`, until `shutdown`.
    /// What a handler returns as an error is logged here and answered without detail.
    pub async fn serve<Q, A, H, F>(
        &self,
        subject: &str,
        group: &str,
        shutdown: CancellationToken,
        handler: H,
    ) -> anyhow::Result<()>
    where
        Q: DeserializeOwned + Send + 'static,
        A: Serialize + Send + 'static,
        H: Fn(Q) -> F + Clone + Send + Sync + 'static,
        F: Future<Output = anyhow::Result<A>> + Send + 'static,
    {
        let mut requests = self.client.queue_subscribe(subject.to_owned(), group.to_owned()).await?;
        let permits = std::sync::Arc::new(tokio::sync::Semaphore::new(MAX_CONCURRENT));
        let tracker = TaskTracker::new();
        loop {
            let message = tokio::select! {
                message = requests.next() => message,
                () = shutdown.cancelled() => None,
            };
            let Some(message) = message else { break };
            let Some(reply_to) = message.reply.clone() else { continue };
            let permit = std::sync::Arc::clone(&permits).acquire_owned().await?;
            let (client, handler, subject) = (self.client.clone(), handler.clone(), subject.to_owned());
            tracker.spawn(async move {
                let answer = match serde_json::from_slice::<Q>(&message.payload) {
                    Ok(query) => handler(query).await.map_err(|error| {
                        tracing::error!(error = format!("{error:#}"), subject, "request failed");
                        Fault { detail: "internal error".to_owned() }
                    }),
                    Err(error) => {
                        tracing::warn!(%error, subject, "request cannot be read");
                        Err(Fault { detail: "malformed request".to_owned() })
                    }
                };
                match serde_json::to_vec(&answer) {
                    Ok(body) => {
                        if let Err(error) = client.publish(reply_to, body.into()).await {
                            tracing::warn!(%error, subject, "reply was not sent");
                        }
                    }
                    Err(error) => tracing::error!(%error, subject, "reply cannot be written"),
                }
                drop(permit);
            });
        }
        tracker.close();
        tracker.wait().await;
        Ok(())
    }
}
