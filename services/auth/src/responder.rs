//! What the auth service answers to the others over the bus: public keys with late revocations, and whose an API key,
//! ticket or refresh cookie is.

use jiff::Timestamp;
use jiff_sqlx::ToSqlx as _;
use kiln_domain::{ApiKeyId, SignInId, UserId};
use kiln_events::{ResolveSecrets, ResolveSecretsReply};
use kiln_http::auth::{
    KeysReply, KeysRequest, ResolveApiKey, ResolveApiKeyReply, ResolveRefresh, ResolveTicket, Revoked, RevokedSubject, UserReply,
    subjects,
};
use kiln_runtime::Task;
use tokio_util::sync::CancellationToken;

use crate::app::App;
use crate::{api_keys, operator, signing, tickets};

/// Queue group: each request goes to one replica.
const GROUP: &str = "auth";
/// Revocations in one answer; a message holds 1 MiB.
const PAGE: usize = 2000;

/// [`ResolveSecrets`], by the scheduler alone.
const SECRETS: &str = "kiln.control.v1.auth.secrets";
/// [`kiln_events::Administer`], by the operator alone.
const ADMIN: &str = "kiln.control.v1.auth.admin";

/// One task a subject.
pub fn tasks(app: &App, shutdown: &CancellationToken) -> Vec<Task> {
    vec![
        serve(app, shutdown, "auth-answers-keys", subjects::KEYS, keys),
        serve(app, shutdown, "auth-answers-api-key", subjects::API_KEY, api_key),
        serve(app, shutdown, "auth-answers-ticket", subjects::TICKET, ticket),
        serve(app, shutdown, "auth-answers-refresh", subjects::REFRESH, refresh),
        serve(app, shutdown, "auth-answers-secrets", SECRETS, secrets),
        serve(app, shutdown, "auth-answers-admin", ADMIN, operator::administer),
    ]
}

fn serve<Q, A, F>(
    app: &App,
    shutdown: &CancellationToken,
    name: &'static str,
    subject: &'static str,
    answer: fn(App, Q) -> F,
) -> Task
where
    Q: serde::de::DeserializeOwned + Send + 'static,
    A: serde::Serialize + Send + 'static,
    F: Future<Output = anyhow::Result<A>> + Send + 'static,
{
    let (app, shutdown) = (app.clone(), shutdown.clone());
    Task::new(name, async move {
        let bus = app.bus.clone();
        bus.serve(subject, GROUP, shutdown, move |query| answer(app.clone(), query)).await
    })
}

async fn keys(app: App, request: KeysRequest) -> anyhow::Result<KeysReply> {
    let mut tx = app.database.system().await?;
    let keys = signing::public_keys(&mut tx).await?;
    let rows = sqlx::query!(
        "SELECT id, subject, kind, revoked_at FROM auth.revocations
         WHERE revoked_at >= $1 AND ($2::uuid IS NULL OR (revoked_at, id) > ($1, $2))
         ORDER BY revoked_at, id LIMIT $3",
        request.since.to_sqlx() as _,
        request.after,
        i64::try_from(PAGE + 1)?
    )
    .fetch_all(&mut *tx)
    .await?;
    tx.commit().await?;
    let more = rows.len() > PAGE;
    let revoked = rows.into_iter().take(PAGE).map(|row| Revoked {
        id: row.id,
        subject: match row.kind.as_str() {
            "api_key" => RevokedSubject::ApiKey(ApiKeyId(row.subject)),
            "user" => RevokedSubject::User(UserId(row.subject)),
            _ => RevokedSubject::SignIn(SignInId(row.subject)),
        },
        revoked_at: row.revoked_at.to_jiff(),
    });
    Ok(KeysReply { keys, revoked: revoked.collect(), now: Timestamp::now(), more })
}

async fn api_key(app: App, request: ResolveApiKey) -> anyhow::Result<ResolveApiKeyReply> {
    let mut tx = app.database.system().await?;
    let key = api_keys::resolve(&mut tx, &hex::decode(&request.sha256)?).await?;
    tx.commit().await?;
    Ok(ResolveApiKeyReply { key })
}

async fn ticket(app: App, request: ResolveTicket) -> anyhow::Result<UserReply> {
    let mut tx = app.database.system().await?;
    let user = tickets::spend(&mut tx, &hex::decode(&request.sha256)?).await.map_err(|problem| broken(&problem))?;
    tx.commit().await?;
    Ok(UserReply { user })
}

async fn refresh(app: App, request: ResolveRefresh) -> anyhow::Result<UserReply> {
    let mut tx = app.database.system().await?;
    let user = tickets::refresh_token_owner(&mut tx, &hex::decode(&request.sha256)?).await.map_err(|problem| broken(&problem))?;
    tx.commit().await?;
    Ok(UserReply { user })
}

async fn secrets(app: App, request: ResolveSecrets) -> anyhow::Result<ResolveSecretsReply> {
    let mut tx = app.database.tenant(request.tenant_id).await?;
    let (secrets, masked) = crate::secrets::resolve(&mut tx, &app.keyring, &request.names, request.values).await?;
    tx.commit().await?;
    Ok(ResolveSecretsReply { secrets, masked })
}

fn broken(problem: &kiln_http::Problem) -> anyhow::Error {
    anyhow::anyhow!("answered {} to an internal request", problem.status())
}
