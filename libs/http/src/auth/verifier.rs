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
use kiln_domain::{SignInId, UserId};
use kiln_events::{ApiKeyRevoked, Envelope, SignInRevoked, UserRevoked, subject};
use sha2::{Digest as _, Sha256};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::caller::bearer;
use super::revocations::Revocations;
use super::{
    AUDIENCE, AccessClaims, ApiKeyIdentity, ApiKeyText, Caller, ISSUER, KeysReply, KeysRequest, MAX_ACCESS_TOKEN_S, Principal,
    PublicKey, ResolveApiKey, ResolveApiKeyReply, ResolveRefresh, ResolveTicket, RevokedSubject, TOKEN_TYPE, UserIdentity,
    UserReply, subjects,
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
/// Access tokens whose signature need not be looked at again, and for how long.
const TOKENS_KEPT: u64 = 10_000;
const TOKEN_KEPT: Duration = Duration::from_secs(MAX_ACCESS_TOKEN_S);
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

/// The keys and revocations of a moment. A token whose signature was found good is remembered by its hash, so that a
/// client pays for the signature once.
pub struct KeySet {
    public: Vec<PublicKey>,
    keys: HashMap<String, DecodingKey>,
    good: moka::sync::Cache<[u8; 32], Good>,
    revoked: Revocations,
    validation: Validation,
}

/// What a good token says.
#[derive(Debug, Clone, Copy)]
struct Good {
    user: UserIdentity,
    /// Seconds since 1970.
    expires_at_s: u64,
}

impl Default for KeySet {
    fn default() -> Self {
        let mut validation = Validation::new(Algorithm::EdDSA);
        validation.set_issuer(&[ISSUER]);
        validation.set_audience(&[AUDIENCE]);
        validation.set_required_spec_claims(&["iss", "aud", "sub", "exp", "nbf"]);
        validation.validate_nbf = true;
        validation.leeway = 0;
        let good = moka::sync::Cache::builder().max_capacity(TOKENS_KEPT).time_to_live(TOKEN_KEPT).build();
        Self { public: Vec::new(), keys: HashMap::new(), good, revoked: Revocations::default(), validation }
    }
}

impl KeySet {
    /// Replaces the keys; those that cannot be read are left out.
    pub fn set_keys(&mut self, keys: &[PublicKey]) {
        if self.public == keys {
            return;
        }
        self.public = keys.to_vec();
        self.good.invalidate_all();
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
        let hash: [u8; 32] = Sha256::digest(token.as_bytes()).into();
        let good = if let Some(good) = self.good.get(&hash) {
            good
        } else {
            let good = self.decode(token)?;
            self.good.insert(hash, good);
            good
        };
        let expired = good.expires_at_s <= jsonwebtoken::get_current_timestamp();
        if expired || self.is_revoked(good.user.user_id, good.user.sign_in_id, good.user.known_at) {
            return Err(VerifyError::Invalid);
        }
        Ok(good.user)
    }

    fn is_revoked(&self, user: UserId, sign_in: SignInId, known_at: Timestamp) -> bool {
        self.revoked.contains(RevokedSubject::SignIn(sign_in)) || self.revoked.since(RevokedSubject::User(user), known_at)
    }

    fn decode(&self, token: &str) -> Result<Good, VerifyError> {
        let header = jsonwebtoken::decode_header(token).map_err(|_| VerifyError::Invalid)?;
        if header.typ.as_deref() != Some(TOKEN_TYPE) {
            return Err(VerifyError::Invalid);
        }
        let key = header.kid.and_then(|kid| self.keys.get(&kid)).ok_or(VerifyError::Invalid)?;
        let claims = jsonwebtoken::decode::<AccessClaims>(token, key, &self.validation).map_err(|_| VerifyError::Invalid)?.claims;
        let user = UserIdentity {
            user_id: claims.sub,
            tenant_id: claims.tid,
            role: claims.role,
            sign_in_id: claims.sid,
            platform_admin: claims.platform_admin,
            known_at: claims.known_at().ok_or(VerifyError::Invalid)?,
        };
        Ok(Good { user, expires_at_s: claims.exp })
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
        let keys = self.0.keys.read().unwrap_or_else(PoisonError::into_inner);
        match &caller.principal {
            Principal::User { user_id, sign_in_id, known_at, .. } => keys.is_revoked(*user_id, *sign_in_id, *known_at),
            Principal::ApiKey { api_key_id, .. } => keys.revoked.contains(RevokedSubject::ApiKey(*api_key_id)),
        }
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
        let mut users = client.subscribe(subject::USER_REVOKED).await.context("cannot hear of people who changed")?;
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
                Some(message) = users.next() => match serde_json::from_slice::<Envelope<UserRevoked>>(&message.payload) {
                    Ok(event) => self.revoke(RevokedSubject::User(event.payload.user_id), event.payload.revoked_at),
                    Err(error) => tracing::warn!(%error, "a revocation cannot be read; the next resync has it"),
                },
                _ = resync.tick() => match self.resync(since).await {
                    Ok(now) => since = now - OVERLAP,
                    Err(error) if self.is_ready() => tracing::warn!(%error, "revocations were not refreshed; tried again soon"),
                    // The auth service starts beside this one.
                    Err(error) => tracing::debug!(%error, "the keys have not come yet"),
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

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair as _};
    use base64::Engine as _;
    use base64::engine::general_purpose::URL_SAFE_NO_PAD;
    use jsonwebtoken::{EncodingKey, Header};
    use kiln_domain::{Role, SignInId, TenantId, UserId};
    use serde_json::{Value, json};

    use super::*;

    struct Issuer {
        key: EncodingKey,
        kid: &'static str,
    }

    fn issuer(kid: &'static str) -> (Issuer, PublicKey) {
        let pair = Ed25519KeyPair::generate().unwrap();
        let public = PublicKey { kid: kid.to_owned(), x: URL_SAFE_NO_PAD.encode(pair.public_key().as_ref()) };
        (Issuer { key: EncodingKey::from_ed_der(pair.to_pkcs8v1().unwrap().as_ref()), kid }, public)
    }

    impl Issuer {
        /// A good token but for the claims given.
        fn token(&self, changed: &Value) -> String {
            let now = Timestamp::now().as_second();
            let mut claims = json!({
                "iss": ISSUER, "aud": AUDIENCE, "sub": UserId::generate(), "tid": TenantId::generate(), "role": Role::Member,
                "sid": SignInId::generate(), "iat": now, "nbf": now - 5, "exp": now + 900, "jti": UserId::generate(),
                "platform_admin": false,
            });
            for (name, value) in changed.as_object().unwrap() {
                if value.is_null() {
                    claims.as_object_mut().unwrap().remove(name);
                } else {
                    claims[name] = value.clone();
                }
            }
            let header =
                Header { typ: Some(TOKEN_TYPE.to_owned()), kid: Some(self.kid.to_owned()), ..Header::new(Algorithm::EdDSA) };
            jsonwebtoken::encode(&header, &claims, &self.key).unwrap()
        }
    }

    #[test]
    fn only_whole_and_current_tokens_of_ours_pass() {
        let ((issuer, public), (stranger, _)) = (self::issuer("one"), self::issuer("one"));
        let mut set = KeySet::default();
        set.set_keys(&[public]);
        assert_eq!(set.verify(&issuer.token(&json!({}))).unwrap().role, Role::Member);
        assert!(set.verify(&stranger.token(&json!({}))).is_err());
        let now = Timestamp::now().as_second();
        for changed in [
            json!({"exp": now}),
            json!({"nbf": now + 60}),
            json!({"iss": "another"}),
            json!({"aud": "another"}),
            json!({"exp": null}),
            json!({"nbf": null}),
            json!({"aud": null}),
            json!({"iss": null}),
            json!({"tid": null}),
            json!({"sid": null}),
            json!({"role": "emperor"}),
            json!({"sub": "nobody"}),
        ] {
            assert_eq!(set.verify(&issuer.token(&changed)), Err(VerifyError::Invalid), "{changed}");
        }
    }

    #[test]
    fn a_revoked_sign_in_ends_its_tokens_and_no_other() {
        let (issuer, public) = issuer("one");
        let mut set = KeySet::default();
        set.set_keys(&[public]);
        let (revoked, other) = (issuer.token(&json!({})), issuer.token(&json!({})));
        let sign_in = set.verify(&revoked).unwrap().sign_in_id;
        set.revoke(RevokedSubject::SignIn(sign_in), Timestamp::now());
        assert!(set.verify(&revoked).is_err());
        assert!(set.verify(&other).is_ok());
    }

    #[test]
    fn while_keys_rotate_tokens_of_both_pass() {
        let ((old, old_public), (new, new_public)) = (issuer("old"), issuer("new"));
        let mut set = KeySet::default();
        set.set_keys(&[old_public, new_public.clone()]);
        assert!(set.verify(&old.token(&json!({}))).is_ok() && set.verify(&new.token(&json!({}))).is_ok());
        set.set_keys(&[new_public]);
        assert!(set.verify(&old.token(&json!({}))).is_err());
    }

    /// The budget is 50 µs a request; the best of several batches is what the code costs when nothing else runs.
    #[test]
    fn verifying_costs_less_than_its_budget() {
        const BATCH: u32 = 200;
        let (issuer, public) = issuer("one");
        let mut set = KeySet::default();
        set.set_keys(&[public]);
        let token = issuer.token(&json!({}));
        let best = |work: &dyn Fn()| {
            let batch = |_| {
                let begun = Instant::now();
                (0..BATCH).for_each(|_| work());
                begun.elapsed() / BATCH
            };
            (0..20).map(batch).min().unwrap()
        };
        let first = best(&|| {
            set.decode(&token).unwrap();
        });
        let again = best(&|| {
            set.verify(&token).unwrap();
        });
        println!("the first verification of a token: {first:?}; each further one: {again:?}");
        assert!(cfg!(debug_assertions) || again < Duration::from_micros(50), "{again:?}");
    }
}
