//! `kiln sessions`.

use std::process::ExitCode;

use reqwest::Method;
use serde::Deserialize;
use serde_json::json;
use uuid::Uuid;

use super::Target;
use super::api::Api;
use crate::output::say;

/// As many as a page has.
const LISTED: u16 = 200;

#[derive(Debug, clap::Args)]
#[command(args_conflicts_with_subcommands = true)]
pub struct Sessions {
    #[command(subcommand)]
    act: Option<Act>,
    /// Closed ones as well
    #[arg(long, short)]
    all: bool,
    #[command(flatten)]
    target: Target,
}

#[derive(Debug, clap::Subcommand)]
enum Act {
    /// Stops what the session runs; its variables stay
    Interrupt(One),
    /// Gives the session a new interpreter; its variables are gone, its files stay
    Restart(One),
    /// Closes the session and forgets it
    Rm(One),
}

#[derive(Debug, clap::Args)]
struct One {
    /// The session
    id: Uuid,
    #[command(flatten)]
    target: Target,
}

#[derive(Deserialize)]
struct Page {
    data: Vec<Session>,
}

#[derive(Deserialize)]
struct Session {
    id: Uuid,
    name: String,
    status: String,
    runtime: String,
    last_active_at: String,
}

impl Sessions {
    pub async fn run(self) -> anyhow::Result<ExitCode> {
        match self.act {
            None => list(&Api::open(&self.target)?, self.all).await?,
            Some(Act::Interrupt(one)) => one.act(Method::POST, "/interrupt", "What it ran is interrupted.").await?,
            Some(Act::Restart(one)) => one.act(Method::POST, "/restart", "It has a new interpreter.").await?,
            Some(Act::Rm(one)) => one.act(Method::DELETE, "", "The session is closed.").await?,
        }
        Ok(ExitCode::SUCCESS)
    }
}

async fn list(api: &Api, all: bool) -> anyhow::Result<()> {
    let which = if all { "" } else { "&status=open" };
    let page: Page = api.json(Method::GET, &format!("api/v1/sessions?limit={LISTED}{which}"), None).await?;
    for Session { id, name, status, runtime, last_active_at } in &page.data {
        say(&format!("{id}  {last_active_at:<24}  {status:<8}  {runtime:<10}  {name}"));
    }
    if page.data.is_empty() {
        say("There are no sessions.");
    }
    Ok(())
}

impl One {
    async fn act(self, method: Method, what: &str, done: &str) -> anyhow::Result<()> {
        let api = Api::open(&self.target)?;
        let body = json!({});
        let body = (method == Method::POST).then_some(&body);
        api.done(method, &format!("api/v1/sessions/{}{what}", self.id), body).await?;
        say(done);
        Ok(())
    }
}
