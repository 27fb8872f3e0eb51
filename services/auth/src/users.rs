//! Accounts, as stored.

use jiff::Timestamp;
use kiln_domain::{Role, TenantId, UserId};
use kiln_http::Problem;
use serde::Serialize;
use sqlx::PgConnection;
use utoipa::ToSchema;
use uuid::Uuid;

use crate::email::Email;

/// An account, as its owner sees it.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct User {
    #[schema(value_type = Uuid)]
    pub id: UserId,
    pub email: String,
    pub name: String,
    /// May use the routes for those who run the installation.
    pub platform_admin: bool,
    /// The address was proven, by a link sent to it.
    pub email_verified: bool,
}

/// What a login is checked against.
pub struct Credentials {
    pub user: User,
    pub password_hash: Option<String>,
    pub disabled: bool,
}

/// A tenant that a user belongs to.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct Membership {
    #[schema(value_type = Uuid)]
    pub id: TenantId,
    pub name: String,
    pub slug: String,
    #[schema(value_type = String)]
    pub role: Role,
}

/// Makes an account with a password; 409 when the address has one.
pub async fn create(connection: &mut PgConnection, email: &Email, name: &str, password_hash: &str) -> Result<User, Problem> {
    let user = User {
        id: UserId::generate(),
        email: email.as_str().to_owned(),
        name: name.to_owned(),
        platform_admin: false,
        email_verified: false,
    };
    let inserted = sqlx::query!(
        "INSERT INTO auth.users (id, email, email_folded, name) VALUES ($1, $2, $3, $4) ON CONFLICT (email_folded) DO NOTHING",
        user.id.0,
        user.email,
        email.folded(),
        user.name
    )
    .execute(&mut *connection)
    .await?;
    if inserted.rows_affected() == 0 {
        return Err(Problem::conflict("email_taken", "There is an account with this e-mail address."));
    }
    sqlx::query!("INSERT INTO auth.passwords (user_id, hash) VALUES ($1, $2)", user.id.0, password_hash)
        .execute(connection)
        .await?;
    Ok(user)
}

/// The account of this address, if there is one; `folded` is empty for what is no address.
pub async fn credentials(connection: &mut PgConnection, folded: &str) -> Result<Option<Credentials>, sqlx::Error> {
    let row = sqlx::query!(
        r#"SELECT u.id, u.email, u.name, u.platform_admin, u.email_verified_at IS NOT NULL AS "verified!",
               u.disabled_at IS NOT NULL AS "disabled!", p.hash AS "hash?"
           FROM auth.users u LEFT JOIN auth.passwords p ON p.user_id = u.id WHERE u.email_folded = $1"#,
        folded
    )
    .fetch_optional(connection)
    .await?;
    Ok(row.map(|row| Credentials {
        user: User {
            id: UserId(row.id),
            email: row.email,
            name: row.name,
            platform_admin: row.platform_admin,
            email_verified: row.verified,
        },
        password_hash: row.hash,
        disabled: row.disabled,
    }))
}

pub async fn find(connection: &mut PgConnection, id: UserId) -> Result<Option<User>, sqlx::Error> {
    let row = sqlx::query!(
        r#"SELECT email, name, platform_admin, email_verified_at IS NOT NULL AS "verified!" FROM auth.users WHERE id = $1"#,
        id.0
    )
    .fetch_optional(connection)
    .await?;
    Ok(row.map(|row| User {
        id,
        email: row.email,
        name: row.name,
        platform_admin: row.platform_admin,
        email_verified: row.verified,
    }))
}

/// Holds the person as they are until the transaction ends, and says since when; what is then read of them goes into
/// tokens. Whoever changes them takes [`lock`] first, so a token never tells what had been revoked when it was made.
pub async fn hold(connection: &mut PgConnection, id: UserId) -> Result<Timestamp, sqlx::Error> {
    sqlx::query!("SELECT id FROM auth.users WHERE id = $1 FOR SHARE", id.0).fetch_optional(connection).await?;
    Ok(Timestamp::now())
}

/// Waits for tokens of these people that are being made, and keeps others from being made until the transaction ends.
pub async fn lock(connection: &mut PgConnection, users: &[Uuid]) -> Result<(), sqlx::Error> {
    sqlx::query!("SELECT id FROM auth.users WHERE id = ANY($1) ORDER BY id FOR UPDATE", users)
        .fetch_all(connection)
        .await
        .map(drop)
}

/// The stored hash of the person's password.
pub async fn password_hash(connection: &mut PgConnection, id: UserId) -> Result<Option<String>, sqlx::Error> {
    sqlx::query_scalar!("SELECT hash FROM auth.passwords WHERE user_id = $1", id.0).fetch_optional(connection).await
}

/// Replaces the password, or gives a first one. Links to choose another, asked for before, are good no more.
pub async fn set_password(connection: &mut PgConnection, id: UserId, hash: &str) -> Result<(), sqlx::Error> {
    sqlx::query!(
        "INSERT INTO auth.passwords (user_id, hash) VALUES ($1, $2)
         ON CONFLICT (user_id) DO UPDATE SET hash = EXCLUDED.hash, changed_at = now()",
        id.0,
        hash
    )
    .execute(&mut *connection)
    .await?;
    sqlx::query!("DELETE FROM auth.mail_tokens WHERE user_id = $1 AND purpose = 'password_reset'", id.0)
        .execute(connection)
        .await
        .map(drop)
}

/// Notes that the person has shown to read the address.
pub async fn set_verified(connection: &mut PgConnection, id: UserId) -> Result<(), sqlx::Error> {
    sqlx::query!("UPDATE auth.users SET email_verified_at = COALESCE(email_verified_at, now()) WHERE id = $1", id.0)
        .execute(connection)
        .await
        .map(drop)
}

/// The tenants that the user belongs to, the oldest membership first.
pub async fn memberships(connection: &mut PgConnection, user: UserId) -> Result<Vec<Membership>, Problem> {
    let rows = sqlx::query!(
        "SELECT t.tenant_id, t.name, t.slug, m.role FROM auth.memberships m JOIN auth.tenants t ON t.tenant_id = m.tenant_id
         WHERE m.user_id = $1 ORDER BY m.created_at, t.tenant_id LIMIT 1000",
        user.0
    )
    .fetch_all(connection)
    .await?;
    rows.into_iter()
        .map(|row| Ok(Membership { id: TenantId(row.tenant_id), name: row.name, slug: row.slug, role: parse_role(&row.role)? }))
        .collect()
}

/// The user's role in this tenant; none when they do not belong to it.
pub async fn role(connection: &mut PgConnection, user: UserId, tenant: TenantId) -> Result<Option<Role>, Problem> {
    let role = sqlx::query_scalar!("SELECT role FROM auth.memberships WHERE tenant_id = $1 AND user_id = $2", tenant.0, user.0)
        .fetch_optional(connection)
        .await?;
    role.as_deref().map(parse_role).transpose()
}

/// A role as stored; the table's check allows no other text.
pub fn parse_role(text: &str) -> Result<Role, Problem> {
    Role::parse(text).ok_or_else(|| Problem::internal("a stored role is none that is known"))
}
