//! The web app: its own checks, that `dist/` is what the source builds, and the app in a real browser.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::Context;

use crate::report::Report;
use crate::step::{self, Outcome};
use crate::{root, target_directory};

const INSTALL_WITHIN: Duration = Duration::from_mins(5);
const TESTS_WITHIN: Duration = Duration::from_mins(10);
const CHROMIUM: &str = "/usr/bin/chromium";

/// The oldest Node.js that the app's tools run on: major, minor.
const OLDEST_NODE: (u32, u32) = (20, 19);

/// Types, unit tests, and the committed build. False when there is no npm or an old one, which is said.
pub fn check(report: &mut Report) -> bool {
    if !present(Path::new("npm")) {
        report.skipped("the web app", "npm is not installed (apt-get install nodejs npm)");
        return false;
    }
    if node_version().is_none_or(|found| found < OLDEST_NODE) {
        report.skipped("the web app", &format!("Node.js is older than {}.{}", OLDEST_NODE.0, OLDEST_NODE.1));
        return false;
    }
    if !report.command("the web app: dependencies", || npm("services/web", &["ci", "--no-progress"], INSTALL_WITHIN)) {
        return false;
    }
    report.check("the web app: its API types are those of openapi.json", types_are_current);
    report.command("the web app: types", || npm("services/web", &["run", "--silent", "check"], TESTS_WITHIN));
    report.tests("the web app: unit tests", || npm("services/web", &["test"], TESTS_WITHIN));
    report.check("the web app: dist/ is what the source builds", dist_is_current);
    true
}

/// The whole app in Chromium, against the program as built. `servers` says where Postgres and NATS are.
pub fn browse(report: &mut Report, servers: &[(String, String)]) {
    let chromium = std::env::var_os("CHROMIUM_BIN").map_or_else(|| PathBuf::from(CHROMIUM), PathBuf::from);
    let there = present(&chromium) || (chromium == Path::new(CHROMIUM) && install_chromium(report));
    if !there {
        report.skipped("the web app in a browser", "Chromium is not installed (apt-get install chromium)");
        return;
    }
    if !report.command("browser tests: dependencies", || npm("e2e/browser", &["ci", "--no-progress"], INSTALL_WITHIN)) {
        return;
    }
    report.command("browser tests: types", || npm("e2e/browser", &["run", "--silent", "check"], TESTS_WITHIN));
    report.tests("the web app in a browser", || {
        let mut command = npm_command("e2e/browser", &["test"]);
        command.env("KILN_BIN", target_directory().join("release/kiln")).env("CHROMIUM_BIN", &chromium);
        command.envs(servers.iter().map(|(name, value)| (name, value)));
        step::run(&mut command, TESTS_WITHIN)
    });
}

fn types_are_current() -> anyhow::Result<()> {
    let committed = root().join("services/web/src/api/schema.d.ts");
    let scratch = Scratch::new("types")?;
    let fresh = scratch.0.join("schema.d.ts");
    let made = fresh.to_str().context("the scratch directory is not UTF-8")?;
    let outcome = npm("services/web", &["run", "--silent", "types", "--", made], INSTALL_WITHIN)?;
    anyhow::ensure!(outcome.success, "{}", outcome.output);
    let same = fs::read(&committed)? == fs::read(&fresh)?;
    anyhow::ensure!(same, "{} is not current: npm run api, in services/web", committed.display());
    Ok(())
}

fn dist_is_current() -> anyhow::Result<()> {
    let scratch = Scratch::new("dist")?;
    let made = scratch.0.to_str().context("the scratch directory is not UTF-8")?;
    let outcome = npm("services/web", &["run", "--silent", "build", "--", "--emptyOutDir", "--outDir", made], INSTALL_WITHIN)?;
    anyhow::ensure!(outcome.success, "{}", outcome.output);
    let (committed, fresh) = (files(&root().join("services/web/dist"))?, files(&scratch.0)?);
    let wrong: Vec<_> = committed.keys().chain(fresh.keys()).filter(|name| committed.get(*name) != fresh.get(*name)).collect();
    anyhow::ensure!(wrong.is_empty(), "services/web/dist differs in {wrong:?}: npm run build, in services/web");
    Ok(())
}

/// Every file below, by its path from there.
fn files(top: &Path) -> anyhow::Result<BTreeMap<PathBuf, Vec<u8>>> {
    let mut found = BTreeMap::new();
    let mut left = vec![top.to_owned()];
    while let Some(directory) = left.pop() {
        for entry in fs::read_dir(&directory).with_context(|| directory.display().to_string())? {
            let path = entry?.path();
            if path.is_dir() {
                left.push(path);
            } else {
                found.insert(path.strip_prefix(top)?.to_owned(), fs::read(&path)?);
            }
        }
    }
    Ok(found)
}

/// As root on Debian only; elsewhere the machine's owner chooses.
fn install_chromium(report: &mut Report) -> bool {
    let root = user_id().is_some_and(|id| id == "0");
    root && present(Path::new("apt-get"))
        && report.command("browser tests: Chromium", || {
            let install = "apt-get update -qq && apt-get install -y -qq --no-install-recommends chromium";
            step::run(Command::new("sh").args(["-c", install]).env("DEBIAN_FRONTEND", "noninteractive"), INSTALL_WITHIN)
        })
}

/// From `v20.19.1`.
fn node_version() -> Option<(u32, u32)> {
    let output = Command::new("node").arg("--version").output().ok()?;
    let text = String::from_utf8_lossy(&output.stdout);
    let mut numbers = text.trim().trim_start_matches('v').split('.').map(str::parse);
    Some((numbers.next()?.ok()?, numbers.next()?.ok()?))
}

fn user_id() -> Option<String> {
    let output = Command::new("id").arg("-u").output().ok()?;
    Some(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

fn present(program: &Path) -> bool {
    if program.is_absolute() {
        return program.is_file();
    }
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).any(|directory| directory.join(program).is_file())
}

fn npm(place: &str, arguments: &[&str], within: Duration) -> anyhow::Result<Outcome> {
    step::run(&mut npm_command(place, arguments), within)
}

fn npm_command(place: &str, arguments: &[&str]) -> Command {
    let mut command = Command::new("npm");
    command.args(arguments).current_dir(root().join(place)).env("NO_COLOR", "1").env("CI", "true");
    command
}

/// A directory that goes when it is done with.
struct Scratch(PathBuf);

impl Scratch {
    fn new(name: &str) -> anyhow::Result<Self> {
        let path = target_directory().join(format!("web-{name}-{}", std::process::id()));
        fs::create_dir_all(&path).with_context(|| path.display().to_string())?;
        Ok(Self(path))
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        if let Err(error) = fs::remove_dir_all(&self.0) {
            eprintln!("xtask: {} stays behind: {error}", self.0.display());
        }
    }
}
