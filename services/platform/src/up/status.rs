//! `kiln status`: what runs, where, and whether it is ready.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context;

use super::instance::{Running, State, running};
use crate::output::say;
use crate::paths;

/// Exit code when Kiln does not run.
const NOT_RUNNING: u8 = 3;
const ANSWER_WITHIN: Duration = Duration::from_secs(5);

/// Says what runs and where; exit code 0 when Kiln is ready, 3 when it does not run, 1 when it runs and is not ready.
#[derive(Debug, clap::Args)]
pub struct Status {
    /// Its data directory
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    /// Prints JSON
    #[arg(long)]
    json: bool,
}

impl Status {
    pub async fn run(self) -> anyhow::Result<ExitCode> {
        let home = paths::data_dir(self.data.as_deref())?;
        let state = match running(&home)? {
            Running::No => {
                say(&format!("Kiln does not run in {}", home.display()));
                return Ok(ExitCode::from(NOT_RUNNING));
            }
            Running::Starting => {
                say(&format!("Kiln is just starting or stopping in {}", home.display()));
                return Ok(ExitCode::FAILURE);
            }
            Running::Serving(state) => state,
        };
        let ready = readiness(&state.url).await;
        if self.json {
            say(&serde_json::to_string_pretty(&state)?);
        } else {
            print(&state, ready.as_deref().unwrap_or("ready"));
        }
        Ok(if ready.is_none() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
    }
}

/// None when ready, else what is wrong.
async fn readiness(url: &str) -> Option<String> {
    let asked = async {
        let client = reqwest::Client::builder().timeout(ANSWER_WITHIN).build().context("HTTP client")?;
        let answer = client.get(format!("{url}/readyz")).send().await.context("no answer")?;
        anyhow::Ok(answer.status().is_success())
    };
    match asked.await {
        Ok(true) => None,
        Ok(false) => Some("not ready (see /readyz?verbose)".to_owned()),
        Err(error) => Some(format!("{error:#}")),
    }
}

fn print(state: &State, ready: &str) {
    say(&format!(
        "Kiln {} at {}: {ready}\n  pid        {}\n  since      {}\n  Metrics    {}\n  Isolation  {}\n  Postgres   {}\n  NATS       {}\n  Data       {}",
        state.version,
        state.url,
        state.pid,
        state.started_at,
        state.metrics_lines(),
        state.isolation,
        state.postgres,
        state.nats,
        state.data.display(),
    ));
}
