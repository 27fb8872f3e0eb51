//! What a member of a tenant, or a key of a tenant, may do.

use serde::{Deserialize, Serialize};

/// A member's role, weakest first, so that `>=` asks "at least".
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum Role {
    Viewer,
    Member,
    Admin,
    Owner,
}

impl Role {
    pub const ALL: [Self; 4] = [Self::Viewer, Self::Member, Self::Admin, Self::Owner];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Viewer => "viewer",
            Self::Member => "member",
            Self::Admin => "admin",
            Self::Owner => "owner",
        }
    }

    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|role| role.as_str() == text)
    }
}

/// What an API key may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub enum Scope {
    #[serde(rename = "executions:write")]
    ExecutionsWrite,
    #[serde(rename = "executions:read")]
    ExecutionsRead,
    #[serde(rename = "files:write")]
    FilesWrite,
    #[serde(rename = "files:read")]
    FilesRead,
    #[serde(rename = "sessions:write")]
    SessionsWrite,
    #[serde(rename = "tenant:admin")]
    TenantAdmin,
}

impl Scope {
    pub const ALL: [Self; 6] =
        [Self::ExecutionsWrite, Self::ExecutionsRead, Self::FilesWrite, Self::FilesRead, Self::SessionsWrite, Self::TenantAdmin];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::ExecutionsWrite => "executions:write",
            Self::ExecutionsRead => "executions:read",
            Self::FilesWrite => "files:write",
            Self::FilesRead => "files:read",
            Self::SessionsWrite => "sessions:write",
            Self::TenantAdmin => "tenant:admin",
        }
    }

    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|scope| scope.as_str() == text)
    }
}
