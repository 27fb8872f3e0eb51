//! The whole check: what `./kiln test` and CI run.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::Context;

use crate::report::Report;
use crate::step::{self, Outcome};
use crate::{dependencies, openapi, root, ship, target_directory, web};

/// A build from nothing on two cores takes about ten minutes.
const BUILD_WITHIN: Duration = Duration::from_mins(40);
const TESTS_WITHIN: Duration = Duration::from_mins(20);
const QUICK: Duration = Duration::from_mins(5);

// Every call of cargo is for the whole workspace: chosen packages alone get other features of what they depend on, and
// all of that would be built once more.

/// Runs everything and goes on after a failure, so that one run shows them all; true when nothing failed.
pub fn run(filter: Option<&str>) -> bool {
    let mut report = Report::new();
    if filter.is_none() {
        static_checks(&mut report);
    }
    let built = report.command("build", || cargo(&["build", "--workspace"], BUILD_WITHIN));
    if !built {
        return report.finish();
    }
    if filter.is_none() {
        report.check("openapi.json is what the code generates", openapi::check);
        report.command("clippy", || cargo(&["clippy", "--workspace", "--all-targets", "--", "-D", "warnings"], BUILD_WITHIN));
    }
    let servers = match servers() {
        Ok(servers) => servers,
        Err(error) => {
            report.check("Postgres and NATS for the tests", || Err(error));
            return report.finish();
        }
    };
    let whole = filter.is_none();
    let filter: Vec<&str> = filter.into_iter().collect();
    let test = |arguments: &[&str]| {
        let mut command = cargo_command(&["test", "--no-fail-fast"]);
        command.args(arguments).args(&filter);
        command.envs(servers.iter().map(|(name, value)| (name, value)));
        step::run(&mut command, TESTS_WITHIN)
    };
    report.tests("tests of the crates", || {
        test(&["--workspace", "--exclude", "kiln-e2e-api", "--exclude", "kiln-e2e-attacks", "--exclude", "kiln-e2e-faults"])
    });
    report.tests("the attack corpus, alone and 16 at once", || test(&["--workspace", "--test", "attacks"]));
    report.tests("end to end, all in one process", || test(&["--workspace", "--test", "api"]));
    report.tests("end to end, each service in its own process", || test(&["--workspace", "--test", "split"]));
    report.tests("under faults, with what the database and the bus hold", || test(&["--workspace", "--test", "faults"]));
    if whole {
        ship::check(&mut report, &servers);
    }
    if whole && web::check(&mut report) {
        web::browse(&mut report, &servers);
    }
    report.finish()
}

/// The web app alone, with the program as it was built last.
pub fn run_web() -> bool {
    let mut report = Report::new();
    if web::check(&mut report) {
        match servers() {
            Ok(servers) => web::browse(&mut report, &servers),
            Err(error) => {
                report.check("Postgres and NATS for the tests", || Err(error));
            }
        }
    }
    report.finish()
}

/// The shipped files alone, with the program as it was built last.
pub fn run_ship() -> bool {
    let mut report = Report::new();
    match servers() {
        Ok(servers) => ship::check(&mut report, &servers),
        Err(error) => {
            report.check("Postgres and NATS for the checks", || Err(error));
        }
    }
    report.finish()
}

fn static_checks(report: &mut Report) {
    report.check("direction of dependencies", dependencies::check);
    report
        .command("formatting", || step::run(Command::new("cargo").args(["fmt", "--all", "--check"]).current_dir(root()), QUICK));
    optional(report, "shellcheck", &["kiln", ".ci/run"], "apt-get install shellcheck");
    optional(report, "cargo-deny", &["deny", "--offline", "check", "licenses", "bans", "sources"], "cargo install cargo-deny");
    optional(report, "cargo-machete", &["machete"], "cargo install cargo-machete");
}

/// A tool that is used where it is installed, and named where it is not.
fn optional(report: &mut Report, tool: &str, arguments: &[&str], how: &str) {
    match on_path(tool) {
        Some(program) => {
            report.command(tool, || step::run(Command::new(program).args(arguments).current_dir(root()), QUICK));
        }
        None => report.skipped(tool, &format!("not installed ({how})")),
    }
}

fn cargo(arguments: &[&str], within: Duration) -> anyhow::Result<Outcome> {
    step::run(&mut cargo_command(arguments), within)
}

/// `cargo <first> --release --locked --quiet <rest>`, at the top of the repository, checked queries from the cache.
fn cargo_command(arguments: &[&str]) -> Command {
    let mut command = Command::new("cargo");
    let (first, rest) = arguments.split_first().unwrap_or((&"", &[]));
    command.arg(first).args(["--release", "--locked", "--quiet"]).args(rest);
    command.current_dir(root()).env("SQLX_OFFLINE", "true").env("CARGO_TERM_COLOR", "never");
    command
}

/// Where Postgres and NATS are, fetched when they are not there, as variables for the tests.
fn servers() -> anyhow::Result<Vec<(String, String)>> {
    let program = target_directory().join("release/kiln");
    let outcome = Command::new(&program).arg("fetch").output().with_context(|| program.display().to_string())?;
    anyhow::ensure!(outcome.status.success(), "{}", String::from_utf8_lossy(&outcome.stderr));
    let text = String::from_utf8(outcome.stdout).context("kiln fetch")?;
    Ok(text.lines().filter_map(|line| line.split_once('=')).map(|(name, value)| (name.to_owned(), value.to_owned())).collect())
}

fn on_path(program: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path).map(|directory: PathBuf| directory.join(program)).find(|file: &PathBuf| Path::is_file(file))
}
