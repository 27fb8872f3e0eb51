//! What the verifiers in the other services ask of the auth service, over the bus.

use jiff::Timestamp;
use kiln_domain::{ApiKeyId, Role, Scope, SignInId, TenantId, UserId};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// Subjects of the requests; the auth service is the queue group `auth`.
pub mod subjects {
    /// [`super::KeysRequest`] → [`super::KeysReply`].
    pub const KEYS: &str = "kiln.control.v1.auth.keys";
    /// [`super::ResolveApiKey`] → [`super::ResolveApiKeyReply`].
    pub const API_KEY: &str = "kiln.control.v1.auth.api_key";
    /// [`super::ResolveTicket`] → [`super::UserReply`]; spends the ticket.
    pub const TICKET: &str = "kiln.control.v1.auth.ticket";
    /// [`super::ResolveRefresh`] → [`super::UserReply`]; does not rotate.
    pub const REFRESH: &str = "kiln.control.v1.auth.refresh";
}

/// The public keys, and a page of what was revoked since.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct KeysRequest {
    pub since: Timestamp,
    /// The last revocation of the page before, when `since` is its time.
    pub after: Option<Uuid>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct KeysReply {
    pub keys: Vec<PublicKey>,
    /// Oldest first.
    pub revoked: Vec<Revoked>,
    /// The clock of the auth service, by which the next request's `since` is chosen.
    pub now: Timestamp,
    /// More follow the last of `revoked`.
    pub more: bool,
}

/// One Ed25519 key that signs, signed lately, or soon will.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PublicKey {
    pub kid: String,
    /// The JWK's `x`: 32 bytes in unpadded base64url.
    pub x: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Revoked {
    pub id: Uuid,
    pub subject: RevokedSubject,
    pub revoked_at: Timestamp,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RevokedSubject {
    SignIn(SignInId),
    ApiKey(ApiKeyId),
    /// Ends what was known of the person before: their role, or that they are an admin, has changed.
    User(UserId),
}

/// Whose key has this SHA-256, in lower-case hexadecimal?
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ResolveApiKey {
    pub sha256: String,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ResolveApiKeyReply {
    pub key: Option<ApiKeyIdentity>,
}

/// A key that is neither revoked nor expired.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ApiKeyIdentity {
    pub id: ApiKeyId,
    pub tenant_id: TenantId,
    pub scopes: Vec<Scope>,
    pub created_by: UserId,
    pub expires_at: Option<Timestamp>,
}

/// Whose ticket has this SHA-256, in lower-case hexadecimal?
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ResolveTicket {
    pub sha256: String,
}

/// Whose refresh token has this SHA-256, in lower-case hexadecimal?
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ResolveRefresh {
    pub sha256: String,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct UserReply {
    pub user: Option<UserIdentity>,
}

/// A person signed in to a tenant.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct UserIdentity {
    pub user_id: UserId,
    pub tenant_id: TenantId,
    pub role: Role,
    pub sign_in_id: SignInId,
    pub platform_admin: bool,
    /// When the above was read; a later revocation of [`RevokedSubject::User`] ends it.
    #[serde(default = "Timestamp::now")]
    pub known_at: Timestamp,
}
