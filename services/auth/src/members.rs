//! Members of a tenant, as stored, and the rules for changing them.

use jiff::Timestamp;
use kiln_db::Outgoing;
use kiln_domain::{ApiKeyId, Role, TenantId, UserId};
use kiln_http::Problem;
use kiln_http::auth::{Caller, RevokedSubject};
use kiln_runtime::outbox::Relay;
use serde::Serialize;
use sqlx::PgConnection;
use utoipa::ToSchema;
use uuid::Uuid;

use crate::users::parse_role;
use crate::{api_keys, invitations, revocations, users};

/// Somebody who belongs to the tenant.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct Member {
    #[schema(value_type = Uuid)]
    pub user_id: UserId,
    pub email: String,
    pub name: String,
    #[schema(value_type = String)]
    pub role: Role,
    /// Since when they belong to it.
    #[schema(value_type = String, format = DateTime)]
    pub created_at: Timestamp,
}

/// The tenant's members, the newest account first, beginning after the one named; or the one asked for.
pub async fn list(
    connection: &mut PgConnection,
    tenant: TenantId,
    only: Option<UserId>,
    after: Option<Uuid>,
    limit: i64,
) -> Result<Vec<Member>, Problem> {
    let rows = sqlx::query!(
        "SELECT m.user_id, u.email, u.name, m.role, m.created_at FROM auth.memberships m JOIN auth.users u ON u.id = m.user_id
         WHERE m.tenant_id = $1 AND ($2::uuid IS NULL OR m.user_id < $2) AND ($3::uuid IS NULL OR m.user_id = $3)
         ORDER BY m.user_id DESC LIMIT $4",
        tenant.0,
        after,
        only.map(|id| id.0),
        limit
    )
    .fetch_all(connection)
    .await?;
    rows.into_iter()
        .map(|row| {
            Ok(Member {
                user_id: UserId(row.user_id),
                email: row.email,
                name: row.name,
                role: parse_role(&row.role)?,
                created_at: row.created_at.to_jiff(),
            })
        })
        .collect()
}

/// Where the tenant's owners and one member stand, locked until the transaction ends.
#[derive(Debug, Clone, Copy)]
pub struct Standing {
    pub target: Role,
    pub caller_is_owner: bool,
    owners: usize,
}

/// What the caller may not do to a member.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    /// Only owners touch owners, and make them.
    NotOwner,
    LastOwner,
}

impl Standing {
    /// Pure: whether the member may become `new`, or leave (none).
    pub fn judge(self, new: Option<Role>, own_leave: bool) -> Result<(), Refusal> {
        let touches_owner = self.target == Role::Owner || new == Some(Role::Owner);
        if touches_owner && !self.caller_is_owner && !own_leave {
            return Err(Refusal::NotOwner);
        }
        if self.target == Role::Owner && new != Some(Role::Owner) && self.owners == 1 {
            return Err(Refusal::LastOwner);
        }
        Ok(())
    }
}

impl From<Refusal> for Problem {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::NotOwner => Problem::forbidden("Only an owner may change owners."),
            Refusal::LastOwner => Problem::conflict("last_owner", "A tenant keeps at least one owner; name another first."),
        }
    }
}

/// Locks the person, the tenant's owners and the member; none when the person does not belong to the tenant.
pub async fn lock(connection: &mut PgConnection, caller: &Caller, target: UserId) -> Result<Option<Standing>, Problem> {
    users::lock(&mut *connection, &[target.0]).await?;
    let rows = sqlx::query!(
        "SELECT user_id, role FROM auth.memberships WHERE tenant_id = $1 AND (role = 'owner' OR user_id = $2)
         ORDER BY user_id FOR UPDATE",
        caller.tenant_id.0,
        target.0
    )
    .fetch_all(connection)
    .await?;
    let Some(found) = rows.iter().find(|row| row.user_id == target.0) else { return Ok(None) };
    let owners: Vec<Uuid> = rows.iter().filter(|row| row.role == Role::Owner.as_str()).map(|row| row.user_id).collect();
    Ok(Some(Standing {
        target: parse_role(&found.role)?,
        caller_is_owner: caller.user_id().is_some_and(|user| owners.contains(&user.0)),
        owners: owners.len(),
    }))
}

/// What ended with somebody's role: the keys that they made and the invitations that they sent.
#[derive(Debug, Default)]
pub struct Ended {
    pub api_keys: Vec<ApiKeyId>,
    pub invitations: Vec<Uuid>,
    /// For [`Relay::send`] after the commit.
    pub messages: Vec<Outgoing>,
}

impl Ended {
    /// As the audit log tells it; nothing when nothing ended.
    pub fn told(&self) -> Option<serde_json::Value> {
        let none = self.api_keys.is_empty() && self.invitations.is_empty();
        (!none).then(|| serde_json::json!({"api_keys_revoked": self.api_keys, "invitations_withdrawn": self.invitations}))
    }
}

/// Gives a locked member another role. Keys and invitations of somebody who no longer administers end with it, and
/// invitations as owner by somebody who is none any more.
pub async fn set_role(
    connection: &mut PgConnection,
    relay: &Relay,
    tenant: TenantId,
    user: UserId,
    role: Role,
) -> Result<Ended, Problem> {
    sqlx::query!("UPDATE auth.memberships SET role = $3 WHERE tenant_id = $1 AND user_id = $2", tenant.0, user.0, role.as_str())
        .execute(&mut *connection)
        .await?;
    end(connection, relay, tenant, user, Some(role)).await
}

/// Ends a locked member's membership, with the keys that they made and the invitations that they sent.
pub async fn remove(connection: &mut PgConnection, relay: &Relay, tenant: TenantId, user: UserId) -> Result<Ended, Problem> {
    sqlx::query!("DELETE FROM auth.memberships WHERE tenant_id = $1 AND user_id = $2", tenant.0, user.0)
        .execute(&mut *connection)
        .await?;
    end(connection, relay, tenant, user, None).await
}

/// Ends what somebody had by a role that they lost; what was known of them is to be asked again.
async fn end(
    connection: &mut PgConnection,
    relay: &Relay,
    tenant: TenantId,
    user: UserId,
    role: Option<Role>,
) -> Result<Ended, Problem> {
    let mut ended = Ended {
        messages: revocations::announce(&mut *connection, relay, tenant, RevokedSubject::User(user)).await?,
        ..Ended::default()
    };
    let administers = role >= Some(Role::Admin);
    if role < Some(Role::Owner) {
        ended.invitations = invitations::withdraw_made_by(&mut *connection, tenant, user, administers).await?;
    }
    if !administers {
        let (api_keys, messages) = api_keys::revoke_made_by(connection, relay, tenant, Some(user)).await?;
        ended.api_keys = api_keys;
        ended.messages.extend(messages);
    }
    Ok(ended)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn standing(target: Role, caller_is_owner: bool, owners: usize) -> Standing {
        Standing { target, caller_is_owner, owners }
    }

    #[test]
    fn only_owners_touch_owners() {
        for new in [Some(Role::Owner), Some(Role::Admin), None] {
            assert_eq!(standing(Role::Owner, false, 2).judge(new, false), Err(Refusal::NotOwner));
            assert_eq!(standing(Role::Owner, true, 2).judge(new, false), Ok(()));
        }
        assert_eq!(standing(Role::Member, false, 1).judge(Some(Role::Owner), false), Err(Refusal::NotOwner));
        assert_eq!(standing(Role::Member, false, 1).judge(Some(Role::Admin), false), Ok(()));
        assert_eq!(standing(Role::Admin, false, 1).judge(None, false), Ok(()));
    }

    #[test]
    fn the_last_owner_stays() {
        for new in [Some(Role::Admin), None] {
            assert_eq!(standing(Role::Owner, true, 1).judge(new, true), Err(Refusal::LastOwner));
        }
        assert_eq!(standing(Role::Owner, true, 1).judge(Some(Role::Owner), true), Ok(()));
    }
}
