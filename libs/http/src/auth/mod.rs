//! Who is calling: access tokens and API keys verified without asking the auth service, and what each may do.
//!
//! A [`Verifier`] holds the public keys and what was revoked lately; the extractors [`Caller`] and [`StreamCaller`]
//! turn a request into its caller. What each operation asks for is in one table,
//! `operations.rs`, and who holds a permission in another, `permission.rs`.

mod address;
mod api_key;
mod caller;
mod claims;
mod cookie;
mod operations;
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
pub use operations::{Access, access};
pub use permission::Permission;
pub use stream::StreamCaller;
pub use verifier::{KeySet, Verifier, VerifyError};
pub use wire::{
    ApiKeyIdentity, KeysReply, KeysRequest, PublicKey, ResolveApiKey, ResolveApiKeyReply, ResolveRefresh, ResolveTicket, Revoked,
    RevokedSubject, UserIdentity, UserReply, subjects,
};
