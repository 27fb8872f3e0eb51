//! Plays a program's console: its output here, what is typed here its input.

use std::io::Read;

use anyhow::Context;
use futures::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tokio::sync::mpsc;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::http::{HeaderValue, StatusCode};
use tokio_tungstenite::tungstenite::{Error, Message};
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async};

use super::api::Api;
use super::execution::Execution;
use super::follow::Retry;
use super::problem::Problem;
use super::told::Told;

const CHUNK_BYTES: usize = 32 * 1024;
/// Chunks of input read ahead of the server.
const QUEUED_CHUNKS: usize = 16;

type Socket = WebSocketStream<MaybeTlsStream<tokio::net::TcpStream>>;

/// What is typed, and the interruptions by Ctrl-C.
pub enum Typed {
    Text(String),
    End,
    Interrupt,
}

/// Shows the execution's output, sends it what is typed, and returns how it ended.
pub async fn interact(api: &Api, id: &str, interruptions: &mut mpsc::Receiver<()>) -> anyhow::Result<Execution> {
    let mut typed = read_input();
    let mut after = None;
    let mut retry = Retry::new();
    // What could not be sent before the connection broke.
    let mut unsent = None;
    loop {
        let broke = match connect(api, id, after.as_deref()).await {
            Ok(mut socket) => {
                let mut console =
                    Console { typed: &mut typed, interruptions, after: &mut after, retry: &mut retry, unsent: &mut unsent };
                match console.play(&mut socket).await {
                    Ok(execution) => return Ok(execution),
                    Err(error) => error,
                }
            }
            Err(error) => error,
        };
        retry.wait(broke).await?;
    }
}

struct Console<'a> {
    typed: &'a mut mpsc::Receiver<Typed>,
    interruptions: &'a mut mpsc::Receiver<()>,
    after: &'a mut Option<String>,
    retry: &'a mut Retry,
    unsent: &'a mut Option<Typed>,
}

impl Console<'_> {
    async fn play(&mut self, socket: &mut Socket) -> anyhow::Result<Execution> {
        loop {
            if let Some(typed) = self.unsent.take() {
                let message = Message::text(said(&typed).to_string());
                if let Err(error) = socket.send(message).await {
                    *self.unsent = Some(typed);
                    return Err(error).context("the connection broke");
                }
            }
            tokio::select! {
                message = socket.next() => {
                    let message = message.context("the server closed the connection")?.context("the connection broke")?;
                    if let Some(execution) = self.hear(message)? {
                        return Ok(execution);
                    }
                }
                Some(typed) = self.typed.recv() => *self.unsent = Some(typed),
                Some(()) = self.interruptions.recv() => *self.unsent = Some(Typed::Interrupt),
            }
        }
    }

    fn hear(&mut self, message: Message) -> anyhow::Result<Option<Execution>> {
        let Message::Text(text) = message else { return Ok(None) };
        let data: Value = serde_json::from_str(&text).context("an event is no JSON")?;
        let name = data.get("type").and_then(Value::as_str).unwrap_or_default().to_owned();
        if let Some(id) = data.get("id").and_then(Value::as_str) {
            *self.after = Some(id.to_owned());
        }
        self.retry.reset();
        let told = Told::parse(&name, data)?;
        told.show()?;
        Ok(match told {
            Told::End(execution) => Some(*execution),
            Told::Stdout(_) | Told::Stderr(_) | Told::Display | Told::Other => None,
        })
    }
}

fn said(typed: &Typed) -> Value {
    match typed {
        Typed::Text(text) => json!({ "type": "stdin", "data": text }),
        Typed::End => json!({ "type": "eof" }),
        Typed::Interrupt => json!({ "type": "signal", "signal": "SIGINT" }),
    }
}

async fn connect(api: &Api, id: &str, after: Option<&str>) -> anyhow::Result<Socket> {
    match try_connect(api, id, after).await {
        Err(Error::Http(answer)) if answer.status() == StatusCode::UNAUTHORIZED => {
            api.renew().await?;
            Ok(try_connect(api, id, after).await?.0)
        }
        Err(Error::Http(answer)) => {
            let status = reqwest::StatusCode::from_u16(answer.status().as_u16()).context("an answer without a status")?;
            Err(Problem::parse(status, answer.body().as_deref().unwrap_or_default()).into())
        }
        other => Ok(other.context("the console could not be opened")?.0),
    }
}

async fn try_connect(
    api: &Api,
    id: &str,
    after: Option<&str>,
) -> Result<(Socket, tokio_tungstenite::tungstenite::handshake::client::Response), Error> {
    let mut url = api.server.clone();
    url.set_path(&format!("{}api/v1/executions/{id}/attach", url.path()));
    url.set_query(after.map(|after| format!("after={after}")).as_deref());
    // http becomes ws and https wss.
    let address = format!("ws{}", url.as_str().trim_start_matches("http"));
    let mut request = address.into_client_request()?;
    let authorization = HeaderValue::from_str(&api.authorization()).map_err(|error| Error::HttpFormat(error.into()))?;
    request.headers_mut().insert("authorization", authorization);
    connect_async(request).await
}

/// Standard input, chunk by chunk. A thread of its own reads it, which ends with the process: a read cannot be called off.
fn read_input() -> mpsc::Receiver<Typed> {
    let (send, typed) = mpsc::channel(QUEUED_CHUNKS);
    std::thread::spawn(move || {
        let mut stdin = std::io::stdin().lock();
        let mut pending = Vec::new();
        let mut chunk = vec![0; CHUNK_BYTES];
        loop {
            let count = stdin.read(&mut chunk).unwrap_or(0);
            pending.extend_from_slice(chunk.get(..count).unwrap_or_default());
            let text = take_text(&mut pending, count == 0);
            if !text.is_empty() && send.blocking_send(Typed::Text(text)).is_err() {
                return;
            }
            if count == 0 {
                // Whoever listened may have left with the run.
                drop(send.blocking_send(Typed::End));
                return;
            }
        }
    });
    typed
}

/// The characters that are whole; an unfinished one waits, unless it is the last of the input.
fn take_text(pending: &mut Vec<u8>, last: bool) -> String {
    let whole = match std::str::from_utf8(pending) {
        Err(error) if error.error_len().is_none() && !last => error.valid_up_to(),
        _ => pending.len(),
    };
    let rest = pending.split_off(whole);
    String::from_utf8_lossy(&std::mem::replace(pending, rest)).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn characters_are_never_cut() {
        let mut pending = "né".as_bytes().get(..2).unwrap().to_vec();
        assert_eq!(take_text(&mut pending, false), "n");
        pending.push(0xa9);
        assert_eq!(take_text(&mut pending, false), "é");
        pending.extend_from_slice(b"\xffa\xc3");
        assert_eq!(take_text(&mut pending, true), "\u{fffd}a\u{fffd}");
        assert!(pending.is_empty());
    }
}
