//! What is shipped beside the program: chart, dashboards, alerts, Terraform, workflows. Each check is a Python program in
//! `libs/xtask/ship`, run in a virtual environment of pinned packages that is made once.
//!
//! A check that could not be made, or a part of one, says so in a line that begins with `SKIPPED: `.

use std::fs;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;
use std::time::Duration;

use anyhow::Context as _;

use crate::report::Report;
use crate::step::{self, Outcome};
use crate::{root, target_directory};

/// These wait more than they compute, so they go on beside the others.
const WAITING: [Check; 2] = [
    ("grafana: metrics, dashboards and queries on a live Kiln", "live.py"),
    ("grafana: six things that go wrong are seen", "stories.py"),
];
const CHECKS: [Check; 7] = [
    ("helm: the chart, for each file of values", "helm.py"),
    ("helm: custom resources", "custom_resources.py"),
    ("helm: the pods as processes", "processes.py"),
    ("grafana: alerts", "alerts.py"),
    ("terraform: format, validity and tests", "terraform.py"),
    ("github: workflows and templates", "workflows.py"),
    ("images and scripts", "scripts.py"),
];

/// What it is called, and its program.
type Check = (&'static str, &'static str);

const INSTALL_WITHIN: Duration = Duration::from_mins(10);
const CHECK_WITHIN: Duration = Duration::from_mins(5);

/// Makes every check. `servers` says where Postgres and NATS are.
pub fn check(report: &mut Report, servers: &[(String, String)]) {
    let home = target_directory().join("ship");
    let environment = match environment_in(&home) {
        Ok(environment) => environment,
        Err(error) => {
            for (name, _) in CHECKS.into_iter().chain(WAITING) {
                report.skipped(name, &format!("its tools cannot be installed (apt-get install python3-venv): {error:#}"));
            }
            return;
        }
    };
    let run = |program: &str| make(program, &environment, &home, servers);
    thread::scope(|scope| {
        let waiting = scope.spawn(|| WAITING.map(|(_, program)| run(program)));
        for (name, program) in CHECKS {
            tell(report, name, || run(program));
        }
        match waiting.join() {
            Ok(outcomes) => WAITING.into_iter().zip(outcomes).for_each(|((name, _), outcome)| tell(report, name, || outcome)),
            Err(_) => WAITING.into_iter().for_each(|(name, _)| tell(report, name, || anyhow::bail!("the check broke"))),
        }
    });
}

fn make(program: &str, environment: &Path, home: &Path, servers: &[(String, String)]) -> anyhow::Result<Outcome> {
    let scratch = home.join("scratch").join(program.trim_end_matches(".py"));
    if scratch.exists() {
        fs::remove_dir_all(&scratch).context("scratch")?;
    }
    fs::create_dir_all(&scratch).context("scratch")?;
    let mut command = Command::new(environment.join("bin/python"));
    command.arg("-B").arg(sources().join(program)).current_dir(root());
    command.env("KILN_BIN", target_directory().join("release/kiln"));
    command.env("SHIP_SCRATCH", &scratch).env("SHIP_CACHE", home.join("cache"));
    command.envs(servers.iter().map(|(name, value)| (name, value)));
    step::run(&mut command, CHECK_WITHIN)
}

/// One line for the check, and one for each part of it that could not be made.
fn tell(report: &mut Report, name: &str, outcome: impl FnOnce() -> anyhow::Result<Outcome>) {
    let mut said = String::new();
    report.command(name, || {
        let outcome = outcome()?;
        said.clone_from(&outcome.output);
        Ok(outcome)
    });
    for why in said.lines().filter_map(|line| line.strip_prefix("SKIPPED: ")) {
        report.skipped(name, why);
    }
}

fn sources() -> PathBuf {
    root().join("libs/xtask/ship")
}

/// The virtual environment of the pinned packages; another one when they change.
fn environment_in(home: &Path) -> anyhow::Result<PathBuf> {
    let requirements = sources().join("requirements.txt");
    let mut hasher = DefaultHasher::new();
    fs::read(&requirements).context("requirements.txt")?.hash(&mut hasher);
    let environment = home.join(format!("venv-{:016x}", hasher.finish()));
    let done = environment.join("done");
    if done.exists() {
        return Ok(environment);
    }
    fs::create_dir_all(home).context("the directory of the tools")?;
    let run = |command: &mut Command| -> anyhow::Result<()> {
        let outcome = step::run(command, INSTALL_WITHIN)?;
        anyhow::ensure!(outcome.success, "{}", outcome.output);
        Ok(())
    };
    run(Command::new("python3").args(["-m", "venv", "--clear"]).arg(&environment))?;
    let install =
        ["-m", "pip", "install", "--quiet", "--require-hashes", "--only-binary=:all:", "--disable-pip-version-check", "-r"];
    run(Command::new(environment.join("bin/python")).args(install).arg(&requirements))?;
    fs::write(&done, "").context("cannot say that the tools are there")?;
    Ok(environment)
}
