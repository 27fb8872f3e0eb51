//! The WebSocket that follows a run and feeds its stdin.

use std::time::Duration;

use futures::{SinkExt, StreamExt};
use serde_json::Value;
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::{Error, Message};
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream};

use crate::Api;

/// How long the handshake and each frame sent may take.
const DEADLINE: Duration = Duration::from_secs(10);

/// An open WebSocket.
pub struct Attached {
    socket: WebSocketStream<MaybeTlsStream<TcpStream>>,
    /// The code with which the server has closed.
    pub close_code: Option<u16>,
}

impl Attached {
    /// Opens the socket with the caller's credential, or gives the status that refused it.
    ///
    /// # Errors
    /// The HTTP status of the refusal.
    pub async fn open(api: &Api, path: &str) -> Result<Self, u16> {
        let mut request = api.websocket_url(path).into_client_request().expect("a route is a URL");
        if let Some(bearer) = api.bearer() {
            let value = format!("Bearer {bearer}").parse().expect("a credential is visible ASCII");
            request.headers_mut().insert("authorization", value);
        }
        let handshake = tokio_tungstenite::connect_async(request);
        match tokio::time::timeout(DEADLINE, handshake).await.expect("the handshake took too long") {
            Ok((socket, _)) => Ok(Self { socket, close_code: None }),
            Err(Error::Http(response)) => Err(response.status().as_u16()),
            Err(error) => panic!("{path}: {error}"),
        }
    }

    pub async fn send(&mut self, frame: &Value) {
        let sent = self.socket.send(Message::text(frame.to_string()));
        tokio::time::timeout(DEADLINE, sent).await.expect("the frame was not taken in time").expect("the socket is open");
    }

    /// The next frame, or None once the server has closed; then `close_code` is set.
    ///
    /// # Panics
    /// When nothing came within the deadline.
    pub async fn next(&mut self, deadline: Duration) -> Option<Value> {
        tokio::time::timeout(deadline, self.read()).await.unwrap_or_else(|_| panic!("no frame within {deadline:?}"))
    }

    /// Reads output of that stream until it ends with `ending`; gives all of it that came since the call.
    pub async fn output_until(&mut self, stream: &str, ending: &str, deadline: Duration) -> String {
        let mut text = String::new();
        let wait = async {
            while !text.ends_with(ending) {
                match self.read().await {
                    Some(frame) if frame["type"] == stream => text.push_str(frame["text"].as_str().unwrap_or_default()),
                    Some(_) => {}
                    None => panic!("closed before {ending:?}"),
                }
            }
        };
        let late = tokio::time::timeout(deadline, wait).await.is_err();
        assert!(!late, "no {ending:?} within {deadline:?} but {text:?}");
        text
    }

    /// All frames until the server closes.
    pub async fn rest(&mut self, deadline: Duration) -> Vec<Value> {
        let mut frames = Vec::new();
        let wait = async {
            while let Some(frame) = self.read().await {
                frames.push(frame);
            }
        };
        let late = tokio::time::timeout(deadline, wait).await.is_err();
        assert!(!late, "still open after {deadline:?}, after {frames:?}");
        frames
    }

    async fn read(&mut self) -> Option<Value> {
        loop {
            match self.socket.next().await {
                Some(Ok(Message::Text(text))) => {
                    return Some(
                        serde_json::from_str(&text).unwrap_or_else(|error| panic!("a frame is no JSON ({error}): {text}")),
                    );
                }
                Some(Ok(Message::Close(frame))) => self.close_code = frame.map(|frame| u16::from(frame.code)),
                Some(Ok(Message::Ping(_) | Message::Pong(_) | Message::Frame(_))) => {}
                Some(Ok(Message::Binary(_))) => panic!("a binary frame"),
                Some(Err(error)) => panic!("the socket broke: {error}"),
                None => return None,
            }
        }
    }
}
