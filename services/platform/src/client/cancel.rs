//! `kiln cancel`.

use std::process::ExitCode;

use reqwest::Method;
use serde::de::IgnoredAny;

use super::Target;
use super::api::Api;
use super::problem::Problem;
use crate::output::say;

const ALREADY_ENDED: u16 = 409;

#[derive(Debug, clap::Args)]
pub struct Cancel {
    /// The run
    id: uuid::Uuid,
    #[command(flatten)]
    target: Target,
}

impl Cancel {
    pub async fn run(self) -> anyhow::Result<ExitCode> {
        let api = Api::open(&self.target)?;
        cancel(&api, &self.id.to_string()).await?;
        say("The run is stopped, or had ended already.");
        Ok(ExitCode::SUCCESS)
    }
}

/// Asks for the end of a run; one that has ended already is as good.
pub async fn cancel(api: &Api, id: &str) -> anyhow::Result<()> {
    match api.json::<IgnoredAny>(Method::POST, &format!("api/v1/executions/{id}/cancel"), None).await {
        Err(error) if error.downcast_ref::<Problem>().is_some_and(|problem| problem.status == ALREADY_ENDED) => Ok(()),
        other => other.map(|_| ()),
    }
}
