//! Tickets: single-use passes for streams, for browsers that cannot set a header there.

use jiff::Timestamp;
use kiln_domain::{SignInId, TenantId, UserId};
use kiln_http::Problem;
use kiln_http::auth::UserIdentity;
use sqlx::PgConnection;

use crate::refresh::{digest, random_text};
use crate::users::parse_role;

/// Life of a ticket in seconds.
pub const LIFE_S: u32 = 30;

/// Makes a ticket for this person.
pub async fn create(connection: &mut PgConnection, user: &UserIdentity) -> Result<String, Problem> {
    let ticket = random_text("ktk_").map_err(Problem::internal)?;
    sqlx::query!(
        "INSERT INTO auth.tickets (sha256, sign_in_id, for_tenant, expires_at) VALUES ($1, $2, $3, now() + make_interval(secs => $4))",
        &digest(&ticket)[..],
        user.sign_in_id.0,
        user.tenant_id.0,
        f64::from(LIFE_S)
    )
    .execute(connection)
    .await?;
    Ok(ticket)
}

/// Spends a ticket: whose it was, if it was good.
pub async fn spend(connection: &mut PgConnection, sha256: &[u8]) -> Result<Option<UserIdentity>, Problem> {
    let known_at = Timestamp::now();
    let row = sqlx::query!(
        "WITH spent AS (DELETE FROM auth.tickets WHERE sha256 = $1 RETURNING sign_in_id, for_tenant, expires_at)
         SELECT s.id, s.user_id, m.tenant_id, m.role, u.platform_admin FROM spent
         JOIN auth.sign_ins s ON s.id = spent.sign_in_id AND s.revoked_at IS NULL AND s.expires_at > now()
         JOIN auth.users u ON u.id = s.user_id AND u.disabled_at IS NULL
         JOIN auth.memberships m ON m.tenant_id = spent.for_tenant AND m.user_id = s.user_id
         WHERE spent.expires_at > now()",
        sha256
    )
    .fetch_optional(connection)
    .await?;
    let Some(row) = row else { return Ok(None) };
    Ok(Some(UserIdentity {
        user_id: UserId(row.user_id),
        tenant_id: TenantId(row.tenant_id),
        role: parse_role(&row.role)?,
        sign_in_id: SignInId(row.id),
        platform_admin: row.platform_admin,
        known_at,
    }))
}

/// Whose refresh token this is, if it could be spent now; it stays as it is.
pub async fn refresh_token_owner(connection: &mut PgConnection, sha256: &[u8]) -> Result<Option<UserIdentity>, Problem> {
    let known_at = Timestamp::now();
    let row = sqlx::query!(
        "SELECT s.id, s.user_id, m.tenant_id, m.role, u.platform_admin FROM auth.refresh_tokens r
         JOIN auth.sign_ins s ON s.id = r.sign_in_id AND s.revoked_at IS NULL AND s.expires_at > now()
         JOIN auth.users u ON u.id = s.user_id AND u.disabled_at IS NULL
         JOIN auth.memberships m ON m.tenant_id = r.for_tenant AND m.user_id = s.user_id
         WHERE r.sha256 = $1 AND r.used_at IS NULL AND r.expires_at > now()",
        sha256
    )
    .fetch_optional(connection)
    .await?;
    let Some(row) = row else { return Ok(None) };
    Ok(Some(UserIdentity {
        user_id: UserId(row.user_id),
        tenant_id: TenantId(row.tenant_id),
        role: parse_role(&row.role)?,
        sign_in_id: SignInId(row.id),
        platform_admin: row.platform_admin,
        known_at,
    }))
}
