//! Requests to the API as the signed-in user: the right header, a new access token when the old one has run out.

use std::path::Path;
use std::sync::Mutex;
use std::time::Duration;

use anyhow::Context;
use reqwest::header::{ACCEPT, CONTENT_LENGTH, CONTENT_TYPE, HeaderValue};
use reqwest::{Method, RequestBuilder, Response, StatusCode, Url};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use tokio_util::io::ReaderStream;

use super::Target;
use super::credentials::{Credential, Held, Store, Tokens};
use super::problem::Problem;
use super::server;

const CONNECT_DEADLINE: Duration = Duration::from_secs(10);
/// Between two reads of an answer; the server sends a comment on quiet streams well within it.
const SILENCE_DEADLINE: Duration = Duration::from_secs(90);
/// Read of a file at once.
const PIECE_BYTES: usize = 256 * 1024;
/// A problem document or a JSON answer larger than this is nothing that Kiln sends.
const ANSWER_BYTES: usize = 200 * 1024 * 1024;

pub struct Api {
    pub server: Url,
    http: reqwest::Client,
    credential: Mutex<Credential>,
}

impl Api {
    /// For commands that need to be signed in.
    pub fn open(target: &Target) -> anyhow::Result<Self> {
        let store = Store::load()?;
        let server = server::choose(target.server.as_deref(), &store)?;
        let credential = match &target.api_key {
            Some(key) => Credential::ApiKey(key.clone()),
            None => store
                .credential(&server)
                .with_context(|| format!("not signed in to {server}: run `kiln login`, or set KILN_API_KEY"))?,
        };
        Ok(Self { http: http()?, server, credential: Mutex::new(credential) })
    }

    /// The same server, with other credentials.
    pub fn with(&self, credential: Credential) -> Self {
        Self { server: self.server.clone(), http: self.http.clone(), credential: Mutex::new(credential) }
    }

    pub fn http(&self) -> &reqwest::Client {
        &self.http
    }

    /// Status and bytes of the answer, whatever the status is.
    pub async fn answer(
        &self,
        method: Method,
        path: &str,
        body: Option<&Value>,
        at_most: usize,
    ) -> anyhow::Result<(u16, Vec<u8>)> {
        let request = self.request(method, path)?;
        let request = match body {
            Some(body) => request.json(body),
            None => request,
        };
        let answer = request.send().await.map_err(|error| unreachable(&self.server, error))?;
        Ok((answer.status().as_u16(), read(answer, at_most).await?))
    }

    /// The answer as JSON.
    pub async fn json<T: DeserializeOwned>(&self, method: Method, path: &str, body: Option<&Value>) -> anyhow::Result<T> {
        let answer = self.sent(method, path, body).await?;
        let body = read(answer, ANSWER_BYTES).await?;
        serde_json::from_slice(&body).with_context(|| format!("{} gave an answer that this client does not know", self.server))
    }

    /// Has something done; whatever the answer says beside that it was is left unread.
    pub async fn done(&self, method: Method, path: &str, body: Option<&Value>) -> anyhow::Result<()> {
        self.sent(method, path, body).await.map(drop)
    }

    async fn sent(&self, method: Method, path: &str, body: Option<&Value>) -> anyhow::Result<Response> {
        self.send(|| {
            let request = self.request(method.clone(), path)?;
            Ok(match body {
                Some(body) => request.json(body),
                None => request,
            })
        })
        .await
    }

    /// A stream of events from after the given one.
    pub async fn events(&self, path: &str, after: Option<&str>) -> anyhow::Result<Response> {
        let after = after.map(HeaderValue::from_str).transpose().context("the server's event id cannot be a header")?;
        self.send(|| {
            let mut request = self.request(Method::GET, path)?.header(ACCEPT, "text/event-stream");
            if let Some(after) = &after {
                request = request.header("Last-Event-ID", after);
            }
            Ok(request)
        })
        .await
    }

    /// The answer's bytes.
    pub async fn bytes(&self, path: &str, at_most: usize) -> anyhow::Result<Vec<u8>> {
        read(self.send(|| self.request(Method::GET, path)).await?, at_most).await
    }

    /// Sends a file's bytes as they are read, and gives the answer as JSON.
    pub async fn upload<T: DeserializeOwned>(&self, path: &str, file: &Path) -> anyhow::Result<T> {
        let about = || format!("cannot read {}", file.display());
        let size = std::fs::metadata(file).with_context(about)?.len();
        let answer = self.send(|| {
            let bytes = tokio::fs::File::from_std(std::fs::File::open(file).with_context(about)?);
            let stream = ReaderStream::with_capacity(bytes, PIECE_BYTES);
            let request = self.request(Method::PUT, path)?.header(CONTENT_TYPE, "application/octet-stream");
            Ok(request.header(CONTENT_LENGTH, size).body(reqwest::Body::wrap_stream(stream)))
        });
        let body = read(answer.await?, ANSWER_BYTES).await?;
        serde_json::from_slice(&body).with_context(|| format!("{} gave an answer that this client does not know", self.server))
    }

    /// An answer that is taken piece by piece.
    pub async fn download(&self, path: &str) -> anyhow::Result<Response> {
        self.send(|| self.request(Method::GET, path)).await
    }

    /// Replaces what has this entity tag, and gives the answer as JSON.
    pub async fn replace<T: DeserializeOwned>(&self, path: &str, tag: &str, body: &Value) -> anyhow::Result<T> {
        let answer = self.send(|| Ok(self.request(Method::PUT, path)?.header("if-match", tag).json(body))).await?;
        let body = read(answer, ANSWER_BYTES).await?;
        serde_json::from_slice(&body).with_context(|| format!("{} gave an answer that this client does not know", self.server))
    }

    /// For an answer without a body.
    pub async fn nothing(&self, method: Method, path: &str) -> anyhow::Result<()> {
        self.send(|| self.request(method.clone(), path)).await.map(drop)
    }

    /// The value of the authorization header, for what is no plain request.
    pub fn authorization(&self) -> String {
        let credential = self.credential.lock().expect("nothing panics while it holds this lock");
        match &*credential {
            Credential::ApiKey(key) => format!("Bearer {key}"),
            Credential::Tokens(tokens) => format!("Bearer {}", tokens.access_token),
        }
    }

    /// Takes a new access token, or the one that another client took meanwhile.
    pub async fn renew(&self) -> anyhow::Result<()> {
        let used = match &*self.credential.lock().expect("nothing panics while it holds this lock") {
            Credential::ApiKey(_) => {
                anyhow::bail!("the API key is not accepted by {}: it is wrong, expired or revoked", self.server)
            }
            Credential::Tokens(tokens) => tokens.access_token.clone(),
        };
        let mut held = tokio::task::spawn_blocking(Held::open).await??;
        let tokens = match held.store.credential(&self.server) {
            Some(Credential::Tokens(tokens)) if tokens.access_token != used => tokens,
            Some(Credential::Tokens(tokens)) => {
                let body = json!({ "refresh_token": tokens.refresh_token });
                let tokens: Tokens = post(&self.http, &self.server, "api/v1/auth/refresh", &body)
                    .await
                    .with_context(|| format!("the sign-in at {} has ended: run `kiln login`", self.server))?;
                held.store.renew(&self.server, tokens.clone());
                held.save()?;
                tokens
            }
            _ => anyhow::bail!("not signed in to {} any more: run `kiln login`", self.server),
        };
        *self.credential.lock().expect("nothing panics while it holds this lock") = Credential::Tokens(tokens);
        Ok(())
    }

    fn request(&self, method: Method, path: &str) -> anyhow::Result<RequestBuilder> {
        let url = self.server.join(path).with_context(|| format!("{path} is no path"))?;
        Ok(self.http.request(method, url).header("authorization", self.authorization()))
    }

    /// Sends, and once more with a new access token when the old one is not accepted.
    async fn send(&self, request: impl Fn() -> anyhow::Result<RequestBuilder>) -> anyhow::Result<Response> {
        match accepted(request()?.send().await.map_err(|error| unreachable(&self.server, error))?).await {
            Err(problem) if problem.status == StatusCode::UNAUTHORIZED.as_u16() => {
                self.renew().await?;
                let answer = request()?.send().await.map_err(|error| unreachable(&self.server, error))?;
                Ok(accepted(answer).await?)
            }
            other => Ok(other?),
        }
    }
}

pub fn http() -> anyhow::Result<reqwest::Client> {
    reqwest::Client::builder()
        .connect_timeout(CONNECT_DEADLINE)
        .read_timeout(SILENCE_DEADLINE)
        .user_agent(concat!("kiln/", env!("CARGO_PKG_VERSION")))
        .build()
        .context("the HTTP client could not be made")
}

/// A request without credentials, as signing in is.
pub async fn post<T: DeserializeOwned>(http: &reqwest::Client, server: &Url, path: &str, body: &Value) -> anyhow::Result<T> {
    let answer = http.post(server.join(path)?).json(body).send().await.map_err(|error| unreachable(server, error))?;
    let body = read(accepted(answer).await?, ANSWER_BYTES).await?;
    serde_json::from_slice(&body).with_context(|| format!("{server} gave an answer that this client does not know"))
}

async fn accepted(answer: Response) -> Result<Response, Problem> {
    let status = answer.status();
    if status.is_success() {
        return Ok(answer);
    }
    let body = read(answer, 64 * 1024).await.unwrap_or_default();
    Err(Problem::parse(status, &body))
}

async fn read(mut answer: Response, at_most: usize) -> anyhow::Result<Vec<u8>> {
    let mut body = Vec::new();
    while let Some(chunk) = answer.chunk().await.context("the answer broke off")? {
        anyhow::ensure!(body.len() + chunk.len() <= at_most, "the answer is larger than {at_most} bytes");
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}

fn unreachable(server: &Url, error: reqwest::Error) -> anyhow::Error {
    let said = format!("no Kiln answers at {server}; start one here with `kiln up`, or name another with --server URL");
    if error.is_connect() {
        anyhow::Error::new(error).context(said)
    } else {
        anyhow::Error::new(error).context("the request failed")
    }
}
