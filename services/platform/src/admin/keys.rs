//! `kiln admin keys rotate`: new keys on a running installation. Of `kiln up` the key for secrets lies in its data directory
//! and is made here; elsewhere the operator has put a new one first in `auth.secret_key_file`.

use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context as _, bail};
use kiln_bus::Bus;
use kiln_events::{Administer, AdministerReply};
use secrecy::ExposeSecret as _;

use super::Place;
use super::operator::{DEADLINE, account, request_of};
use crate::output::say;
use crate::up::secrets::SecretKeys;

/// Every secret of the installation comes under the new key within this. Asked for again it goes on where it was.
const SECRETS_DEADLINE: Duration = Duration::from_mins(5);

pub async fn rotate(place: Place, now: bool) -> anyhow::Result<ExitCode> {
    let (account, home) = account(place)?;
    let bus = Bus::connect(&account).await.context("cannot reach NATS: does Kiln run?")?;
    let done = async {
        match request_of(&bus, &Administer::RotateKeys { now }, DEADLINE).await? {
            AdministerReply::Done(done) => say(&done),
            AdministerReply::Refused(why) => bail!(why),
        }
        match &home {
            Some(home) => fresh_secret_key(&bus, home).await,
            None => present_secret_key(&bus).await,
        }
    };
    let done = done.await;
    bus.drain().await;
    done.map(|()| ExitCode::SUCCESS)
}

/// Makes a key for secrets, and forgets the earlier ones once nothing is under them.
async fn fresh_secret_key(bus: &Bus, home: &Path) -> anyhow::Result<()> {
    let keys = SecretKeys::of(home);
    let key = keys.add()?;
    let to = Some(kiln_auth::secret_key_id(key.expose_secret())?);
    match request_of(bus, &Administer::RotateSecretKeys { to }, SECRETS_DEADLINE).await? {
        AdministerReply::Done(done) => say(&done),
        AdministerReply::Refused(why) => bail!(why),
    }
    keys.keep_only(&key)
}

/// Where the settings name the keys: everything comes under the first of them.
async fn present_secret_key(bus: &Bus) -> anyhow::Result<()> {
    match request_of(bus, &Administer::RotateSecretKeys { to: None }, SECRETS_DEADLINE).await? {
        AdministerReply::Done(done) => say(&done),
        AdministerReply::Refused(why) => say(&format!("Secrets: {why}")),
    }
    Ok(())
}
