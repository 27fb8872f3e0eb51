//! Checks of the repository itself: `cargo xtask`-style commands that `./kiln test` runs and a developer may run alone.

mod count;
mod dependencies;
mod openapi;
mod report;
mod ship;
mod step;
mod test;
mod web;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

const USAGE: &str = "usage: cargo xtask COMMAND
  test [FILTER]        the whole check, as CI runs it; with FILTER only the tests whose name holds it
  web                  only the web app: types, unit tests, its committed build, and the app in a browser
  ship                 only what is shipped beside the program: chart, dashboards, alerts, Terraform, workflows
  check-deps           the crates depend on each other only in the allowed direction
  openapi [--check]    writes the OpenAPI document of the code, or compares the committed one with it";

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let outcome = match words.as_slice() {
        ["test"] => Ok(test::run(None)),
        ["test", filter] => Ok(test::run(Some(filter))),
        ["web"] => Ok(test::run_web()),
        ["ship"] => Ok(test::run_ship()),
        ["check-deps"] => dependencies::check().map(|()| true),
        ["openapi"] => openapi::write().map(|()| true),
        ["openapi", "--check"] => openapi::check().map(|()| true),
        _ => {
            eprintln!("{USAGE}");
            return ExitCode::from(2);
        }
    };
    match outcome {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("xtask: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// The top of the repository.
fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2).unwrap_or(Path::new(".")).to_owned()
}

/// Where cargo puts what it builds.
fn target_directory() -> PathBuf {
    let chosen = std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| PathBuf::from("target"), PathBuf::from);
    root().join(chosen)
}
