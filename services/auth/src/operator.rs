//! What the operator says by `kiln admin`: who is an admin of the platform, which accounts are closed, when keys turn over.

use kiln_db::Outgoing;
use kiln_domain::TenantId;
use kiln_events::{Administer, AdministerReply};
use kiln_http::Problem;
use kiln_http::auth::RevokedSubject;
use uuid::Uuid;

use crate::app::App;
use crate::email::Email;
use crate::sign_ins::{self, Because};
use crate::users::{self, User};
use crate::{audit, revocations, signing};

/// Does it, and says what was done.
pub async fn administer(app: App, request: Administer) -> anyhow::Result<AdministerReply> {
    let done = match request {
        Administer::SetAdmin { email, admin } => set_admin(&app, &email, admin).await,
        Administer::SetDisabled { email, disabled } => set_disabled(&app, &email, disabled).await,
        Administer::RotateKeys { now } => return rotate(&app, now).await.map(AdministerReply::Done),
    };
    match done {
        Ok(done) => Ok(AdministerReply::Done(done)),
        Err(problem) if problem.status().is_server_error() => anyhow::bail!("answered {}", problem.status()),
        Err(problem) => Ok(AdministerReply::Refused(problem.detail().to_owned())),
    }
}

async fn set_admin(app: &App, email: &str, admin: bool) -> Result<String, Problem> {
    let mut tx = app.database.system().await?;
    let user = find(&mut tx, email).await?;
    users::lock(&mut tx, &[user.id.0]).await?;
    sqlx::query!("UPDATE auth.users SET platform_admin = $2 WHERE id = $1", user.id.0, admin).execute(&mut *tx).await?;
    let action = if admin { "platform_admin.granted" } else { "platform_admin.revoked" };
    record(&mut tx, &user, action).await?;
    let tenant = some_tenant(&mut tx, &user).await?;
    let messages = revocations::announce(&mut tx, &app.relay, tenant, RevokedSubject::User(user.id)).await?;
    tx.commit().await?;
    app.relay.send(messages);
    Ok(format!("{} is {} platform admin.", user.email, if admin { "a" } else { "no" }))
}

async fn set_disabled(app: &App, email: &str, disabled: bool) -> Result<String, Problem> {
    let mut tx = app.database.system().await?;
    let user = find(&mut tx, email).await?;
    users::lock(&mut tx, &[user.id.0]).await?;
    sqlx::query!(
        "UPDATE auth.users SET disabled_at = CASE WHEN $2 THEN COALESCE(disabled_at, now()) END WHERE id = $1",
        user.id.0,
        disabled
    )
    .execute(&mut *tx)
    .await?;
    record(&mut tx, &user, if disabled { "account.disabled" } else { "account.enabled" }).await?;
    let tenant = some_tenant(&mut tx, &user).await?;
    let mut messages: Vec<Outgoing> = Vec::new();
    if disabled {
        messages = sign_ins::revoke_all(&mut tx, &app.relay, user.id, tenant, None, Because::Disabled).await?.1;
        messages.extend(revocations::announce(&mut tx, &app.relay, tenant, RevokedSubject::User(user.id)).await?);
    }
    tx.commit().await?;
    app.relay.send(messages);
    Ok(format!("The account {} is {}.", user.email, if disabled { "closed" } else { "open" }))
}

async fn rotate(app: &App, now: bool) -> anyhow::Result<String> {
    let mut tx = app.database.system().await?;
    let done = signing::rotate(&mut tx, now).await?;
    let entry = audit::Entry {
        action: "signing_keys.rotated",
        object: "signing_keys".to_owned(),
        after: Some(serde_json::json!({"now": now})),
        ..audit::Entry::default()
    };
    entry.write(&mut tx).await?;
    tx.commit().await?;
    app.signing.reload(&app.database).await?;
    Ok(done)
}

async fn find(connection: &mut sqlx::PgConnection, email: &str) -> Result<User, Problem> {
    let nobody = || Problem::invalid_field("/email", "no account has this e-mail address");
    let email = Email::parse(email).map_err(|_| nobody())?;
    let known = users::credentials(connection, email.folded()).await?;
    known.map(|known| known.user).ok_or_else(nobody)
}

/// The envelope of an event names some tenant of theirs; the event itself is about the person.
async fn some_tenant(connection: &mut sqlx::PgConnection, user: &User) -> Result<TenantId, Problem> {
    let memberships = users::memberships(connection, user.id).await?;
    Ok(memberships.first().map_or(TenantId(Uuid::nil()), |membership| membership.id))
}

async fn record(connection: &mut sqlx::PgConnection, user: &User, action: &'static str) -> Result<(), Problem> {
    let entry = audit::Entry { action, object: user.id.to_string(), ..audit::Entry::default() };
    Ok(entry.write(connection).await?)
}
