//! Requests to the auth service over the bus, by the operator's own account.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context;
use kiln_bus::{Bus, BusConfig};
use kiln_events::{Administer, AdministerReply, subject};

use super::Place;
use crate::output::say;
use crate::paths;
use crate::settings::Settings;
use crate::up::secrets::Secrets;

/// For what touches one row or a few.
pub const DEADLINE: Duration = Duration::from_secs(10);

/// Has it done, and says what was.
pub async fn ask(place: Place, request: Administer) -> anyhow::Result<ExitCode> {
    let (account, _) = account(place)?;
    let bus = Bus::connect(&account).await.context("cannot reach NATS: does Kiln run?")?;
    let reply = request_of(&bus, &request, DEADLINE).await;
    bus.drain().await;
    match reply? {
        AdministerReply::Done(done) => say(&done),
        AdministerReply::Refused(why) => anyhow::bail!(why),
    }
    Ok(ExitCode::SUCCESS)
}

/// The auth service's answer.
pub async fn request_of(bus: &Bus, request: &Administer, deadline: Duration) -> anyhow::Result<AdministerReply> {
    bus.request(&subject::control("auth", "admin"), request, deadline).await.context("the auth service did not answer")
}

/// The account that the settings name, else the one of the `kiln up` on this machine, with where that lies.
pub fn account(place: Place) -> anyhow::Result<(BusConfig, Option<PathBuf>)> {
    let settings = Settings::load(place.config)?;
    if let Some(bus) = settings.operator_bus() {
        return Ok((bus, None));
    }
    let home = paths::data_dir(place.data.as_deref())?;
    let secrets = Secrets::load(&home.join("secrets.json"))
        .with_context(|| format!("there is no Kiln in {}: name its data directory with --data", home.display()))?;
    let port = std::fs::read_to_string(home.join("nats/port")).context("it is not known where its NATS listens")?;
    let bus = BusConfig {
        url: format!("nats://127.0.0.1:{}", port.trim()),
        user: "operator".to_owned(),
        password: secrets.nats.operator,
        name: "kiln-admin".to_owned(),
    };
    Ok((bus, Some(home)))
}
