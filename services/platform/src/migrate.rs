//! Brings Postgres and NATS to what the services need: tables, roles with their passwords, streams.

use std::time::Duration;

use anyhow::Context;
use kiln_bus::Bus;
use secrecy::ExposeSecret;
use sqlx::postgres::PgConnectOptions;
use sqlx::{AssertSqlSafe, Connection, PgConnection};

use crate::settings::Settings;
use crate::target::Target;

static MIGRATIONS: sqlx::migrate::Migrator = sqlx::migrate!("../../migrations");

/// Longest wait for another process that migrates the same database.
const LOCK_TIMEOUT: &str = "60s";
const CONNECT_WITHIN: Duration = Duration::from_secs(15);

/// Runs the migrations as the owner, then sets the services' passwords to those in their addresses. Repeats do nothing.
pub async fn database(settings: &Settings) -> anyhow::Result<()> {
    let options: PgConnectOptions =
        settings.owner_url()?.expose_secret().parse().context("database.owner is no Postgres address")?;
    let options = options.application_name("kiln-migrate").options([("lock_timeout", LOCK_TIMEOUT)]);
    let mut connection = tokio::time::timeout(CONNECT_WITHIN, PgConnection::connect_with(&options))
        .await
        .context("Postgres does not answer")?
        .context("cannot connect to Postgres as the owner")?;
    MIGRATIONS.run(&mut connection).await.context("a migration failed")?;
    for target in Target::ALL {
        if settings.database_url(target).is_ok_and(|url| url.is_some()) {
            set_password(&mut connection, settings, target).await.with_context(|| format!("the password of {target}"))?;
        }
    }
    connection.close().await.context("cannot close the owner's connection")
}

/// Makes the streams and the object store, or brings them up to date.
pub async fn streams(settings: &Settings) -> anyhow::Result<()> {
    let Some(config) = settings.operator_bus() else { return Ok(()) };
    let bus = Bus::connect(&config).await.context("NATS, as the operator")?;
    bus.ensure_streams(settings.nats.replicas).await.context("the streams cannot be made")?;
    bus.drain().await;
    Ok(())
}

/// The role and password of a service stand in its address. An address of another role, or without a password (a socket
/// with peer authentication, say), is the operator's own affair.
async fn set_password(connection: &mut PgConnection, settings: &Settings, target: Target) -> anyhow::Result<()> {
    let Some(url) = settings.database_url(target)? else { return Ok(()) };
    let Some((role, password)) = credentials(url.expose_secret()) else { return Ok(()) };
    if role != format!("kiln_{target}") || password.is_empty() {
        return Ok(());
    }
    let statement: String = sqlx::query_scalar("SELECT format('ALTER ROLE %I PASSWORD %L', $1::text, $2::text)")
        .bind(role)
        .bind(password)
        .fetch_one(&mut *connection)
        .await?;
    sqlx::query(AssertSqlSafe(statement)).execute(connection).await?;
    Ok(())
}

/// Role and password of a `postgres://` address, percent-decoded.
fn credentials(url: &str) -> Option<(String, String)> {
    let url = reqwest::Url::parse(url).ok()?;
    Some((decode(url.username())?, decode(url.password()?)?))
}

fn decode(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        if byte == b'%' {
            let digits = [rest.next()?, rest.next()?];
            bytes.push(u8::from_str_radix(std::str::from_utf8(&digits).ok()?, 16).ok()?);
        } else {
            bytes.push(byte);
        }
    }
    String::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests {
    use super::credentials;

    #[test]
    fn credentials_are_decoded() {
        let found = credentials("postgres://kiln_auth:p%40ss%2F1@localhost:5432/kiln?host=%2Frun").unwrap();
        assert_eq!(found, ("kiln_auth".to_owned(), "p@ss/1".to_owned()));
        assert_eq!(credentials("postgres://kiln_auth@localhost/kiln"), None);
    }
}
