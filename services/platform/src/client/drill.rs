//! `kiln drill`: the attack corpus against an installation, by its public API alone.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context;
use futures::StreamExt;
use kiln_drill::{Answer, Case, Drill, Kiln, NoOutside, Pace, Report, built_in, cases, from_directory};
use rand::distr::{Alphanumeric, SampleString};
use reqwest::Method;
use serde_json::{Value, json};

use super::Target;
use super::api::{Api, post};
use super::credentials::{Credential, Tokens};
use crate::output::say;

/// Longer than a `wait_ms` of the drill.
const REQUEST_DEADLINE: Duration = Duration::from_secs(75);
/// The most that an answer of the drill holds: a run's whole output and files.
const ANSWER_BYTES: usize = 128 << 20;
const PASSWORD_LENGTH: usize = 40;

#[derive(Debug, clap::Args)]
#[command(
    after_help = "Each program tries one thing that must not work, and is harmless when it is held. The checks that need the \
                        host (processes, control groups, disks) are named as not made.\n\
                        Exit code: 0 when everything was held, 1 when something was not, 2 when nothing could be run."
)]
pub struct RunDrill {
    /// Only this group, sequence or program
    #[arg(long, value_name = "GROUP|ID")]
    only: Option<String>,
    /// Programs of your own, in the same format, instead of the built-in ones
    #[arg(long, value_name = "DIR")]
    programs: Option<PathBuf>,
    /// Programs at once
    #[arg(long, default_value_t = 4, value_parser = clap::value_parser!(u8).range(1..=64))]
    at_once: u8,
    /// Prints the report as JSON
    #[arg(long)]
    json: bool,
    /// API key of a second tenant, for what one tenant might see of another
    #[arg(long, value_name = "KEY", env = "KILN_OTHER_API_KEY", hide_env_values = true)]
    other_api_key: Option<String>,
    /// Signs up a second tenant for the same purpose; its account stays
    #[arg(long, conflicts_with = "other_api_key")]
    sign_up: bool,
    #[command(flatten)]
    target: Target,
}

/// The tenants that the drill speaks as; the operator's own is the first.
struct Callers(Vec<Api>);

impl RunDrill {
    pub async fn run(self) -> anyhow::Result<ExitCode> {
        match Box::pin(self.drill()).await {
            Ok(held) => Ok(if held { ExitCode::SUCCESS } else { ExitCode::FAILURE }),
            Err(error) => {
                eprintln!("kiln: {error:#}");
                Ok(ExitCode::from(2))
            }
        }
    }

    /// Whether everything was held.
    async fn drill(self) -> anyhow::Result<bool> {
        let cases = self.cases()?;
        let callers = self.callers().await?;
        let pace = if self.at_once == 1 { Pace::REFERENCE } else { Pace::CROWD };
        let drill = &Drill::new(&callers, &NoOutside, pace);
        let (quiet, crowd): (Vec<_>, Vec<_>) = cases.into_iter().partition(Case::measures_time);
        let mut reports = Vec::new();
        let mut tell = |report: Report| {
            if !self.json {
                say(&line(&report));
            }
            reports.push(report);
        };
        if !self.json {
            say(&format!("{:<32} {:<42} {:<18} {:>8}", "program", "wanted", "got", "ms"));
        }
        let mut crowd = futures::stream::iter(&crowd)
            .map(async |case| drill.conduct(case, 0).await)
            .buffer_unordered(usize::from(self.at_once));
        while let Some(done) = crowd.next().await {
            done.into_iter().for_each(&mut tell);
        }
        for case in &quiet {
            drill.conduct(case, 0).await.into_iter().for_each(&mut tell);
        }
        say(&if self.json { document(&reports)? } else { summary(&reports) });
        Ok(!reports.iter().any(Report::failed))
    }

    fn cases(&self) -> anyhow::Result<Vec<Case>> {
        let programs = match &self.programs {
            Some(directory) => from_directory(directory)?,
            None => built_in()?,
        };
        let chosen = |name: &str| self.only.as_ref().is_none_or(|only| only == name);
        let mut cases = cases(programs);
        cases.retain(|case| chosen(&case.name) || case.steps.iter().any(|step| chosen(&step.id) || chosen(&step.group)));
        let only = self.only.as_deref().unwrap_or_default();
        anyhow::ensure!(!cases.is_empty(), "there is no group and no program named {only}");
        Ok(cases)
    }

    async fn callers(&self) -> anyhow::Result<Callers> {
        let first = Api::open(&self.target)?;
        let other = match (&self.other_api_key, self.sign_up) {
            (Some(key), _) => Some(Credential::ApiKey(key.clone())),
            (None, true) => Some(Credential::Tokens(sign_up(&first).await?)),
            (None, false) => None,
        };
        let others = other.map(|credential| first.with(credential));
        Ok(Callers(std::iter::once(first).chain(others).collect()))
    }
}

/// A second tenant, whose password nobody keeps.
async fn sign_up(api: &Api) -> anyhow::Result<Tokens> {
    let (name, password) = (uuid::Uuid::now_v7(), Alphanumeric.sample_string(&mut rand::rng(), PASSWORD_LENGTH));
    let body = json!({"email": format!("drill-{name}@example.org"), "password": password, "tenant_name": "Drill"});
    post(api.http(), &api.server, "api/v1/auth/signup", &body).await.context("the second tenant could not be signed up")
}

impl Kiln for Callers {
    fn tenants(&self) -> usize {
        self.0.len()
    }

    async fn send(&self, tenant: usize, method: &'static str, path: &str, body: Option<&Value>) -> anyhow::Result<Answer> {
        let api = self.0.get(tenant).context("there is no such tenant")?;
        let path = format!("api/v1{path}");
        let sent = api.answer(Method::from_bytes(method.as_bytes())?, &path, body, ANSWER_BYTES);
        let (status, body) = tokio::time::timeout(REQUEST_DEADLINE, sent).await.context("no answer in time")??;
        Ok(Answer { status, body })
    }
}

fn line(report: &Report) -> String {
    let mark = if report.failed() {
        "  NOT HELD"
    } else if report.was_run() {
        ""
    } else {
        "  not run"
    };
    let text = format!("{:<32} {:<42} {:<18} {:>8}{mark}", report.id, report.wanted, report.got, report.took_ms);
    std::iter::once(text).chain(report.faults.iter().map(|fault| format!("    {fault}"))).collect::<Vec<_>>().join("\n")
}

fn counts(reports: &[Report]) -> (usize, usize, usize) {
    let failed = reports.iter().filter(|report| report.failed()).count();
    let not_run = reports.iter().filter(|report| !report.was_run()).count();
    (reports.len() - failed - not_run, failed, not_run)
}

fn summary(reports: &[Report]) -> String {
    let (held, failed, not_run) = counts(reports);
    let mut not_made: Vec<_> = reports.iter().flat_map(|report| &report.not_made).collect();
    not_made.sort();
    not_made.dedup();
    let mut lines: Vec<String> = not_made.into_iter().map(|check| format!("not made: {check}")).collect();
    lines.push(format!("{held} held, {failed} not held, {not_run} not run"));
    lines.join("\n")
}

fn document(reports: &[Report]) -> anyhow::Result<String> {
    let (held, failed, not_run) = counts(reports);
    let document = json!({"programs": reports, "held": held, "not_held": failed, "not_run": not_run});
    Ok(serde_json::to_string_pretty(&document)?)
}
