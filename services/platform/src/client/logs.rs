//! `kiln logs`.

use std::process::ExitCode;

use super::api::Api;
use super::execution::Execution;
use super::told::Told;
use super::{Target, follow, run};

/// Both streams of one run, at the largest limit.
const OUTPUT_BYTES: usize = 64 * 1024 * 1024;

#[derive(Debug, clap::Args)]
pub struct Logs {
    /// The run
    id: uuid::Uuid,
    /// Waits for more until the run ends, and exits as `kiln run` does
    #[arg(long, short)]
    follow: bool,
    #[command(flatten)]
    target: Target,
}

impl Logs {
    pub async fn run(self) -> anyhow::Result<ExitCode> {
        let api = Api::open(&self.target)?;
        let id = self.id.to_string();
        let path = format!("api/v1/executions/{id}");
        let execution: Execution = api.json(reqwest::Method::GET, &path, None).await?;
        if self.follow || execution.status.is_terminal() {
            // The stream tells both outputs in the order in which they were written.
            let execution = follow::follow(&api, &id).await?;
            return Ok(if self.follow { run::finish(&execution) } else { ExitCode::SUCCESS });
        }
        for (name, make) in [("stdout", Told::Stdout as fn(String) -> Told), ("stderr", Told::Stderr)] {
            let bytes = api.bytes(&format!("{path}/{name}"), OUTPUT_BYTES).await?;
            make(String::from_utf8_lossy(&bytes).into_owned()).show()?;
        }
        Ok(ExitCode::SUCCESS)
    }
}
