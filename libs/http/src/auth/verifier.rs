//! Verification without asking: public keys and late revocations are held here and kept fresh by events, and by asking
//! for what was missed every few seconds.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use anyhow::Context as _;
use axum::http::HeaderMap;
use futures::StreamExt as _;
use jiff::{SignedDuration, Timestamp};
use jsonwebtoken::{Algorithm, DecodingKey, Validation};
use kiln_bus::{Bus, RequestError};
use kiln_events::{ApiKeyRevoked, Envelope, SignInRevoked, subject};
use sha2::{Digest as _, Sha256};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::caller::bearer;
use super::revocations::Revocations;
use super::{
    AUDIENCE, AccessClaims, ApiKeyIdentity, ApiKeyText, Caller, ISSUER, KeysReply, KeysRequest, Principal, PublicKey,
    ResolveApiKey, ResolveApiKeyReply, ResolveRefresh, ResolveTicket, RevokedSubject, TOKEN_TYPE, UserIdentity, UserReply,
    subjects,
};
use crate::Problem;

/// How long a request to the auth service may take.
const DEADLINE: Duration = Duration::from_secs(3);
/// A missed event is made good this soon; with an API key's time in the cache, revocation holds everywhere within 5 s.
const RESYNC_EVERY: Duration = Duration::from_secs(3);
/// Until the first keys have come.
const RETRY_EVERY: Duration = Duration::from_millis(200);
/// What may commit this much after its own time is still seen by a later resync.
const OVERLAP: SignedDuration = SignedDuration::from_secs(60);
/// How long an API key is taken as last resolved.
const API_KEY_KEPT: Duration = Duration::from_secs(4);
const API_KEYS_KEPT: u64 = 10_000;
/// No credential of ours is longer, in bytes.
const MAX_CREDENTIAL: usize = 4096;

/// Why a credential does not tell who calls.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum VerifyError {
    #[error("the credential is not valid, has expired or was revoked")]
    Invalid,
    #[error("credentials cannot be verified now")]
    Unavailable,
}

impl From<VerifyError> for Problem {
    fn from(error: VerifyError) -> Self {
        match error {
            VerifyError::Invalid => Problem::unauthorized("The credential is not valid, has expired or was revoked.").header(
                axum::http::header::WWW_AUTHENTICATE,
                axum::http::HeaderValue::from_static("Bearer realm=\"kiln\", error=\"invalid_token\""),
            ),
            VerifyError::Unavailable => Problem::unavailable("Credentials cannot be verified now; try again."),
        }
    }
}

/// The keys and revocations of a moment; verifying against it is pure.
pub struct KeySet {
    keys: HashMap<String, DecodingKey>,
    revoked: Revocations,
    validation: Validation,
}

impl Default for KeySet {
    fn default() -> Self {
        let mut validation = Validation::new(Algorithm::EdDSA);
        validation.set_issuer(&[ISSUER]);
        validation.set_audience(&[AUDIENCE]);
        validation.set_required_spec_claims(&["iss", "aud", "sub", "exp", "nbf"]);
        validation.validate_nbf = true;
        validation.leeway = 0;
        Self { keys: HashMap::new(), revoked: Revocations::default(), validation }
    }
}

impl KeySet {
    /// Replaces the keys; those that cannot be read are left out.
    pub fn set_keys(&mut self, keys: &[PublicKey]) {
        self.keys =
            keys.iter().filter_map(|key| Some((key.kid.clone(), DecodingKey::from_ed_components(&key.x).ok()?))).collect();
    }

    /// Returns whether it was news.
    pub fn revoke(&mut self, subject: RevokedSubject, revoked_at: Timestamp) -> bool {
        self.revoked.add(subject, revoked_at)
    }

    /// Who calls by this access token. Algorithm, type and issuer are fixed; the key must be one of ours.
    pub fn verify(&self, token: &str) -> Result<UserIdentity, VerifyError> {
        if token.len() > MAX_CREDENTIAL {
            return Err(VerifyError::Invalid);
        }
        let header = jsonwebtoken::decode_header(token).map_err(|_| VerifyError::Invalid)?;
        if header.typ.as_deref() != Some(TOKEN_TYPE) {
            return Err(VerifyError::Invalid);
        }
        let key = header.kid.and_then(|kid| self.keys.get(&kid)).ok_or(VerifyError::Invalid)?;
        let claims = jsonwebtoken::decode::<AccessClaims>(token, key, &self.validation).map_err(|_| VerifyError::Invalid)?.claims;
        if self.revoked.contains(RevokedSubject::SignIn(claims.sid)) {
            return Err(VerifyError::Invalid);
        }
        Ok(UserIdentity {
            user_id: claims.sub,
            tenant_id: claims.tid,
            role: claims.role,
            sign_in_id: claims.sid,
            platform_admin: claims.platform_admin,
        })
    }
}

/// Verifies credentials for one service; cheap to clone.
#[derive(Clone)]
pub struct Verifier(Arc<Inner>);

struct Inner {
    bus: Bus,
    keys: RwLock<KeySet>,
    api_keys: moka::future::Cache<[u8; 32], Option<ApiKeyIdentity>>,
    /// Changes with every revocation; its value is whether the first keys have come.
    loaded: watch::Sender<bool>,
}

impl Verifier {
    /// A verifier that knows no key until [`Verifier::run`] has asked for them.
    pub fn new(bus: Bus) -> Self {
        let api_keys = moka::future::Cache::builder().max_capacity(API_KEYS_KEPT).time_to_live(API_KEY_KEPT).build();
        Self(Arc::new(Inner { bus, keys: RwLock::default(), api_keys, loaded: watch::Sender::new(false) }))
    }

    /// Whether the keys have come, so that requests can be verified.
    pub fn is_ready(&self) -> bool {
        *self.0.loaded.borrow()
    }

    /// Who calls, by the request's `Authorization: Bearer`.
    pub async fn from_headers(&self, headers: &HeaderMap) -> Result<Caller, Problem> {
        let Some(token) = bearer(headers)? else {
            return Err(Problem::unauthorized("Send an access token or API key as Authorization: Bearer …"));
        };
        Ok(self.bearer(token).await?)
    }

    /// Who calls by an access token or API key.
    pub async fn bearer(&self, credential: &str) -> Result<Caller, VerifyError> {
        if ApiKeyText::is_marked(credential) { self.api_key(credential).await } else { self.access_token(credential) }
    }

    /// Who calls by an access token; nobody is asked.
    pub fn access_token(&self, token: &str) -> Result<Caller, VerifyError> {
        if !self.is_ready() {
            return Err(VerifyError::Unavailable);
        }
        self.0.keys.read().unwrap_or_else(PoisonError::into_inner).verify(token).map(Caller::from)
    }

    /// Who calls by an API key; auth is asked at most once in a few seconds.
    pub async fn api_key(&self, text: &str) -> Result<Caller, VerifyError> {
        let key = ApiKeyText::parse(text).map_err(|_| VerifyError::Invalid)?;
        let sha256 = key.sha256();
        let found =
            self.0.api_keys.try_get_with(sha256, self.resolve_api_key(sha256)).await.map_err(|_| VerifyError::Unavailable)?;
        let identity = found.ok_or(VerifyError::Invalid)?;
        let expired = identity.expires_at.is_some_and(|at| at <= Timestamp::now());
        let caller = Caller::from(identity);
        if expired || self.is_revoked(&caller) { Err(VerifyError::Invalid) } else { Ok(caller) }
    }

    /// Who calls by a single-use ticket, which is spent.
    pub async fn ticket(&self, ticket: &str) -> Result<Caller, VerifyError> {
        self.user(subjects::TICKET, &ResolveTicket { sha256: digest(ticket)? }).await
    }

    /// Who calls by a refresh token, which stays as it is.
    pub async fn refresh_token(&self, token: &str) -> Result<Caller, VerifyError> {
        self.user(subjects::REFRESH, &ResolveRefresh { sha256: digest(token)? }).await
    }

    /// Waits until the caller's credential is revoked, for streams that outlive its verification.
    pub async fn revoked(&self, caller: &Caller) {
        let mut changes = self.0.loaded.subscribe();
        while !self.is_revoked(caller) {
            if changes.changed().await.is_err() {
                return;
            }
        }
    }

    fn is_revoked(&self, caller: &Caller) -> bool {
        let subject = match &caller.principal {
            Principal::User { sign_in_id, .. } => RevokedSubject::SignIn(*sign_in_id),
            Principal::ApiKey { api_key_id, .. } => RevokedSubject::ApiKey(*api_key_id),
        };
        self.0.keys.read().unwrap_or_else(PoisonError::into_inner).revoked.contains(subject)
    }

    async fn resolve_api_key(&self, sha256: [u8; 32]) -> Result<Option<ApiKeyIdentity>, RequestError> {
        let request = ResolveApiKey { sha256: hex::encode(sha256) };
        let reply: ResolveApiKeyReply =
            self.0.bus.request(subjects::API_KEY, &request, DEADLINE).await.inspect_err(not_answered)?;
        Ok(reply.key)
    }

    async fn user<Q: serde::Serialize>(&self, subject: &str, request: &Q) -> Result<Caller, VerifyError> {
        let asked = self.0.bus.request::<_, UserReply>(subject, request, DEADLINE).await.inspect_err(not_answered);
        let caller = Caller::from(asked.map_err(|_| VerifyError::Unavailable)?.user.ok_or(VerifyError::Invalid)?);
        if self.is_revoked(&caller) { Err(VerifyError::Invalid) } else { Ok(caller) }
    }

    /// Keeps the keys and revocations fresh until `shutdown`.
    pub async fn run(self, shutdown: CancellationToken) -> anyhow::Result<()> {
        let client = self.0.bus.client();
        let mut sign_ins = client.subscribe(subject::SIGN_IN_REVOKED).await.context("cannot hear of revoked sign-ins")?;
        let mut api_keys = client.subscribe(subject::API_KEY_REVOKED).await.context("cannot hear of revoked API keys")?;
        let mut resync = tokio::time::interval(RESYNC_EVERY);
        resync.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let mut since = Timestamp::UNIX_EPOCH;
        loop {
            tokio::select! {
                () = shutdown.cancelled() => return Ok(()),
                Some(message) = sign_ins.next() => match serde_json::from_slice::<Envelope<SignInRevoked>>(&message.payload) {
                    Ok(event) => self.revoke(RevokedSubject::SignIn(event.payload.sign_in_id), event.payload.revoked_at),
                    Err(error) => tracing::warn!(%error, "a revocation cannot be read; the next resync has it"),
                },
                Some(message) = api_keys.next() => match serde_json::from_slice::<Envelope<ApiKeyRevoked>>(&message.payload) {
                    Ok(event) => self.revoke(RevokedSubject::ApiKey(event.payload.api_key_id), event.payload.revoked_at),
                    Err(error) => tracing::warn!(%error, "a revocation cannot be read; the next resync has it"),
                },
                _ = resync.tick() => match self.resync(since).await {
                    Ok(now) => since = now - OVERLAP,
                    Err(error) if self.is_ready() => tracing::warn!(%error, "revocations were not refreshed; tried again soon"),
                    // The auth service starts beside this one.
                    Err(_) => resync.reset_after(RETRY_EVERY),
                },
            }
            if !self.is_ready() {
                resync.reset_after(RETRY_EVERY);
            }
        }
    }

    fn revoke(&self, subject: RevokedSubject, revoked_at: Timestamp) {
        let news = self.0.keys.write().unwrap_or_else(PoisonError::into_inner).revoke(subject, revoked_at);
        if news {
            self.0.loaded.send_modify(|_| {});
        }
    }

    /// Asks for the keys and for everything revoked since; returns the auth service's clock.
    async fn resync(&self, since: Timestamp) -> Result<Timestamp, RequestError> {
        let mut request = KeysRequest { since, after: None };
        let mut began = None;
        loop {
            let reply: KeysReply = self.0.bus.request(subjects::KEYS, &request, DEADLINE).await?;
            let began = *began.get_or_insert(reply.now);
            for revoked in &reply.revoked {
                self.revoke(revoked.subject, revoked.revoked_at);
            }
            match reply.revoked.last() {
                Some(last) if reply.more => request = KeysRequest { since: last.revoked_at, after: Some(last.id) },
                _ => {
                    self.adopt(&reply);
                    return Ok(began);
                }
            }
        }
    }

    fn adopt(&self, reply: &KeysReply) {
        let mut set = self.0.keys.write().unwrap_or_else(PoisonError::into_inner);
        set.set_keys(&reply.keys);
        set.revoked.prune(reply.now);
        drop(set);
        if !reply.keys.is_empty() {
            self.0.loaded.send_if_modified(|loaded| !std::mem::replace(loaded, true));
        }
    }
}

fn not_answered(error: &RequestError) {
    tracing::warn!(%error, "the auth service did not resolve a credential");
}

fn digest(credential: &str) -> Result<String, VerifyError> {
    if credential.len() > MAX_CREDENTIAL {
        Err(VerifyError::Invalid)
    } else {
        Ok(hex::encode(Sha256::digest(credential.as_bytes())))
    }
}
