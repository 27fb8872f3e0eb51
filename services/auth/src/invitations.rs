//! Invitations to a tenant, as stored: one an address, found again by the hash of its token alone.

use jiff::Timestamp;
use kiln_db::TenantTx;
use kiln_domain::{Role, TenantId, UserId};
use kiln_http::Problem;
use serde::Serialize;
use sqlx::PgConnection;
use utoipa::ToSchema;
use uuid::Uuid;

use crate::email::Email;
use crate::refresh::{digest, random_text};
use crate::users::parse_role;

/// Invitations of one tenant that are open at a time.
const MOST_OPEN: i64 = 500;
const LIFE_S: f64 = 7.0 * 24.0 * 3600.0;

/// An open invitation, as those who administer the tenant see it.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct Invitation {
    pub id: Uuid,
    pub email: String,
    #[schema(value_type = String)]
    pub role: Role,
    /// User or API key.
    pub created_by: Uuid,
    #[schema(value_type = String, format = DateTime)]
    pub created_at: Timestamp,
    #[schema(value_type = String, format = DateTime)]
    pub expires_at: Timestamp,
}

/// Whom a token invites where.
pub struct Invited {
    pub id: Uuid,
    pub tenant_id: TenantId,
    pub email_folded: String,
    pub role: Role,
}

/// Invites an address, in place of an earlier invitation of the same; with the token, to be told once.
pub async fn create(tx: &mut TenantTx, email: &Email, role: Role, by: Uuid) -> Result<(Invitation, String), Problem> {
    let tenant = tx.tenant();
    let token = random_text("kiv_").map_err(Problem::internal)?;
    let row = sqlx::query!(
        "INSERT INTO auth.invitations (id, tenant_id, email, email_folded, role, sha256, created_by, expires_at)
         SELECT $1, $2, $3, $4, $5, $6, $7, now() + make_interval(secs => $8)
         WHERE (SELECT count(*) FROM auth.invitations WHERE tenant_id = $2 AND expires_at > now()) < $9
         ON CONFLICT (tenant_id, email_folded) DO UPDATE
         SET id = EXCLUDED.id, email = EXCLUDED.email, role = EXCLUDED.role, sha256 = EXCLUDED.sha256,
             created_by = EXCLUDED.created_by, created_at = now(), expires_at = EXCLUDED.expires_at
         RETURNING id, created_at, expires_at",
        Uuid::now_v7(),
        tenant.0,
        email.as_str(),
        email.folded(),
        role.as_str(),
        &digest(&token)[..],
        by,
        LIFE_S,
        MOST_OPEN
    )
    .fetch_optional(&mut **tx)
    .await?;
    let row = row.ok_or_else(|| {
        Problem::conflict(
            "too_many_invitations",
            format!("A tenant has at most {MOST_OPEN} open invitations; withdraw one first."),
        )
    })?;
    let invitation = Invitation {
        id: row.id,
        email: email.as_str().to_owned(),
        role,
        created_by: by,
        created_at: row.created_at.to_jiff(),
        expires_at: row.expires_at.to_jiff(),
    };
    Ok((invitation, token))
}

/// The tenant's open invitations, newest first, beginning after the one named.
pub async fn list(tx: &mut TenantTx, after: Option<Uuid>, limit: i64) -> Result<Vec<Invitation>, Problem> {
    let tenant = tx.tenant();
    let rows = sqlx::query!(
        "SELECT id, email, role, created_by, created_at, expires_at FROM auth.invitations
         WHERE tenant_id = $1 AND expires_at > now() AND ($2::uuid IS NULL OR id < $2) ORDER BY id DESC LIMIT $3",
        tenant.0,
        after,
        limit
    )
    .fetch_all(&mut **tx)
    .await?;
    rows.into_iter()
        .map(|row| {
            Ok(Invitation {
                id: row.id,
                email: row.email,
                role: parse_role(&row.role)?,
                created_by: row.created_by,
                created_at: row.created_at.to_jiff(),
                expires_at: row.expires_at.to_jiff(),
            })
        })
        .collect()
}

/// Withdraws an invitation; its role and address, if it was there.
pub async fn withdraw(tx: &mut TenantTx, id: Uuid) -> Result<Option<(String, String)>, sqlx::Error> {
    let tenant = tx.tenant();
    let row = sqlx::query!("DELETE FROM auth.invitations WHERE tenant_id = $1 AND id = $2 RETURNING email, role", tenant.0, id);
    Ok(row.fetch_optional(&mut **tx).await?.map(|row| (row.email, row.role)))
}

/// The open invitation of this token.
pub async fn find(connection: &mut PgConnection, token: &str) -> Result<Option<Invited>, Problem> {
    let row = sqlx::query!(
        "SELECT id, tenant_id, email_folded, role FROM auth.invitations WHERE sha256 = $1 AND expires_at > now()",
        &digest(token)[..]
    )
    .fetch_optional(connection)
    .await?;
    row.map(|row| {
        Ok(Invited {
            id: row.id,
            tenant_id: TenantId(row.tenant_id),
            email_folded: row.email_folded,
            role: parse_role(&row.role)?,
        })
    })
    .transpose()
}

/// What accepting an invitation led to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Accepted {
    Joined,
    /// The person belongs to the tenant already; their role stays.
    Belongs,
    /// It was accepted, replaced or withdrawn meanwhile.
    Gone,
}

/// Spends an invitation.
pub async fn accept(connection: &mut PgConnection, invited: &Invited, user: UserId) -> Result<Accepted, sqlx::Error> {
    let spent = sqlx::query!("DELETE FROM auth.invitations WHERE id = $1", invited.id).execute(&mut *connection).await?;
    if spent.rows_affected() == 0 {
        return Ok(Accepted::Gone);
    }
    let joined = sqlx::query!(
        "INSERT INTO auth.memberships (tenant_id, user_id, role) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING",
        invited.tenant_id.0,
        user.0,
        invited.role.as_str()
    )
    .execute(connection)
    .await?;
    Ok(if joined.rows_affected() == 1 { Accepted::Joined } else { Accepted::Belongs })
}

/// Withdraws what somebody has offered who may not offer it any more, by themselves or by their API keys: invitations as
/// owner, or all of them. Which.
pub async fn withdraw_made_by(
    connection: &mut PgConnection,
    tenant: TenantId,
    maker: UserId,
    only_owners: bool,
) -> Result<Vec<Uuid>, sqlx::Error> {
    sqlx::query_scalar!(
        "DELETE FROM auth.invitations WHERE tenant_id = $1 AND (NOT $3 OR role = 'owner')
           AND (created_by = $2 OR created_by IN (SELECT id FROM auth.api_keys WHERE tenant_id = $1 AND created_by = $2))
         RETURNING id",
        tenant.0,
        maker.0,
        only_owners
    )
    .fetch_all(connection)
    .await
}
