//! What an access token says.

use jiff::Timestamp;
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
    /// A UUIDv7, whose time says to the millisecond when what the token says was read.
    pub jti: Uuid,
    pub platform_admin: bool,
}

impl AccessClaims {
    /// When the role and the rest were read, by the token's id.
    pub fn known_at(&self) -> Option<Timestamp> {
        let (seconds, nanoseconds) = self.jti.get_timestamp()?.to_unix();
        Timestamp::new(i64::try_from(seconds).ok()?, i32::try_from(nanoseconds).ok()?).ok()
    }

    /// A token id that says so.
    pub fn id_at(known_at: Timestamp) -> Uuid {
        let seconds = u64::try_from(known_at.as_second()).unwrap_or_default();
        let nanoseconds = u32::try_from(known_at.subsec_nanosecond()).unwrap_or_default();
        Uuid::new_v7(uuid::Timestamp::from_unix(uuid::NoContext, seconds, nanoseconds))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_id_tells_its_time() {
        let at = Timestamp::from_millisecond(1_800_000_000_123).unwrap();
        let claims = AccessClaims {
            iss: String::new(),
            aud: String::new(),
            sub: UserId::generate(),
            tid: TenantId::generate(),
            role: Role::Viewer,
            sid: SignInId::generate(),
            iat: 0,
            nbf: 0,
            exp: 0,
            jti: AccessClaims::id_at(at),
            platform_admin: false,
        };
        assert_eq!(claims.known_at(), Some(at));
    }
}
