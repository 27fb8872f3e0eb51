//! `kiln login`.

use std::io::{BufRead, IsTerminal, Write};
use std::process::ExitCode;

use anyhow::Context;
use serde::Deserialize;
use serde_json::json;

use super::credentials::{Credential, Held, Store, Tokens};
use super::{Target, api, server};
use crate::output::say;

const PASSWORD_BYTES: u64 = 4096;

#[derive(Debug, clap::Args)]
pub struct Login {
    #[command(flatten)]
    target: Target,
    /// E-mail address of the account [default: asked for]
    #[arg(long)]
    email: Option<String>,
    /// Makes the account first
    #[arg(long)]
    signup: bool,
    /// Reads the password from standard input instead of asking for it
    #[arg(long)]
    password_stdin: bool,
}

#[derive(Deserialize)]
struct SignedIn {
    #[serde(flatten)]
    tokens: Tokens,
}

#[derive(Deserialize)]
struct Me {
    user: User,
    tenant: Tenant,
}

#[derive(Deserialize)]
struct User {
    email: String,
}

#[derive(Deserialize)]
struct Tenant {
    name: String,
}

impl Login {
    pub async fn run(self) -> anyhow::Result<ExitCode> {
        let server = server::choose(self.target.server.as_deref(), &Store::load()?)?;
        let named = self.target.server.is_some();
        let Some(key) = self.target.api_key else {
            let email = match self.email {
                Some(email) => email,
                None => ask_email()?,
            };
            let password = ask_password(self.password_stdin, self.signup)?;
            let path = if self.signup { "api/v1/auth/signup" } else { "api/v1/auth/login" };
            let http = api::http()?;
            let body = json!({ "email": email, "password": password });
            let signed_in: SignedIn = api::post(&http, &server, path, &body).await?;
            remember(&server, Credential::Tokens(signed_in.tokens), named).await?;
            let target = Target { server: Some(server.to_string()), api_key: None };
            let me: Me = api::Api::open(&target)?.json(reqwest::Method::GET, "api/v1/auth/me", None).await?;
            say(&format!("Signed in to {server} as {}, {}.", me.user.email, me.tenant.name));
            return Ok(ExitCode::SUCCESS);
        };
        let target = Target { server: Some(server.to_string()), api_key: Some(key.clone()) };
        let api = api::Api::open(&target)?;
        let _: serde_json::Value = api.json(reqwest::Method::GET, "api/v1/executions?limit=1", None).await?;
        remember(&server, Credential::ApiKey(key), named).await?;
        say(&format!("{server} accepts the API key; it is remembered."));
        Ok(ExitCode::SUCCESS)
    }
}

async fn remember(server: &reqwest::Url, credential: Credential, named: bool) -> anyhow::Result<()> {
    let server = server.clone();
    tokio::task::spawn_blocking(move || {
        let mut held = Held::open()?;
        held.store.remember(&server, credential, named);
        held.save()
    })
    .await?
}

fn ask_email() -> anyhow::Result<String> {
    anyhow::ensure!(std::io::stdin().is_terminal(), "say whose account with --email");
    let mut terminal = std::io::stderr();
    write!(terminal, "E-mail: ").and_then(|()| terminal.flush()).context("the terminal cannot be written")?;
    let mut line = String::new();
    std::io::stdin().lock().read_line(&mut line).context("the e-mail address cannot be read")?;
    Ok(line.trim().to_owned())
}

fn ask_password(from_stdin: bool, new: bool) -> anyhow::Result<String> {
    if from_stdin {
        let mut line = String::new();
        let stdin = std::io::stdin().lock();
        std::io::Read::take(stdin, PASSWORD_BYTES).read_line(&mut line).context("the password cannot be read")?;
        return Ok(line.trim_end_matches(['\n', '\r']).to_owned());
    }
    let password =
        rpassword::prompt_password("Password: ").context("the password cannot be asked for here; use --password-stdin")?;
    if new {
        let again = rpassword::prompt_password("Password again: ").context("the password cannot be asked for")?;
        anyhow::ensure!(password == again, "the two passwords differ");
    }
    Ok(password)
}
