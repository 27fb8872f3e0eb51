//! Who is calling: access tokens and API keys verified without asking the auth service, and what each may do.
//!
//! A [`Verifier`] holds the public keys and what was revoked lately; the extractors [`Caller`] and [`StreamCaller`]
//! turn a request into its caller. The table of permissions is in one file, `permission.rs`.

mod address;
mod api_key;
mod caller;
mod claims;
mod cookie;
mod permission;
mod revocations;
mod stream;
mod verifier;
mod wire;

pub use address::ClientAddress;
pub use api_key::{ApiKeyText, InvalidApiKey};
pub use caller::{Caller, Principal};
pub use claims::{AUDIENCE, AccessClaims, ISSUER, MAX_ACCESS_TOKEN_S, TOKEN_TYPE};
pub use cookie::{RefreshCookie, check_origin};
pub use permission::Permission;
pub use stream::StreamCaller;
pub use verifier::{KeySet, Verifier, VerifyError};
pub use wire::{
    ApiKeyIdentity, KeysReply, KeysRequest, PublicKey, ResolveApiKey, ResolveApiKeyReply, ResolveRefresh, ResolveTicket, Revoked,
    RevokedSubject, UserIdentity, UserReply, subjects,
};
