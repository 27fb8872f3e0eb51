//! `kiln admin`: what an operator does. Who is an admin and which keys sign is said to the auth service over the bus, by the
//! operator's own account; everything else goes over the public API, by an admin who has signed in.

mod keys;
mod operator;
mod tenants;

use std::path::PathBuf;
use std::process::ExitCode;

/// Runs the installation.
#[derive(Debug, clap::Args)]
pub struct Admin {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// Makes an account a platform admin
    Grant(Account),
    /// Takes that back
    Revoke(Account),
    /// Closes an account: its sign-ins end, and it cannot log in
    Disable(Account),
    /// Opens a closed account again
    Enable(Account),
    /// The keys that sign access tokens and that encrypt secrets
    #[command(subcommand)]
    Keys(Keys),
    /// Lists all tenants
    Tenants(tenants::Tenants),
    /// Shows or changes what a tenant may use
    Quota(tenants::Quota),
    /// Suspends a tenant: its runs end and it can submit none
    Suspend(tenants::Suspend),
}

#[derive(Debug, clap::Args)]
struct Account {
    /// Its e-mail address
    email: String,
    #[command(flatten)]
    place: Place,
}

#[derive(Debug, clap::Subcommand)]
enum Keys {
    /// Signs with a new key, the old one being published until its last token is dead; and brings every secret under a new
    /// key, or where the settings name the keys (auth.secret_key_file) under the first of them
    Rotate {
        /// Sign with it at once and drop the old ones: every access token must be refreshed. For a key that has leaked
        #[arg(long)]
        now: bool,
        #[command(flatten)]
        place: Place,
    },
}

/// Where the installation is.
#[derive(Debug, clap::Args)]
struct Place {
    /// Data directory of the `kiln up` on this machine
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    /// Settings file (TOML) that names the operator's account in NATS
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
}

impl Admin {
    pub async fn run(self) -> anyhow::Result<ExitCode> {
        use kiln_events::Administer;
        match self.command {
            Command::Grant(Account { email, place }) => operator::ask(place, Administer::SetAdmin { email, admin: true }).await,
            Command::Revoke(Account { email, place }) => operator::ask(place, Administer::SetAdmin { email, admin: false }).await,
            Command::Disable(Account { email, place }) => {
                operator::ask(place, Administer::SetDisabled { email, disabled: true }).await
            }
            Command::Enable(Account { email, place }) => {
                operator::ask(place, Administer::SetDisabled { email, disabled: false }).await
            }
            Command::Keys(Keys::Rotate { now, place }) => keys::rotate(place, now).await,
            Command::Tenants(tenants) => tenants.run().await,
            Command::Quota(quota) => quota.run().await,
            Command::Suspend(suspend) => suspend.run().await,
        }
    }
}
