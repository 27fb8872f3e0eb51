//! The sweep: forgets what has served its time, and takes up a rotation of the signing keys.

use std::time::Duration;

use kiln_db::IdempotencyStore;
use tokio_util::sync::CancellationToken;

use crate::app::App;

const EVERY: Duration = Duration::from_mins(1);

/// Runs until `shutdown`; a sweep that fails is tried again by the next.
pub async fn run(app: App, shutdown: CancellationToken) -> anyhow::Result<()> {
    let idempotency = IdempotencyStore::new(app.database.service());
    let mut tick = tokio::time::interval(EVERY);
    tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            () = shutdown.cancelled() => return Ok(()),
            _ = tick.tick() => {}
        }
        if let Err(error) = sweep(&app, &idempotency).await {
            tracing::warn!(%error, "what has expired was not swept; tried again in a minute");
        }
        if let Err(error) = turn_secrets_over(&app).await {
            tracing::warn!(
                error = format!("{error:#}"),
                "secrets are not all under the operator's present key; tried again in a minute"
            );
        }
        if let Err(error) = turn_keys_over(&app).await {
            tracing::warn!(error = format!("{error:#}"), "the signing keys were not turned over; tried again in a minute");
        }
        if let Err(error) = app.signing.reload(&app.database).await {
            tracing::warn!(error = format!("{error:#}"), "the signing key was not reloaded; the last one stays in use");
        }
    }
}

async fn turn_keys_over(app: &App) -> anyhow::Result<()> {
    let mut tx = app.database.system().await?;
    crate::signing::turn_over(&mut tx, app.config.signing_key_days).await?;
    Ok(tx.commit().await?)
}

/// Takes up the operator's keys as they are now and brings every secret under the present one; how many were not.
pub async fn turn_secrets_over(app: &App) -> anyhow::Result<usize> {
    app.keyring.reload()?;
    let mut all = 0;
    loop {
        let mut tx = app.database.system().await?;
        if all == 0 {
            crate::secrets::lock(&mut tx).await?;
        }
        let turned = crate::secrets::turn_over(&mut tx, &app.keyring).await?;
        tx.commit().await?;
        all += turned;
        if turned == 0 {
            return Ok(all);
        }
    }
}

async fn sweep(app: &App, idempotency: &IdempotencyStore) -> Result<(), sqlx::Error> {
    let mut tx = app.database.system().await?;
    sqlx::query!("DELETE FROM auth.tickets WHERE expires_at < now()").execute(&mut *tx).await?;
    let window_s = f64::from(u32::try_from(app.config.login_window_s).unwrap_or(u32::MAX));
    sqlx::query!("DELETE FROM auth.login_failures WHERE window_started_at < now() - make_interval(secs => $1)", window_s)
        .execute(&mut *tx)
        .await?;
    // No access token that these touch lives for 20 minutes.
    sqlx::query!("DELETE FROM auth.revocations WHERE revoked_at < now() - interval '20 minutes'").execute(&mut *tx).await?;
    // With their refresh tokens. A week more, so that a copy presented late still finds its family revoked.
    sqlx::query!("DELETE FROM auth.sign_ins WHERE expires_at < now() - interval '7 days'").execute(&mut *tx).await?;
    sqlx::query!("DELETE FROM auth.mail_tokens WHERE expires_at < now()").execute(&mut *tx).await?;
    sqlx::query!("DELETE FROM auth.invitations WHERE expires_at < now()").execute(&mut *tx).await?;
    idempotency.expire(&mut tx).await?;
    tx.commit().await
}
