//! Every program of the corpus through `kiln up`: alone, with the checks of the host, and 16 at once from mixed tenants.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::wildcard_enum_match_arm,
    reason = "a test that panics says so at the place"
)]

mod client;
mod command;
mod host;

use std::collections::BTreeSet;

use futures::StreamExt;
use kiln_drill::{Case, Drill, NoOutside, Pace, Report, built_in, cases};
use kiln_test_support::Installation;
use tokio::sync::Mutex;

use client::Tenants;
use host::Host;

const AT_ONCE: usize = 16;
const TENANTS: usize = 4;

/// One installation at a time: the programs use the machine to its limits, and some checks compare times.
static ONE_AT_A_TIME: Mutex<()> = Mutex::const_new(());

/// The whole corpus, or what `KILN_DRILL_ONLY` names: a group or an id.
fn corpus() -> Vec<Case> {
    let only = std::env::var("KILN_DRILL_ONLY").ok();
    let chosen = |name: &str| only.as_ref().is_none_or(|only| only == name);
    let all = cases(built_in().unwrap());
    let cases: Vec<_> = all
        .into_iter()
        .filter(|case| chosen(&case.name) || case.steps.iter().any(|step| chosen(&step.id) || chosen(&step.group)))
        .collect();
    assert!(!cases.is_empty(), "KILN_DRILL_ONLY names no program");
    cases
}

#[tokio::test(flavor = "multi_thread")]
async fn each_program_alone_is_held_and_leaves_nothing() {
    let _turn = ONE_AT_A_TIME.lock().await;
    let kiln = Installation::start();
    let tenants = Tenants::sign_up(&kiln, TENANTS).await;
    let host = Host::of(&kiln);
    let drill = Drill::new(&tenants, &host, Pace::BRISK);
    let mut reports = Vec::new();
    for case in corpus() {
        reports.extend(drill.conduct(&case, 0).await);
    }
    let left = host.left_after_two_seconds().await;
    judge("alone", &reports);
    assert_eq!(left, Vec::<String>::new(), "left of runs that have ended");
}

#[tokio::test(flavor = "multi_thread")]
async fn sixteen_at_once_from_mixed_tenants_are_held() {
    let _turn = ONE_AT_A_TIME.lock().await;
    let kiln = Installation::start();
    let tenants = Tenants::sign_up(&kiln, TENANTS).await;
    let host = Host::of(&kiln);
    let drill = &Drill::new(&tenants, &NoOutside, Pace::CROWD);
    // What compares times is only meaningful alone.
    let (quiet, crowd): (Vec<_>, Vec<_>) = corpus().into_iter().partition(Case::measures_time);
    let numbered = crowd.into_iter().chain(quiet.into_iter().map(without_times)).enumerate();
    let reports: Vec<Vec<Report>> = futures::stream::iter(numbered)
        .map(async |(number, case)| drill.conduct(&case, number % TENANTS).await)
        .buffer_unordered(AT_ONCE)
        .collect()
        .await;
    let left = host.left_after_two_seconds().await;
    judge("16 at once", &reports.concat());
    assert_eq!(left, Vec::<String>::new(), "left of runs that have ended");
}

fn without_times(mut case: Case) -> Case {
    for step in &mut case.steps {
        step.after.retain(|check| *check != kiln_drill::Check::HostResponsive);
    }
    case
}

/// Shows what was not made, and fails with everything that went wrong.
fn judge(how: &str, reports: &[Report]) {
    let not_made: BTreeSet<&String> = reports.iter().flat_map(|report| &report.not_made).collect();
    let failed: Vec<_> = reports.iter().filter(|report| report.failed()).collect();
    println!("{how}: {} programs, {} failed; not made: {not_made:?}", reports.len(), failed.len());
    let line = |report: &&Report| format!("{}: {}", report.id, report.faults.join("; "));
    assert!(failed.is_empty(), "{how}:\n{}", failed.iter().map(line).collect::<Vec<_>>().join("\n"));
    assert!(reports.iter().all(Report::was_run), "{how}: not all were run: {not_made:?}");
}
