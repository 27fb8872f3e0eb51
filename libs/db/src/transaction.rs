//! Transactions that carry their tenant.

use std::ops::{Deref, DerefMut};
use std::time::Duration;

use kiln_domain::TenantId;
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use sqlx::{AssertSqlSafe, PgConnection, PgPool, Postgres, Transaction};

/// Longest wait for a free connection.
const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(5);
/// No statement of a service runs longer.
const STATEMENT_TIMEOUT: &str = "15s";

/// One service's pool of connections.
#[derive(Clone, Debug)]
pub struct Database {
    pool: PgPool,
    /// Name of the service, of its schema, and part of its roles' names.
    service: &'static str,
}

impl Database {
    /// Connects as `kiln_<service>`; `url` names host, role and password.
    pub async fn connect(url: &str, service: &'static str, max_connections: u32) -> Result<Self, sqlx::Error> {
        let options: PgConnectOptions = url.parse()?;
        let options = options.application_name(&format!("kiln-{service}")).options([("statement_timeout", STATEMENT_TIMEOUT)]);
        let pool = PgPoolOptions::new()
            .max_connections(max_connections)
            .min_connections(1)
            .acquire_timeout(ACQUIRE_TIMEOUT)
            .test_before_acquire(false)
            .connect_with(options)
            .await?;
        Ok(Self { pool, service })
    }

    pub fn service(&self) -> &'static str {
        self.service
    }

    /// A transaction that sees and writes the rows of one tenant only.
    pub async fn tenant(&self, tenant: TenantId) -> Result<TenantTx, sqlx::Error> {
        let begin = format!("BEGIN; SET LOCAL app.tenant_id = '{tenant}'");
        Ok(TenantTx { tx: self.begin(begin).await?, tenant })
    }

    /// A transaction of the service itself, across tenants: relays, reconcilers, dispatch.
    pub async fn system(&self) -> Result<SystemTx, sqlx::Error> {
        let begin = format!("BEGIN; SET LOCAL ROLE kiln_{}_system", self.service);
        Ok(SystemTx { tx: self.begin(begin).await? })
    }

    /// Begins in a task of its own: a `BEGIN` that is dropped while it is under way would leave its connection inside a
    /// transaction, with its role and tenant, for the next user of the pool.
    async fn begin(&self, statement: String) -> Result<Transaction<'static, Postgres>, sqlx::Error> {
        let pool = self.pool.clone();
        let begun = tokio::spawn(async move { pool.begin_with(AssertSqlSafe(statement)).await });
        begun.await.map_err(|_| sqlx::Error::WorkerCrashed)?
    }

    /// Whether the database answers.
    pub async fn ping(&self) -> Result<(), sqlx::Error> {
        sqlx::query("SELECT 1").execute(&self.pool).await.map(drop)
    }

    /// Connections in use and idle, and how many there may be.
    pub fn connections(&self) -> Connections {
        let (open, idle) = (self.pool.size(), u32::try_from(self.pool.num_idle()).unwrap_or(u32::MAX));
        Connections { used: open.saturating_sub(idle), idle, most: self.pool.options().get_max_connections() }
    }

    /// Closes every connection, waiting for those in use.
    pub async fn close(&self) {
        self.pool.close().await;
    }
}

/// The state of a pool.
#[derive(Debug, Clone, Copy)]
pub struct Connections {
    pub used: u32,
    pub idle: u32,
    pub most: u32,
}

/// A transaction for one tenant; rolled back unless committed. One that has only read is dropped: that costs no wait.
pub struct TenantTx {
    tx: Transaction<'static, Postgres>,
    tenant: TenantId,
}

impl TenantTx {
    /// The tenant, to be named in predicates as well.
    pub fn tenant(&self) -> TenantId {
        self.tenant
    }

    pub async fn commit(self) -> Result<(), sqlx::Error> {
        self.tx.commit().await
    }
}

impl Deref for TenantTx {
    type Target = PgConnection;
    fn deref(&self) -> &PgConnection {
        &self.tx
    }
}

impl DerefMut for TenantTx {
    fn deref_mut(&mut self) -> &mut PgConnection {
        &mut self.tx
    }
}

/// A transaction across tenants, by the service's system role; rolled back unless committed.
pub struct SystemTx {
    tx: Transaction<'static, Postgres>,
}

impl SystemTx {
    pub async fn commit(self) -> Result<(), sqlx::Error> {
        self.tx.commit().await
    }
}

impl Deref for SystemTx {
    type Target = PgConnection;
    fn deref(&self) -> &PgConnection {
        &self.tx
    }
}

impl DerefMut for SystemTx {
    fn deref_mut(&mut self) -> &mut PgConnection {
        &mut self.tx
    }
}
