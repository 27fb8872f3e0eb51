//! What an access token says.

use kiln_domain::{Role, SignInId, TenantId, UserId};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// Who issues access tokens.
pub const ISSUER: &str = "kiln";
/// Whom they are for.
pub const AUDIENCE: &str = "kiln-api";
/// The header's `typ` (RFC 9068), so that no other kind of token passes for one.
pub const TOKEN_TYPE: &str = "at+jwt";
/// No access token lives longer, in seconds.
pub const MAX_ACCESS_TOKEN_S: u64 = 15 * 60;

/// The claims of an access token; times in seconds since 1970.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AccessClaims {
    pub iss: String,
    pub aud: String,
    pub sub: UserId,
    /// The tenant that the token is for.
    pub tid: TenantId,
    pub role: Role,
    /// The sign-in that the token came from; revoking it ends the token.
    pub sid: SignInId,
    pub iat: u64,
    pub nbf: u64,
    pub exp: u64,
    pub jti: Uuid,
    pub platform_admin: bool,
}
