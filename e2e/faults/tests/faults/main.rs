//! Kiln harmed, and what its database and its bus hold then.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test that panics says so at the place")]

mod deletion;
mod drift;
mod keys;
mod notebooks;
mod quota;

use std::sync::OnceLock;
use std::time::Duration;

use kiln_test_support::{Split, Tenant, eventually};
use sqlx::{Connection as _, PgConnection, Row as _};

/// Enough for what happens at once, on a busy machine.
const SOON: Duration = Duration::from_secs(30);

/// The installation of the tests that harm no other.
fn shared() -> &'static Split {
    static SHARED: OnceLock<Split> = OnceLock::new();
    SHARED.get_or_init(Split::start)
}

/// The database, as the role that owns it.
async fn database(kiln: &Split) -> PgConnection {
    PgConnection::connect(&kiln.database_url()).await.unwrap()
}

/// A platform admin, made as the operator makes one.
async fn admin(kiln: &Split) -> Tenant {
    let admin = Tenant::sign_up(&kiln.api()).await;
    kiln.operate(&["grant", &admin.email]).await;
    admin.refreshed().await
}

/// What the scheduler has reserved for the tenant: running or on its way, and waiting.
async fn reserved(database: &mut PgConnection, tenant: uuid::Uuid) -> (i32, i32) {
    let row = sqlx::query("SELECT active, queued FROM scheduler.tenant WHERE tenant_id = $1").bind(tenant);
    let row = row.fetch_one(database).await.unwrap();
    (row.get(0), row.get(1))
}

/// Waits until a query that yields one boolean yields true.
async fn holds(kiln: &Split, what: &str, within: Duration, tenant: uuid::Uuid, query: &'static str) {
    let asked = async || {
        let mut database = database(kiln).await;
        let held: bool = sqlx::query(query).bind(tenant).fetch_one(&mut database).await.unwrap().get(0);
        held.then_some(())
    };
    eventually(within, what, asked).await;
}
