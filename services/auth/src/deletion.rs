//! The end of a tenant: gone from here in one transaction; the other services hear of it, remove what they have, and say
//! how much that was, which is recorded as the proof.

use std::net::IpAddr;
use std::time::Duration;

use jiff::Timestamp;
use kiln_bus::{Delivery, Outcome};
use kiln_db::Outgoing;
use kiln_events::{Envelope, TenantDeleted, TenantPurged, subject};
use kiln_http::Problem;
use kiln_http::auth::{Caller, RevokedSubject};
use kiln_runtime::outbox::Relay;
use sqlx::PgConnection;
use tokio_util::sync::CancellationToken;

use crate::app::App;
use crate::tenants::{self, Tenant};
use crate::{api_keys, audit, revocations, users};

/// Removes the tenant and ends its members' tokens; the messages are for [`Relay::send`] after the commit.
pub async fn delete(
    connection: &mut PgConnection,
    relay: &Relay,
    caller: &Caller,
    tenant: &Tenant,
    address: IpAddr,
) -> Result<Vec<Outgoing>, Problem> {
    // Whoever is joining has joined before this, or finds nothing to join.
    tenants::lock(&mut *connection, tenant.id).await?;
    let members = sqlx::query_scalar!("SELECT user_id FROM auth.memberships WHERE tenant_id = $1", tenant.id.0)
        .fetch_all(&mut *connection)
        .await?;
    users::lock(&mut *connection, &members).await?;
    let mut messages = Vec::with_capacity(members.len() + 1);
    for member in &members {
        let subject = RevokedSubject::User(kiln_domain::UserId(*member));
        messages.extend(revocations::announce(&mut *connection, relay, tenant.id, subject).await?);
    }
    messages.extend(api_keys::revoke_made_by(&mut *connection, relay, tenant.id, None).await?.1);
    let gone = sqlx::query!("DELETE FROM auth.tenants WHERE tenant_id = $1", tenant.id.0).execute(&mut *connection).await?;
    if gone.rows_affected() == 0 {
        return Err(Problem::not_found());
    }
    sqlx::query!("DELETE FROM auth.idempotency WHERE tenant_id = $1", tenant.id.0).execute(&mut *connection).await?;
    // What could be had for it is good no more, and says where its members have been.
    sqlx::query!("DELETE FROM auth.refresh_tokens WHERE for_tenant = $1", tenant.id.0).execute(&mut *connection).await?;
    sqlx::query!("DELETE FROM auth.tickets WHERE for_tenant = $1", tenant.id.0).execute(&mut *connection).await?;
    sqlx::query!(
        "INSERT INTO auth.tenant_deletions (former_tenant, slug, requested_by) VALUES ($1, $2, $3)",
        tenant.id.0,
        tenant.slug,
        caller.actor()
    )
    .execute(&mut *connection)
    .await?;
    let mut entry = audit::Entry::by(caller, address, "tenant.deleted", &tenant.id);
    entry.before = Some(serde_json::json!({"name": tenant.name, "slug": tenant.slug, "members": members.len()}));
    entry.write(&mut *connection).await?;
    let event = TenantDeleted { slug: tenant.slug.clone() };
    let event = Relay::event(subject::TENANT_DELETED, tenant.id, Timestamp::now(), event).map_err(Problem::internal)?;
    relay.add(connection, std::slice::from_ref(&event)).await?;
    messages.push(event);
    Ok(messages)
}

/// Records what the other services say they have removed, until `shutdown`.
pub async fn run(app: App, shutdown: CancellationToken) -> anyhow::Result<()> {
    let subject = subject::TENANT_PURGED;
    let consumer = app.bus.consumer(kiln_events::subject::EVENTS, "auth-purged", subject, Duration::from_secs(30), 20).await?;
    consumer.run_batches(shutdown, |batch| record(&app, batch)).await
}

async fn record(app: &App, batch: Vec<Delivery<Envelope<TenantPurged>>>) -> anyhow::Result<Vec<Outcome>> {
    let mut tx = app.database.system().await?;
    for delivery in &batch {
        let (tenant, purged) = (delivery.payload.tenant_id, &delivery.payload.payload);
        let news = sqlx::query!(
            "UPDATE auth.tenant_deletions SET removed = removed || jsonb_build_object($2::text, $3::jsonb)
             WHERE former_tenant = $1 AND NOT removed ? $2::text",
            tenant.0,
            purged.service,
            serde_json::to_value(&purged.removed)?
        )
        .execute(&mut *tx)
        .await?;
        if news.rows_affected() == 1 {
            let entry = audit::Entry {
                tenant_id: Some(tenant),
                action: "tenant.purged",
                object: format!("{}/{tenant}", purged.service),
                after: Some(serde_json::to_value(&purged.removed)?),
                ..audit::Entry::default()
            };
            entry.write(&mut tx).await?;
        }
    }
    tx.commit().await?;
    Ok(vec![Outcome::Done; batch.len()])
}
