//! Identifiers: one newtype a kind of thing, each a UUIDv7, so that they sort by time of creation.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// The text is not a UUID.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a UUID")]
pub struct IdError;

macro_rules! ids {
    ($($(#[$doc:meta])* $name:ident),+ $(,)?) => {$(
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
        #[serde(transparent)]
        pub struct $name(pub Uuid);

        impl $name {
            /// A new identifier, ordered after those made earlier.
            pub fn generate() -> Self {
                Self(Uuid::now_v7())
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }

        impl FromStr for $name {
            type Err = IdError;
            fn from_str(text: &str) -> Result<Self, IdError> {
                Uuid::parse_str(text).map(Self).map_err(|_| IdError)
            }
        }
    )+};
}

ids! {
    /// A person's account.
    UserId,
    /// An organisation, class or person whose work is isolated from every other's.
    TenantId,
    /// One run of one program.
    ExecutionId,
    /// A kernel whose variables live on between executions.
    SessionId,
    /// A directory of files that lives on between runs.
    WorkspaceId,
    /// A signed-in device: the family of refresh tokens that began with one login.
    SignInId,
    /// A long-lived credential for programs.
    ApiKeyId,
    /// One event on the bus; also its deduplication key.
    EventId,
    /// One HTTP request, as shown in its problem document and in the logs.
    RequestId,
    /// One start of one process; a restarted executor keeps its name and gets a new instance.
    InstanceId,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_sort_by_creation_and_survive_text() {
        let (a, b) = (ExecutionId::generate(), ExecutionId::generate());
        assert!(a < b);
        assert_eq!(a.to_string().parse(), Ok(a));
        assert_eq!("7".parse::<ExecutionId>(), Err(IdError));
    }
}
