//! Reading `text/event-stream` as a browser does, <https://html.spec.whatwg.org/multipage/server-sent-events.html>.

use std::time::{Duration, SystemTime};

use futures::StreamExt;
use futures::stream::BoxStream;
use serde_json::Value;

use crate::{Answer, Call};

/// One event, with the moment at which its last byte had arrived.
#[derive(Debug, Clone)]
pub struct Event {
    pub id: String,
    pub kind: String,
    pub data: Value,
    pub at: SystemTime,
}

/// An open stream of events.
pub struct Events {
    request: String,
    chunks: BoxStream<'static, Result<Vec<u8>, reqwest::Error>>,
    unread: Vec<u8>,
}

impl Event {
    /// The text of an output event.
    pub fn text(&self) -> &str {
        self.data["text"].as_str().unwrap_or_default()
    }
}

impl Events {
    /// Opens the stream, or gives the answer that refused it.
    ///
    /// # Errors
    /// Every answer other than 200.
    pub async fn open(call: Call) -> Result<Self, Answer> {
        let (request, response) = call.timeout(Duration::from_mins(2)).open().await.unwrap_or_else(|error| panic!("{error}"));
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        if status != 200 {
            let body = response.bytes().await.unwrap_or_else(|error| panic!("{request}: {error}")).to_vec();
            return Err(Answer { request, status, headers, body });
        }
        let kind = headers.get("content-type").and_then(|value| value.to_str().ok()).unwrap_or_default();
        assert!(kind.starts_with("text/event-stream"), "{request}: a stream of type {kind:?}");
        let chunks = response.bytes_stream().map(|chunk| chunk.map(|bytes| bytes.to_vec())).boxed();
        Ok(Self { request, chunks, unread: Vec::new() })
    }

    /// The next event, or None once the server has closed the stream.
    ///
    /// # Panics
    /// When nothing came within the deadline, or the connection broke.
    pub async fn next(&mut self, deadline: Duration) -> Option<Event> {
        tokio::time::timeout(deadline, self.read())
            .await
            .unwrap_or_else(|_| panic!("{}: no event within {deadline:?}", self.request))
    }

    /// The next event of that kind; others are passed over.
    pub async fn next_of(&mut self, kind: &str, deadline: Duration) -> Event {
        let wait = async {
            loop {
                match self.read().await {
                    Some(event) if event.kind == kind => return event,
                    Some(_) => {}
                    None => panic!("{}: the stream ended without {kind:?}", self.request),
                }
            }
        };
        tokio::time::timeout(deadline, wait).await.unwrap_or_else(|_| panic!("no {kind:?} event within {deadline:?}"))
    }

    /// All events until the server closes.
    pub async fn rest(&mut self, deadline: Duration) -> Vec<Event> {
        let wait = async {
            let mut events = Vec::new();
            while let Some(event) = self.read().await {
                events.push(event);
            }
            events
        };
        tokio::time::timeout(deadline, wait).await.unwrap_or_else(|_| panic!("{}: still open after {deadline:?}", self.request))
    }

    async fn read(&mut self) -> Option<Event> {
        loop {
            if let Some(end) = self.unread.windows(2).position(|pair| pair == b"\n\n") {
                let block: Vec<u8> = self.unread.drain(..end + 2).collect();
                match parse(&String::from_utf8_lossy(&block)) {
                    Some(event) => return Some(event),
                    None => continue, // a comment, sent to keep the connection open
                }
            }
            match self.chunks.next().await {
                Some(Ok(bytes)) => self.unread.extend(bytes),
                Some(Err(error)) => panic!("{}: the stream broke: {error:?}", self.request),
                None => {
                    let cut = String::from_utf8_lossy(&self.unread);
                    assert!(self.unread.is_empty(), "{}: closed in the middle of an event: {cut:?}", self.request);
                    return None;
                }
            }
        }
    }
}

fn parse(block: &str) -> Option<Event> {
    let (mut id, mut kind, mut data) = (String::new(), "message".to_owned(), Vec::new());
    for line in block.lines() {
        let (field, value) = line.split_once(':').unwrap_or((line, ""));
        let value = value.strip_prefix(' ').unwrap_or(value);
        match field {
            "id" => value.clone_into(&mut id),
            "event" => value.clone_into(&mut kind),
            "data" => data.push(value),
            _ => {}
        }
    }
    if data.is_empty() {
        return None;
    }
    let data = data.join("\n");
    let data = serde_json::from_str(&data).unwrap_or_else(|error| panic!("event data is no JSON ({error}): {data}"));
    Some(Event { id, kind, data, at: SystemTime::now() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_taken_and_comments_passed_over() {
        let event = parse("id: 7\nevent: stdout\ndata: {\"text\":\"a: b\\n\"}\n\n").unwrap();
        assert_eq!((event.id.as_str(), event.kind.as_str(), event.text()), ("7", "stdout", "a: b\n"));
        assert!(parse(": keep-alive\n\n").is_none());
    }
}
