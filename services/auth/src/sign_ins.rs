//! Sign-ins, as stored: each is the family of refresh tokens that began with one login.

use std::net::IpAddr;

use jiff::Timestamp;
use jiff_sqlx::ToSqlx as _;
use kiln_db::Outgoing;
use kiln_domain::{SignInId, TenantId, UserId};
use kiln_http::Problem;
use kiln_http::auth::{RevokedSubject, UserIdentity};
use kiln_runtime::outbox::Relay;
use serde::Serialize;
use sqlx::PgConnection;
use utoipa::ToSchema;
use uuid::Uuid;

use crate::config::Config;
use crate::refresh::{RefreshToken, Stored};
use crate::revocations;
use crate::users::parse_role;

/// Unspent refresh tokens of one sign-in, one for each tenant it was switched to; the oldest give way.
const MAX_UNSPENT: i64 = 20;

/// From where and with what somebody signs in.
#[derive(Debug, Clone)]
pub struct Device {
    pub address: IpAddr,
    /// The `User-Agent`, cut to 400 characters.
    pub user_agent: String,
}

/// Why a sign-in ended before its time.
#[derive(Debug, Clone, Copy)]
pub enum Because {
    Logout,
    Reuse,
    ByUser,
    /// The password was changed or reset.
    Password,
    /// The account was closed by the operator.
    Disabled,
}

impl Because {
    fn as_str(self) -> &'static str {
        match self {
            Self::Logout => "logout",
            Self::Reuse => "reuse",
            Self::ByUser => "by_user",
            Self::Password => "password",
            Self::Disabled => "disabled",
        }
    }
}

/// One of a user's sign-ins, as they see it.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct SignIn {
    #[schema(value_type = Uuid)]
    pub id: SignInId,
    pub address: String,
    pub user_agent: String,
    #[schema(value_type = String, format = DateTime)]
    pub created_at: Timestamp,
    #[schema(value_type = String, format = DateTime)]
    pub last_used_at: Timestamp,
    #[schema(value_type = String, format = DateTime)]
    pub expires_at: Timestamp,
    /// The one that this request was made with.
    pub current: bool,
}

/// Begins a family.
pub async fn start(
    connection: &mut PgConnection,
    config: &Config,
    user: UserId,
    device: &Device,
) -> Result<SignInId, sqlx::Error> {
    let id = SignInId::generate();
    sqlx::query!(
        "INSERT INTO auth.sign_ins (id, user_id, address, user_agent, expires_at)
         VALUES ($1, $2, ($3::text)::inet, $4, now() + make_interval(secs => $5))",
        id.0,
        user.0,
        device.address.to_string(),
        device.user_agent,
        seconds(config.sign_in_max_s)
    )
    .execute(connection)
    .await?;
    Ok(id)
}

/// Adds a refresh token for this tenant to the family.
pub async fn add_token(
    connection: &mut PgConnection,
    config: &Config,
    sign_in: SignInId,
    tenant: TenantId,
    token: &RefreshToken,
) -> Result<(), sqlx::Error> {
    sqlx::query!(
        "INSERT INTO auth.refresh_tokens (sha256, sign_in_id, for_tenant, expires_at) VALUES ($1, $2, $3, now() + make_interval(secs => $4))",
        &token.sha256()[..],
        sign_in.0,
        tenant.0,
        seconds(config.sign_in_idle_s)
    )
    .execute(&mut *connection)
    .await?;
    sqlx::query!(
        "DELETE FROM auth.refresh_tokens WHERE sha256 IN (
             SELECT sha256 FROM auth.refresh_tokens WHERE sign_in_id = $1 AND used_at IS NULL ORDER BY issued_at DESC, sha256 OFFSET $2)",
        sign_in.0,
        MAX_UNSPENT
    )
    .execute(connection)
    .await
    .map(drop)
}

/// A presented refresh token with whom it stands for, locked so that only one request at a time can spend it.
/// The person is held first, see [`crate::users::hold`].
pub async fn lock_token(connection: &mut PgConnection, sha256: &[u8; 32]) -> Result<Option<(Stored, UserIdentity)>, Problem> {
    sqlx::query!(
        "SELECT id FROM auth.users WHERE id = (
             SELECT s.user_id FROM auth.refresh_tokens r JOIN auth.sign_ins s ON s.id = r.sign_in_id WHERE r.sha256 = $1) FOR SHARE",
        &sha256[..]
    )
    .fetch_optional(&mut *connection)
    .await?;
    let known_at = Timestamp::now();
    let row = sqlx::query!(
        r#"SELECT r.for_tenant, r.expires_at, r.used_at, s.id, s.user_id, s.expires_at AS family_expires_at,
               s.revoked_at IS NOT NULL AS "revoked!", u.disabled_at IS NOT NULL AS "disabled!", u.platform_admin, m.role AS "role?"
           FROM auth.refresh_tokens r
           JOIN auth.sign_ins s ON s.id = r.sign_in_id
           JOIN auth.users u ON u.id = s.user_id
           LEFT JOIN auth.memberships m ON m.tenant_id = r.for_tenant AND m.user_id = s.user_id
           WHERE r.sha256 = $1 FOR UPDATE OF s, r"#,
        &sha256[..]
    )
    .fetch_optional(connection)
    .await?;
    let Some(row) = row else { return Ok(None) };
    let stored = Stored {
        expires_at: row.expires_at.to_jiff(),
        used_at: row.used_at.map(jiff_sqlx::Timestamp::to_jiff),
        family_expires_at: row.family_expires_at.to_jiff(),
        family_revoked: row.revoked,
        entitled: row.role.is_some() && !row.disabled,
    };
    let user = UserIdentity {
        user_id: UserId(row.user_id),
        tenant_id: TenantId(row.for_tenant),
        // Without a role the token is dead, whatever stands here.
        role: row.role.as_deref().map_or(Ok(kiln_domain::Role::Viewer), parse_role)?,
        sign_in_id: SignInId(row.id),
        platform_admin: row.platform_admin,
        known_at,
    };
    Ok(Some((stored, user)))
}

/// Marks a locked token as spent.
pub async fn spend(
    connection: &mut PgConnection,
    sha256: &[u8; 32],
    sign_in: SignInId,
    device: &Device,
) -> Result<(), sqlx::Error> {
    sqlx::query!(
        "UPDATE auth.sign_ins SET last_used_at = now(), address = ($2::text)::inet, user_agent = $3 WHERE id = $1",
        sign_in.0,
        device.address.to_string(),
        device.user_agent
    )
    .execute(&mut *connection)
    .await?;
    // The clock is this process's, as is the one that says when a competing request arrived.
    let used_at = Timestamp::now().to_sqlx();
    sqlx::query!("UPDATE auth.refresh_tokens SET used_at = $2 WHERE sha256 = $1", &sha256[..], used_at as _)
        .execute(connection)
        .await
        .map(drop)
}

/// Ends a sign-in; none when it had ended already. The messages are for [`Relay::send`] after the commit.
pub async fn revoke(
    connection: &mut PgConnection,
    relay: &Relay,
    user: &UserIdentity,
    sign_in: SignInId,
    because: Because,
) -> Result<Option<Vec<Outgoing>>, Problem> {
    let ended = sqlx::query!(
        "UPDATE auth.sign_ins SET revoked_at = now(), revoked_because = $3 WHERE id = $1 AND user_id = $2 AND revoked_at IS NULL",
        sign_in.0,
        user.user_id.0,
        because.as_str()
    )
    .execute(&mut *connection)
    .await?;
    if ended.rows_affected() == 0 {
        return Ok(None);
    }
    revocations::announce(connection, relay, user.tenant_id, RevokedSubject::SignIn(sign_in)).await.map(Some)
}

/// Ends all of a person's sign-ins but one; returns which, and the messages for [`Relay::send`] after the commit.
pub async fn revoke_all(
    connection: &mut PgConnection,
    relay: &Relay,
    user: UserId,
    tenant: TenantId,
    except: Option<SignInId>,
    because: Because,
) -> Result<(Vec<SignInId>, Vec<Outgoing>), Problem> {
    let rows = sqlx::query_scalar!(
        "UPDATE auth.sign_ins SET revoked_at = now(), revoked_because = $3
         WHERE user_id = $1 AND revoked_at IS NULL AND expires_at > now() AND ($2::uuid IS NULL OR id <> $2) RETURNING id",
        user.0,
        except.map(|id| id.0),
        because.as_str()
    )
    .fetch_all(&mut *connection)
    .await?;
    let ended: Vec<SignInId> = rows.into_iter().map(SignInId).collect();
    let mut messages = Vec::with_capacity(ended.len());
    for sign_in in &ended {
        messages.extend(revocations::announce(connection, relay, tenant, RevokedSubject::SignIn(*sign_in)).await?);
    }
    Ok((ended, messages))
}

/// A user's living sign-ins, newest first, beginning after the one named.
pub async fn list(
    connection: &mut PgConnection,
    user: &UserIdentity,
    after: Option<Uuid>,
    limit: i64,
) -> Result<Vec<SignIn>, sqlx::Error> {
    let rows = sqlx::query!(
        r#"SELECT id, host(address) AS "address!", user_agent, created_at, last_used_at, expires_at FROM auth.sign_ins
           WHERE user_id = $1 AND revoked_at IS NULL AND expires_at > now() AND ($2::uuid IS NULL OR id < $2)
           ORDER BY id DESC LIMIT $3"#,
        user.user_id.0,
        after,
        limit
    )
    .fetch_all(connection)
    .await?;
    Ok(rows
        .into_iter()
        .map(|row| SignIn {
            id: SignInId(row.id),
            address: row.address,
            user_agent: row.user_agent,
            created_at: row.created_at.to_jiff(),
            last_used_at: row.last_used_at.to_jiff(),
            expires_at: row.expires_at.to_jiff(),
            current: row.id == user.sign_in_id.0,
        })
        .collect())
}

/// A duration as Postgres's `make_interval` takes it.
#[expect(clippy::cast_precision_loss, reason = "settings in seconds are far below 2^52")]
fn seconds(value: u64) -> f64 {
    value as f64
}
