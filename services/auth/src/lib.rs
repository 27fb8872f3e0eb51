//! The auth service: accounts, tenants and their members, sign-ins, API keys, quotas, and the record of who did what.
//!
//! It issues access tokens and says by event when a tenant appears or a credential is revoked; the other services
//! verify by themselves. Read `routes/` for what it offers, `responder.rs` for what it tells the other services.

mod api_keys;
mod app;
mod audit;
mod config;
mod deletion;
mod email;
mod envelope;
mod invitations;
mod login_throttle;
mod mail;
mod mail_tokens;
mod members;
mod names;
mod operator;
mod password;
mod quotas;
mod refresh;
mod responder;
mod revocations;
mod routes;
mod secrets;
mod session;
mod sign_ins;
mod signing;
mod sweep;
mod tenants;
mod tickets;
mod users;

use std::sync::Arc;

use anyhow::Context as _;
use futures::FutureExt as _;
use kiln_http::auth::Verifier;
use kiln_runtime::outbox::Relay;
use kiln_runtime::{Deps, Ready, Service, Task};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

pub use config::{Config, MailConfig, QuotaDefaults};
pub use envelope::secret_key_id;
pub use routes::api;

/// Builds the service; makes its first signing key when there is none.
pub async fn build(config: Config, deps: &Deps) -> anyhow::Result<Service> {
    let database = deps.database.clone().context("auth needs its database")?;
    let (relay, relay_task) = Relay::new(database.clone(), deps.bus.clone(), deps.shutdown.clone());
    let verifier = Verifier::new(deps.bus.clone());
    let app = app::App::new(app::Parts {
        hasher: password::Hasher::new(config.password_threads, config.password_queue, config.password_wait()).await?,
        signing: signing::SigningKeys::load(&database).await.context("cannot load the signing keys")?,
        signups: kiln_http::RateLimit::per_minute("signup", config.signups_per_minute),
        invitations: kiln_http::RateLimit::per_minute("invitation", config.invitations_per_minute),
        mails: kiln_http::RateLimit::per_minute("mail", config.mails_per_minute),
        keyring: envelope::Keyring::new(
            config.secret_key_file.clone(),
            config.secret_key.iter().chain(&config.previous_secret_keys),
        )?,
        mailer: mail::Mailer::new(&config.mail, &config.public_url)?,
        verifier: verifier.clone(),
        requests: TaskTracker::new(),
        bus: deps.bus.clone(),
        config,
        database,
        relay,
    });
    let mut tasks = vec![
        relay_task,
        Task::new("auth-verifier", verifier.run(deps.shutdown.clone())),
        Task::new("auth-deletions", deletion::run(app.clone(), deps.shutdown.clone())),
        Task::new("auth-mail", mail::run(app.clone(), deps.shutdown.clone())),
        Task::new("auth-sweep", sweep::run(app.clone(), deps.shutdown.clone())),
    ];
    tasks.push(Task::new("auth-requests", finish_requests(app.clone(), deps.shutdown.clone())));
    tasks.extend(responder::tasks(&app, &deps.shutdown));
    Ok(Service { name: "auth", routes: routes::router(app.clone()), tasks, ready: ready(app) })
}

/// Waits at shutdown for the requests whose client has left.
async fn finish_requests(app: app::App, shutdown: CancellationToken) -> anyhow::Result<()> {
    shutdown.cancelled().await;
    app.requests.close();
    app.requests.wait().await;
    Ok(())
}

fn ready(app: app::App) -> Ready {
    Arc::new(move || {
        let app = app.clone();
        async move {
            app.database.ping().await.map_err(|error| format!("the database does not answer: {error}"))?;
            if app.verifier.is_ready() { Ok(()) } else { Err("the public keys have not come over the bus yet".to_owned()) }
        }
        .boxed()
    })
}
