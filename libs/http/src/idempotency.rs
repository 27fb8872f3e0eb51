//! `Idempotency-Key`: the first answer to a request that creates is given again to its repeats.

use axum::body::Body;
use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use http_body_util::BodyExt as _;
use kiln_db::{Answer, Database, IdempotencyStore, Lookup, TenantTx};
use kiln_domain::TenantId;
use sha2::{Digest as _, Sha256};
use uuid::Uuid;

use crate::Problem;
use crate::edge::RequestContext;
use crate::layer::PROBLEM_JSON;
use crate::seal::Seal;

/// The header, if the request has one; 422 when it is empty or over 255 bytes.
#[derive(Debug, Clone)]
pub struct Idempotency {
    key: Option<String>,
    request_id: String,
}

impl<S: Send + Sync> FromRequestParts<S> for Idempotency {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        let request_id = parts.extensions.get::<RequestContext>().map(|context| context.id.to_string()).unwrap_or_default();
        let mut values = parts.headers.get_all("idempotency-key").iter();
        let key = match (values.next(), values.next()) {
            (None, _) => None,
            (Some(_), Some(_)) => return Err(Problem::invalid_field("Idempotency-Key", "must be given once")),
            (Some(value), None) => match value.to_str() {
                Ok(key) if (1..=255).contains(&key.len()) => Some(key.to_owned()),
                _ => return Err(Problem::invalid_field("Idempotency-Key", "must be 1 to 255 visible ASCII characters")),
            },
        };
        Ok(Self { key, request_id })
    }
}

/// One request that creates: which store, tenant and route it belongs to, and what exactly it asks.
pub struct Keyed<'a> {
    pub database: &'a Database,
    pub tenant: TenantId,
    /// Method and path pattern.
    pub route: &'static str,
    pub idempotency: Idempotency,
    /// Query and body as they came.
    pub query: &'a str,
    pub body: &'a [u8],
}

/// What a keyed request must do.
pub enum Begun {
    /// Create, then [`Hold::finish`].
    Mine(Hold),
    /// Answer with this: the first answer.
    Replay(Response),
    /// Answer with this object as it is now: the process that made it died before it answered.
    Made(Uuid),
}

impl Keyed<'_> {
    /// Takes the key, when there is one.
    pub async fn begin(self) -> Result<Begun, Problem> {
        self.take(None).await
    }

    /// As [`Keyed::begin`], for answers that hold a secret: they are kept encrypted.
    pub async fn begin_sealed(self) -> Result<Begun, Problem> {
        let seal = self.idempotency.key.as_deref().map(Seal::new).transpose()?;
        self.take(seal).await
    }

    async fn take(self, seal: Option<Seal>) -> Result<Begun, Problem> {
        let mut hold = Hold {
            store: IdempotencyStore::new(self.database.service()),
            database: self.database.clone(),
            tenant: self.tenant,
            route: self.route,
            key_hash: None,
            seal,
            request_id: self.idempotency.request_id,
        };
        let Some(key) = self.idempotency.key else { return Ok(Begun::Mine(hold)) };
        let key_hash = Sha256::digest(key.as_bytes()).to_vec();
        let mut request = Sha256::new();
        request.update(self.query.as_bytes());
        request.update([0]);
        request.update(self.body);
        let mut tx = self.database.tenant(self.tenant).await?;
        let lookup = hold.store.begin(&mut tx, self.route, &key_hash, &request.finalize()).await?;
        tx.commit().await?;
        match lookup {
            Lookup::Mine => {
                hold.key_hash = Some(key_hash);
                Ok(Begun::Mine(hold))
            }
            Lookup::Orphaned(object) => Ok(Begun::Made(object)),
            Lookup::Replay(mut answer) => {
                if let Some(seal) = &hold.seal {
                    answer.body = seal.open(&answer.body)?;
                }
                Ok(Begun::Replay(replay(answer)))
            }
            Lookup::InProgress => {
                Err(Problem::conflict("idempotency_in_progress", "The first request with this Idempotency-Key is still running."))
            }
            Lookup::Different => Err(Problem::new(
                StatusCode::UNPROCESSABLE_ENTITY,
                "idempotency_mismatch",
                "This Idempotency-Key was used with another body or query.",
            )),
        }
    }
}

/// The right to create under a key. The caller must not be dropped before [`Hold::finish`]: run it in a task of its own.
pub struct Hold {
    store: IdempotencyStore,
    database: Database,
    tenant: TenantId,
    route: &'static str,
    /// None for a request without a key.
    key_hash: Option<Vec<u8>>,
    /// Encrypts the kept answer.
    seal: Option<Seal>,
    request_id: String,
}

impl Hold {
    /// Notes what is made, in the transaction that makes it.
    pub async fn bind(&self, tx: &mut TenantTx, object: Uuid) -> Result<(), sqlx::Error> {
        match &self.key_hash {
            Some(key_hash) => self.store.bind(tx, self.route, key_hash, object).await,
            None => Ok(()),
        }
    }

    /// Keeps the answer and passes it on. Answers of 5xx and 429 give the key back.
    pub async fn finish(self, answer: Result<Response, Problem>) -> Result<Response, Problem> {
        let Some(key_hash) = self.key_hash.clone() else { return answer };
        let mut tx = self.database.tenant(self.tenant).await?;
        let answer = match answer {
            Err(problem) if problem.status().is_server_error() || problem.status() == StatusCode::TOO_MANY_REQUESTS => {
                self.store.release(&mut tx, self.route, &key_hash).await?;
                Err(problem)
            }
            Err(problem) => {
                let body = serde_json::to_vec(&problem.document(&self.request_id)).map_err(Problem::internal)?;
                let kept = Answer { status: problem.status().as_u16(), location: None, body: self.kept(body)? };
                self.store.finish(&mut tx, self.route, &key_hash, &kept).await?;
                Err(problem)
            }
            Ok(response) => {
                let (parts, body) = response.into_parts();
                let body = body.collect().await.map_err(Problem::internal)?.to_bytes();
                let location = parts.headers.get(header::LOCATION).and_then(|value| value.to_str().ok()).map(str::to_owned);
                let kept = Answer { status: parts.status.as_u16(), location, body: self.kept(body.to_vec())? };
                self.store.finish(&mut tx, self.route, &key_hash, &kept).await?;
                Ok(Response::from_parts(parts, Body::from(body)))
            }
        };
        tx.commit().await?;
        answer
    }
}

impl Hold {
    fn kept(&self, body: Vec<u8>) -> Result<Vec<u8>, Problem> {
        match &self.seal {
            Some(seal) => seal.seal(body),
            None => Ok(body),
        }
    }
}

fn replay(answer: Answer) -> Response {
    let status = StatusCode::from_u16(answer.status).unwrap_or(StatusCode::OK);
    let kind = if status.is_success() { "application/json" } else { PROBLEM_JSON };
    let mut response = (status, answer.body).into_response();
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
    headers.insert("idempotency-replayed", HeaderValue::from_static("true"));
    if let Some(location) = answer.location.and_then(|location| HeaderValue::from_str(&location).ok()) {
        headers.insert(header::LOCATION, location);
    }
    response
}
