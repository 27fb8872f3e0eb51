//! The verified caller of a request.

use axum::extract::{FromRef, FromRequestParts};
use axum::http::request::Parts;
use axum::http::{HeaderMap, header};
use jiff::Timestamp;
use kiln_domain::{ApiKeyId, Role, Scope, SignInId, TenantId, UserId};
use uuid::Uuid;

use super::operations;
use super::verifier::{Verifier, VerifyError};
use super::{ApiKeyIdentity, Permission, UserIdentity};
use crate::{Problem, RequestContext};

/// Who calls, and for which tenant. Only verification makes one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Caller {
    pub tenant_id: TenantId,
    pub principal: Principal,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Principal {
    /// A person, signed in.
    User { user_id: UserId, role: Role, sign_in_id: SignInId, platform_admin: bool, known_at: Timestamp },
    /// A program, by an API key of the tenant.
    ApiKey { api_key_id: ApiKeyId, scopes: Vec<Scope>, created_by: UserId },
}

impl Caller {
    /// Refuses with 403 unless the caller holds the permission; what is for the platform's admins is hidden as 404.
    pub fn require(&self, permission: Permission) -> Result<(), Problem> {
        if self.may(permission) {
            return Ok(());
        }
        match &self.principal {
            Principal::User { .. } if permission == Permission::Platform => Err(Problem::not_found()),
            Principal::User { .. } => Err(Problem::forbidden("Your role in this tenant does not allow this.")),
            Principal::ApiKey { .. } => Err(Problem::forbidden("This API key does not allow this.")),
        }
    }

    pub fn may(&self, permission: Permission) -> bool {
        match &self.principal {
            Principal::User { platform_admin, .. } if permission == Permission::Platform => *platform_admin,
            Principal::User { role, .. } => permission.held_by_role(*role),
            Principal::ApiKey { scopes, .. } => permission.held_by_scopes(scopes),
        }
    }

    /// Whom to name as the maker of things: the user, or the API key.
    pub fn actor(&self) -> Uuid {
        match &self.principal {
            Principal::User { user_id, .. } => user_id.0,
            Principal::ApiKey { api_key_id, .. } => api_key_id.0,
        }
    }

    /// The person; none for an API key.
    pub fn user_id(&self) -> Option<UserId> {
        match &self.principal {
            Principal::User { user_id, .. } => Some(*user_id),
            Principal::ApiKey { .. } => None,
        }
    }

    pub fn api_key_id(&self) -> Option<ApiKeyId> {
        match &self.principal {
            Principal::User { .. } => None,
            Principal::ApiKey { api_key_id, .. } => Some(*api_key_id),
        }
    }

    /// The caller as a person, for routes that no API key reaches.
    pub fn user(&self) -> Result<UserIdentity, Problem> {
        match self.principal {
            Principal::User { user_id, role, sign_in_id, platform_admin, known_at } => {
                Ok(UserIdentity { user_id, tenant_id: self.tenant_id, role, sign_in_id, platform_admin, known_at })
            }
            Principal::ApiKey { .. } => Err(Problem::forbidden("This route is for people; an API key does not reach it.")),
        }
    }
}

impl From<UserIdentity> for Caller {
    fn from(user: UserIdentity) -> Self {
        let UserIdentity { user_id, tenant_id, role, sign_in_id, platform_admin, known_at } = user;
        Self { tenant_id, principal: Principal::User { user_id, role, sign_in_id, platform_admin, known_at } }
    }
}

impl From<ApiKeyIdentity> for Caller {
    fn from(key: ApiKeyIdentity) -> Self {
        let principal = Principal::ApiKey { api_key_id: key.id, scopes: key.scopes, created_by: key.created_by };
        Self { tenant_id: key.tenant_id, principal }
    }
}

impl<S> FromRequestParts<S> for Caller
where
    S: Send + Sync,
    Verifier: FromRef<S>,
{
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let context = RequestContext::of(&parts.extensions)?;
        let caller = Verifier::from_ref(state).from_headers(&parts.headers).await;
        let caller = context.counted(caller)?;
        operations::check(&caller, parts)?;
        Ok(caller)
    }
}

/// The credential of `Authorization: Bearer`, if the header is there.
pub(super) fn bearer(headers: &HeaderMap) -> Result<Option<&str>, VerifyError> {
    let mut values = headers.get_all(header::AUTHORIZATION).iter();
    let Some(value) = values.next() else { return Ok(None) };
    if values.next().is_some() {
        return Err(VerifyError::Invalid);
    }
    let (scheme, token) = value.to_str().ok().and_then(|text| text.split_once(' ')).ok_or(VerifyError::Invalid)?;
    if scheme.eq_ignore_ascii_case("bearer") { Ok(Some(token.trim())) } else { Err(VerifyError::Invalid) }
}
