//! The keys that sign access tokens: made at the first start, kept in the database, several at a time so that they can
//! be rotated without a token failing.

use std::sync::{Arc, PoisonError, RwLock};

use anyhow::Context as _;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair as _};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use kiln_db::Database;
use kiln_http::auth::{AUDIENCE, AccessClaims, ISSUER, MAX_ACCESS_TOKEN_S, PublicKey, TOKEN_TYPE, UserIdentity};
use sqlx::PgConnection;
use uuid::Uuid;

/// Clocks of two machines may differ by this much; a token is valid from so many seconds before its issue.
const CLOCK_SKEW_S: u64 = 5;

/// A key is published so long before it signs: longer than the published set may be cached.
const PUBLISHED_FIRST_S: f64 = 330.0;

/// The key that signs now.
#[derive(Clone)]
pub struct SigningKeys {
    active: Arc<RwLock<Arc<Active>>>,
}

struct Active {
    kid: String,
    key: EncodingKey,
}

impl SigningKeys {
    /// The active key, made now if the installation has none.
    pub async fn load(database: &Database) -> anyhow::Result<Self> {
        let mut tx = database.system().await?;
        // Two replicas that start together must not both make a first key.
        sqlx::query!("SELECT pg_advisory_xact_lock(hashtext('auth.signing_keys'))").fetch_one(&mut *tx).await?;
        let active = match find_active(&mut tx).await? {
            Some(active) => active,
            None => create(&mut tx, "active").await?,
        };
        tx.commit().await?;
        Ok(Self { active: Arc::new(RwLock::new(Arc::new(active))) })
    }

    /// Takes up a rotation made by another process.
    pub async fn reload(&self, database: &Database) -> anyhow::Result<()> {
        let mut tx = database.system().await?;
        let active = find_active(&mut tx).await?.context("no signing key is active")?;
        tx.commit().await?;
        *self.active.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(active);
        Ok(())
    }

    /// An access token for this person, valid `life_s` seconds from `now_s`.
    pub fn sign(&self, user: &UserIdentity, now_s: u64, life_s: u64) -> anyhow::Result<String> {
        let active = Arc::clone(&self.active.read().unwrap_or_else(PoisonError::into_inner));
        let header = Header { typ: Some(TOKEN_TYPE.to_owned()), kid: Some(active.kid.clone()), ..Header::new(Algorithm::EdDSA) };
        let claims = AccessClaims {
            iss: ISSUER.to_owned(),
            aud: AUDIENCE.to_owned(),
            sub: user.user_id,
            tid: user.tenant_id,
            role: user.role,
            sid: user.sign_in_id,
            iat: now_s,
            nbf: now_s.saturating_sub(CLOCK_SKEW_S),
            exp: now_s + life_s.min(MAX_ACCESS_TOKEN_S),
            jti: AccessClaims::id_at(user.known_at),
            platform_admin: user.platform_admin,
        };
        Ok(jsonwebtoken::encode(&header, &claims, &active.key)?)
    }
}

/// Every key that a living token may be signed with, or soon will.
pub async fn public_keys(connection: &mut PgConnection) -> Result<Vec<PublicKey>, sqlx::Error> {
    let rows = sqlx::query!("SELECT kid, public_key FROM auth.signing_keys ORDER BY created_at").fetch_all(connection).await?;
    Ok(rows.into_iter().map(|row| PublicKey { kid: row.kid, x: URL_SAFE_NO_PAD.encode(row.public_key) }).collect())
}

async fn find_active(connection: &mut PgConnection) -> Result<Option<Active>, sqlx::Error> {
    let row = sqlx::query!("SELECT kid, pkcs8 FROM auth.signing_keys WHERE state = 'active'").fetch_optional(connection).await?;
    Ok(row.map(|row| Active { kid: row.kid, key: EncodingKey::from_ed_der(&row.pkcs8) }))
}

/// Makes a key that will sign once everybody may have seen it; with `now` at once, and drops all others.
pub async fn rotate(connection: &mut PgConnection, now: bool) -> anyhow::Result<String> {
    sqlx::query!("SELECT pg_advisory_xact_lock(hashtext('auth.signing_keys'))").fetch_one(&mut *connection).await?;
    if now {
        sqlx::query!("DELETE FROM auth.signing_keys").execute(&mut *connection).await?;
        create(connection, "active").await?;
        return Ok("A new key signs; every other is dropped, so access tokens must be refreshed.".to_owned());
    }
    let next = sqlx::query_scalar!(r#"SELECT EXISTS (SELECT FROM auth.signing_keys WHERE state = 'next') AS "next!""#);
    if next.fetch_one(&mut *connection).await? {
        return Ok("A new key is published already and will sign soon.".to_owned());
    }
    create(connection, "next").await?;
    Ok("A new key is published; it will sign within seven minutes, when every cache has seen it.".to_owned())
}

/// Lets a published key sign once it was long enough in the published set, forgets keys whose last token is dead, and
/// begins to replace a key that has signed for `rotation_days`.
pub async fn turn_over(connection: &mut PgConnection, rotation_days: u32) -> anyhow::Result<()> {
    sqlx::query!("SELECT pg_advisory_xact_lock(hashtext('auth.signing_keys'))").fetch_one(&mut *connection).await?;
    let ready = sqlx::query_scalar!(
        "SELECT kid FROM auth.signing_keys WHERE state = 'next' AND created_at < now() - make_interval(secs => $1)",
        PUBLISHED_FIRST_S
    );
    if let Some(kid) = ready.fetch_optional(&mut *connection).await? {
        sqlx::query!("UPDATE auth.signing_keys SET state = 'retired', retired_at = now() WHERE state = 'active'")
            .execute(&mut *connection)
            .await?;
        sqlx::query!("UPDATE auth.signing_keys SET state = 'active' WHERE kid = $1", kid).execute(&mut *connection).await?;
        tracing::info!(kid, "a new signing key signs");
    }
    sqlx::query!("DELETE FROM auth.signing_keys WHERE state = 'retired' AND retired_at < now() - interval '20 minutes'")
        .execute(&mut *connection)
        .await?;
    let old = sqlx::query_scalar!(
        r#"SELECT EXISTS (SELECT FROM auth.signing_keys WHERE state = 'active' AND created_at < now() - make_interval(days => $1))
              AND NOT EXISTS (SELECT FROM auth.signing_keys WHERE state = 'next') AS "old!""#,
        i32::try_from(rotation_days).unwrap_or(i32::MAX)
    );
    if old.fetch_one(&mut *connection).await? {
        create(connection, "next").await?;
    }
    Ok(())
}

async fn create(connection: &mut PgConnection, state: &str) -> anyhow::Result<Active> {
    let pkcs8 = Ed25519KeyPair::generate_pkcs8(&SystemRandom::new()).context("cannot make a signing key")?;
    let pair = Ed25519KeyPair::from_pkcs8(pkcs8.as_ref()).context("cannot read the signing key just made")?;
    let kid = Uuid::now_v7().simple().to_string();
    sqlx::query!(
        "INSERT INTO auth.signing_keys (kid, state, pkcs8, public_key) VALUES ($1, $4, $2, $3)",
        kid,
        pkcs8.as_ref(),
        pair.public_key().as_ref(),
        state,
    )
    .execute(connection)
    .await?;
    tracing::info!(kid, state, "made a signing key");
    Ok(Active { kid, key: EncodingKey::from_ed_der(pkcs8.as_ref()) })
}
