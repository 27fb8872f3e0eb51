//! Single-use links sent by mail: to choose a new password, to prove an address. Only the newest of a kind is good.

use kiln_domain::UserId;
use kiln_http::Problem;
use sqlx::PgConnection;

use crate::refresh::{digest, random_text};

/// What a link is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    PasswordReset,
    EmailVerification,
}

/// No person is sent a second link of a kind within so many seconds.
const LEAST_APART_S: f64 = 60.0;

impl Purpose {
    fn as_str(self) -> &'static str {
        match self {
            Self::PasswordReset => "password_reset",
            Self::EmailVerification => "email_verification",
        }
    }

    /// Life of a link in seconds.
    fn life_s(self) -> f64 {
        match self {
            Self::PasswordReset => 3600.0,
            Self::EmailVerification => 24.0 * 3600.0,
        }
    }
}

/// A new link's token, in place of any earlier one; none when the last was made less than a minute ago.
pub async fn create(connection: &mut PgConnection, user: UserId, purpose: Purpose) -> Result<Option<String>, Problem> {
    let token = random_text("kml_").map_err(Problem::internal)?;
    let made = sqlx::query!(
        "INSERT INTO auth.mail_tokens AS t (user_id, purpose, sha256, expires_at) VALUES ($1, $2, $3, now() + make_interval(secs => $4))
         ON CONFLICT (user_id, purpose) DO UPDATE SET sha256 = EXCLUDED.sha256, created_at = now(), expires_at = EXCLUDED.expires_at
         WHERE t.created_at < now() - make_interval(secs => $5)",
        user.0,
        purpose.as_str(),
        &digest(&token)[..],
        purpose.life_s(),
        LEAST_APART_S
    )
    .execute(connection)
    .await?;
    Ok((made.rows_affected() == 1).then_some(token))
}

/// Whether the token could be spent now.
pub async fn is_good(connection: &mut PgConnection, token: &str, purpose: Purpose) -> Result<bool, sqlx::Error> {
    let found = sqlx::query_scalar!(
        "SELECT user_id FROM auth.mail_tokens WHERE sha256 = $1 AND purpose = $2 AND expires_at > now()",
        &digest(token)[..],
        purpose.as_str()
    );
    Ok(found.fetch_optional(connection).await?.is_some())
}

/// Spends a token: whose it was, if it was good.
pub async fn spend(connection: &mut PgConnection, token: &str, purpose: Purpose) -> Result<Option<UserId>, sqlx::Error> {
    let user = sqlx::query_scalar!(
        "DELETE FROM auth.mail_tokens WHERE sha256 = $1 AND purpose = $2 AND expires_at > now() RETURNING user_id",
        &digest(token)[..],
        purpose.as_str()
    );
    Ok(user.fetch_optional(connection).await?.map(UserId))
}

/// A token that is not known, was used or is too old: the three look the same.
pub fn refused() -> Problem {
    Problem::invalid_field("/token", "is not valid, was used before, or has expired")
}
