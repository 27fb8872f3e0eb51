//! Requests whose answer may be larger than a message: it comes in pieces.

use std::time::Duration;

use async_nats::{HeaderMap, StatusCode};
use bytes::{Bytes, BytesMut};
use futures::StreamExt;
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::{Bus, RequestError};

/// Bytes in one piece.
const PIECE: usize = 512 * 1024;
/// On the last piece: the answer's tag.
const TAG: &str = "Kiln-Tag";
/// Requests that one service works on at the same time; they are cheap, since they mostly wait.
const MAX_CONCURRENT: usize = 16_384;

/// An answer of any size, with a word that says what it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Large {
    pub tag: String,
    pub body: Bytes,
}

impl Bus {
    /// Asks and gathers the pieces, waiting at most `deadline` in all.
    pub async fn request_large<Q: Serialize>(&self, subject: &str, query: &Q, deadline: Duration) -> Result<Large, RequestError> {
        let failed = || RequestError::Bus { subject: subject.to_owned() };
        let body = serde_json::to_vec(query).map_err(|source| RequestError::Malformed { subject: subject.to_owned(), source })?;
        let inbox = self.client.new_inbox();
        let mut pieces = self.client.subscribe(inbox.clone()).await.map_err(|_| failed())?;
        self.client.publish_with_reply(subject.to_owned(), inbox, body.into()).await.map_err(|_| failed())?;
        let gather = async {
            let mut answer = BytesMut::new();
            while let Some(piece) = pieces.next().await {
                if piece.status == Some(StatusCode::NO_RESPONDERS) {
                    return Err(RequestError::NoResponders { subject: subject.to_owned() });
                }
                answer.extend_from_slice(&piece.payload);
                if let Some(tag) = piece.headers.as_ref().and_then(|headers| headers.get(TAG)) {
                    return Ok(Large { tag: tag.as_str().to_owned(), body: answer.freeze() });
                }
            }
            Err(failed())
        };
        tokio::time::timeout(deadline, gather)
            .await
            .unwrap_or_else(|_| Err(RequestError::TimedOut { subject: subject.to_owned() }))
    }

    /// Answers such requests within `group` until `shutdown`. What cannot be answered is logged and left to the asker's deadline.
    pub async fn serve_large<Q, H, F>(
        &self,
        subject: &str,
        group: &str,
        shutdown: CancellationToken,
        handler: H,
    ) -> anyhow::Result<()>
    where
        Q: DeserializeOwned + Send + 'static,
        H: Fn(Q) -> F + Clone + Send + Sync + 'static,
        F: Future<Output = anyhow::Result<Large>> + Send + 'static,
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
            let Some(inbox) = message.reply.clone() else { continue };
            let permit = std::sync::Arc::clone(&permits).acquire_owned().await?;
            let (bus, handler, subject, shutdown) = (self.clone(), handler.clone(), subject.to_owned(), shutdown.clone());
            tracker.spawn(async move {
                let answer = async { bus.send_pieces(inbox, handler(serde_json::from_slice(&message.payload)?).await?).await };
                let outcome = tokio::select! {
                    outcome = answer => outcome,
                    () = shutdown.cancelled() => Ok(()),
                };
                if let Err(error) = outcome {
                    tracing::error!(error = format!("{error:#}"), subject, "request failed");
                }
                drop(permit);
            });
        }
        tracker.close();
        tracker.wait().await;
        Ok(())
    }

    async fn send_pieces(&self, inbox: async_nats::Subject, answer: Large) -> anyhow::Result<()> {
        let mut body = answer.body;
        while body.len() > PIECE {
            self.client.publish(inbox.clone(), body.split_to(PIECE)).await?;
        }
        let mut headers = HeaderMap::new();
        headers.insert(TAG, answer.tag.as_str());
        self.client.publish_with_headers(inbox, headers, body).await?;
        Ok(())
    }
}
