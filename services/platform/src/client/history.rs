//! `kiln runs`.

use std::process::ExitCode;

use reqwest::Method;
use serde::Deserialize;

use super::Target;
use super::api::Api;
use super::execution::Execution;
use crate::output::say;

#[derive(Debug, clap::Args)]
pub struct Runs {
    /// How many
    #[arg(long, short = 'n', default_value_t = 20, value_parser = clap::value_parser!(u16).range(1..=200))]
    limit: u16,
    #[command(flatten)]
    target: Target,
}

#[derive(Deserialize)]
struct Page {
    data: Vec<Execution>,
}

impl Runs {
    pub async fn run(self) -> anyhow::Result<ExitCode> {
        let api = Api::open(&self.target)?;
        let page: Page = api.json(Method::GET, &format!("api/v1/executions?limit={}", self.limit), None).await?;
        for run in &page.data {
            let ended = run.exit_code.map_or_else(|| run.signal.clone().unwrap_or_default(), |code| code.to_string());
            say(&format!("{}  {:<24}  {:<13}  {:<8}  {}", run.id, run.created_at, run.status.as_str(), ended, run.runtime));
        }
        if page.data.is_empty() {
            say("There are no runs yet.");
        }
        Ok(ExitCode::SUCCESS)
    }
}
