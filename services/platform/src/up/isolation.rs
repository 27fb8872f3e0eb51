//! How well this machine can isolate runs, looked at before anything starts.

use kiln_executor::sandbox::{Isolation, inspect_host};

use crate::prerequisite::Missing;
use crate::settings::Settings;

/// Tiers of this name keep every control; any other must be accepted by its name.
const FULL: &str = "root-cgroup-";

/// The tier that will hold, in words.
///
/// # Errors
/// [`Missing`] when it is a weaker one that neither `flag` nor the setting `executor.accept_isolation` names.
pub fn accept(flag: Option<String>, settings: &mut Settings) -> Result<String, Missing> {
    let accepted = flag.or_else(|| settings.executor.accept_isolation.clone());
    settings.executor.accept_isolation.clone_from(&accepted);
    let isolation = inspect_host();
    if isolation.tier.starts_with(FULL) {
        return Ok(isolation.tier);
    }
    if accepted.as_deref() == Some(isolation.tier.as_str()) {
        return Ok(format!("{} (weaker, accepted by name)", isolation.tier));
    }
    Err(Missing {
        what: "full isolation of the programs that are run".into(),
        why: lacks(&isolation),
        mend: format!("mend that (see `kiln doctor`), or accept less: kiln up --accept-isolation {}", isolation.tier),
    })
}

/// Each control: its name, whether it is there, what to say of it.
pub fn controls() -> Vec<(String, bool, String)> {
    let controls = inspect_host().controls.into_iter();
    controls.map(|control| (control.name, control.present, control.mend.unwrap_or_else(|| "there".to_owned()))).collect()
}

fn lacks(isolation: &Isolation) -> String {
    let lacks: Vec<_> =
        isolation.controls.iter().filter(|control| !control.present).map(|control| control.name.as_str()).collect();
    format!("this machine or this user does not offer: {}", lacks.join(", "))
}
