//! Programs in each runtime, in real sandboxes: the same words and ends as by the bare interpreter, and figures.
//!
//! Needs what the sandbox's own tests need, and says so where it is missing.

#![allow(clippy::unwrap_used, clippy::wildcard_enum_match_arm, reason = "tests")]

#[path = "../sandbox/fixture.rs"]
#[allow(dead_code, reason = "shared with the tests of the sandbox, which use more of it")]
mod fixture;

const START: kiln_domain::Start = kiln_domain::Start::Warm;

mod bare;
mod figures;
mod poisoned;

use kiln_executor::runtimes::{Resolved, Runtimes, RuntimesConfig, Search};

/// Every plain Python of the machine, and the system's own, which is called in another way.
async fn pythons(fixture: &fixture::Fixture) -> Vec<Resolved> {
    let system = Search { directories: vec!["/usr/bin".into()], prefixes: Vec::new() };
    let mut pythons = Vec::new();
    for (name, search) in [("all", Search::from_environment()), ("system", system)] {
        let config = RuntimesConfig { search, environments: Vec::new(), ..RuntimesConfig::new(fixture.data_dir.join(name)) };
        let runtimes = Runtimes::open(config).await.unwrap();
        let ids = runtimes.list().into_iter().map(|runtime| runtime.id).filter(|id| id.starts_with("python3."));
        pythons.extend(ids.map(|id| runtimes.resolve(&id).unwrap()));
    }
    pythons
}
