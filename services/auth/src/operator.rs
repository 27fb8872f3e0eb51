//! What the operator says by `kiln admin`: who is an admin of the platform, which accounts are closed, when keys turn over.

use axum::http::StatusCode;
use kiln_db::Outgoing;
use kiln_domain::TenantId;
use kiln_events::{Administer, AdministerReply};
use kiln_http::Problem;
use kiln_http::auth::RevokedSubject;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::app::App;
use crate::email::Email;
use crate::sign_ins::{self, Because};
use crate::users::{self, Credentials, User};
use crate::{audit, revocations, signing, sweep};

/// Who the audit log says did it: whoever holds the operator's account on the bus.
const OPERATOR: &str = "operator";

/// Does it, and says what was done.
pub async fn administer(app: App, request: Administer) -> anyhow::Result<AdministerReply> {
    let done = match request {
        Administer::SetAdmin { email, admin } => set_admin(&app, &email, admin).await,
        Administer::SetDisabled { email, disabled } => set_disabled(&app, &email, disabled).await,
        Administer::RotateKeys { now } => return rotate(&app, now).await.map(AdministerReply::Done),
        Administer::RotateSecretKeys { to } => return rotate_secrets(&app, to.as_deref()).await,
    };
    match done {
        Ok(done) => Ok(AdministerReply::Done(done)),
        Err(problem) if problem.status().is_server_error() => anyhow::bail!("answered {}", problem.status()),
        Err(problem) => Ok(AdministerReply::Refused(problem.detail().to_owned())),
    }
}

async fn set_admin(app: &App, email: &str, admin: bool) -> Result<String, Problem> {
    let mut tx = app.database.system().await?;
    let id = find(&mut tx, email).await?.user.id;
    users::lock(&mut tx, &[id.0]).await?;
    let user = find(&mut tx, email).await?.user;
    sqlx::query!("UPDATE auth.users SET platform_admin = $2 WHERE id = $1", user.id.0, admin).execute(&mut *tx).await?;
    let action = if admin { "platform_admin.granted" } else { "platform_admin.revoked" };
    let told = |admin: bool| json!({"platform_admin": admin});
    record(&mut tx, &user, action, told(user.platform_admin), told(admin)).await?;
    let tenant = some_tenant(&mut tx, &user).await?;
    let messages = revocations::announce(&mut tx, &app.relay, tenant, RevokedSubject::User(user.id)).await?;
    tx.commit().await?;
    app.relay.send(messages);
    Ok(format!("{} is {} platform admin.", user.email, if admin { "a" } else { "no" }))
}

async fn set_disabled(app: &App, email: &str, disabled: bool) -> Result<String, Problem> {
    let mut tx = app.database.system().await?;
    let id = find(&mut tx, email).await?.user.id;
    users::lock(&mut tx, &[id.0]).await?;
    let Credentials { user, disabled: was_disabled, .. } = find(&mut tx, email).await?;
    sqlx::query!(
        "UPDATE auth.users SET disabled_at = CASE WHEN $2 THEN COALESCE(disabled_at, now()) END WHERE id = $1",
        user.id.0,
        disabled
    )
    .execute(&mut *tx)
    .await?;
    let action = if disabled { "account.disabled" } else { "account.enabled" };
    let told = |disabled: bool| json!({"disabled": disabled});
    record(&mut tx, &user, action, told(was_disabled), told(disabled)).await?;
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
    let entry =
        audit::Entry { after: Some(json!({"now": now})), ..by_operator("signing_keys.rotated", "signing_keys".to_owned()) };
    entry.write(&mut tx).await?;
    tx.commit().await?;
    app.signing.reload(&app.database).await?;
    Ok(done)
}

/// Brings every secret under the first of the operator's keys, as they are now.
async fn rotate_secrets(app: &App, to: Option<&str>) -> anyhow::Result<AdministerReply> {
    let Some(before) = app.keyring.present() else {
        return Ok(AdministerReply::Refused("The operator has given no key for secrets.".to_owned()));
    };
    let turned = match sweep::turn_secrets_over(app).await {
        Ok(turned) => turned,
        Err(error) => return Ok(AdministerReply::Refused(format!("The secrets are not all under the present key: {error:#}."))),
    };
    let present = app.keyring.present().unwrap_or_default();
    if to.is_some_and(|to| to != present) {
        return Ok(AdministerReply::Refused(
            "The auth service takes its keys from elsewhere (auth.secret_key, auth.secret_key_file).".to_owned(),
        ));
    }
    let told = |key: &str| json!({"key_id": key});
    let entry = by_operator("secret_keys.rotated", "secret_keys".to_owned());
    let mut tx = app.database.system().await?;
    audit::Entry { before: Some(told(&before)), after: Some(told(&present)), ..entry }.write(&mut tx).await?;
    tx.commit().await?;
    Ok(AdministerReply::Done(format!("Every secret is under the operator's key {present}; {turned} were under another.")))
}

async fn find(connection: &mut sqlx::PgConnection, email: &str) -> Result<Credentials, Problem> {
    let nobody = || Problem::new(StatusCode::NOT_FOUND, "not_found", "No account has this e-mail address.");
    let email = Email::parse(email).map_err(|_| nobody())?;
    users::credentials(connection, email.folded()).await?.ok_or_else(nobody)
}

/// The envelope of an event names some tenant of theirs; the event itself is about the person.
async fn some_tenant(connection: &mut sqlx::PgConnection, user: &User) -> Result<TenantId, Problem> {
    let memberships = users::memberships(connection, user.id).await?;
    Ok(memberships.first().map_or(TenantId(Uuid::nil()), |membership| membership.id))
}

/// By the operator, who is known as such alone.
async fn record(
    connection: &mut sqlx::PgConnection,
    user: &User,
    action: &'static str,
    before: Value,
    after: Value,
) -> Result<(), Problem> {
    let entry = by_operator(action, user.id.to_string());
    Ok(audit::Entry { before: Some(before), after: Some(after), ..entry }.write(connection).await?)
}

fn by_operator(action: &'static str, object: String) -> audit::Entry {
    audit::Entry { email: Some(OPERATOR.to_owned()), action, object, ..audit::Entry::default() }
}
