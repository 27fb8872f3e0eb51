//! Telling every verifier that a credential is revoked: a row for those who ask, an event for those who listen.

use jiff::Timestamp;
use jiff_sqlx::ToSqlx as _;
use kiln_db::Outgoing;
use kiln_domain::TenantId;
use kiln_events::{ApiKeyRevoked, SignInRevoked, UserRevoked, subject};
use kiln_http::Problem;
use kiln_http::auth::RevokedSubject;
use kiln_runtime::outbox::Relay;
use sqlx::PgConnection;
use uuid::Uuid;

/// Writes the row and the outbox entry; the message is to be given to [`Relay::send`] after the commit.
pub async fn announce(
    connection: &mut PgConnection,
    relay: &Relay,
    tenant: TenantId,
    revoked: RevokedSubject,
) -> Result<Vec<Outgoing>, Problem> {
    let revoked_at = Timestamp::now();
    let (kind, id, message) = match revoked {
        RevokedSubject::SignIn(sign_in_id) => {
            let event = SignInRevoked { sign_in_id, revoked_at };
            ("sign_in", sign_in_id.0, Relay::event(subject::SIGN_IN_REVOKED, tenant, revoked_at, event))
        }
        RevokedSubject::User(user_id) => {
            let event = UserRevoked { user_id, revoked_at };
            ("user", user_id.0, Relay::event(subject::USER_REVOKED, tenant, revoked_at, event))
        }
        RevokedSubject::ApiKey(api_key_id) => {
            let event = ApiKeyRevoked { api_key_id, revoked_at };
            ("api_key", api_key_id.0, Relay::event(subject::API_KEY_REVOKED, tenant, revoked_at, event))
        }
    };
    let messages = vec![message.map_err(Problem::internal)?];
    sqlx::query!(
        "INSERT INTO auth.revocations (id, subject, kind, revoked_at) VALUES ($1, $2, $3, $4)",
        Uuid::now_v7(),
        id,
        kind,
        revoked_at.to_sqlx() as _
    )
    .execute(&mut *connection)
    .await?;
    relay.add(connection, &messages).await?;
    Ok(messages)
}
