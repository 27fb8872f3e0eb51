//! `kiln admin tenants|quota|suspend`, over the public API.

use std::process::ExitCode;

use anyhow::Context;
use reqwest::Method;
use serde_json::{Map, Value, json};
use uuid::Uuid;

use crate::client::{Api, Target};
use crate::output::say;

/// Tenants on one page of the API.
const PAGE: u32 = 200;

#[derive(Debug, clap::Args)]
pub struct Tenants {
    #[command(flatten)]
    target: Target,
}

#[derive(Debug, clap::Args)]
pub struct Quota {
    /// The tenant's id
    tenant: Uuid,
    /// Puts it on a plan; `none` leaves the installation's limits
    #[arg(long)]
    plan: Option<String>,
    /// A limit of its own, such as `max_concurrent=10`; `=none` gives it back to the plan
    #[arg(long = "set", value_name = "LIMIT=VALUE", value_parser = limit)]
    set: Vec<(String, Option<u64>)>,
    #[command(flatten)]
    target: Target,
}

#[derive(Debug, clap::Args)]
pub struct Suspend {
    /// The tenant's id
    tenant: Uuid,
    /// Lets it work again
    #[arg(long)]
    lift: bool,
    #[command(flatten)]
    target: Target,
}

fn limit(text: &str) -> Result<(String, Option<u64>), String> {
    let (name, value) = text.split_once('=').ok_or("must be LIMIT=VALUE")?;
    let value = match value {
        "none" => None,
        number => Some(number.parse().map_err(|_| format!("{number} is no whole number"))?),
    };
    Ok((name.to_owned(), value))
}

impl Tenants {
    pub async fn run(self) -> anyhow::Result<ExitCode> {
        let api = Api::open(&self.target)?;
        let mut path = format!("api/v1/admin/tenants?limit={PAGE}");
        loop {
            let page: Value = api.json(Method::GET, &path, None).await?;
            for tenant in page["data"].as_array().context("the answer is no list")? {
                say(&line(tenant));
            }
            match page["next_cursor"].as_str() {
                Some(cursor) => path = format!("api/v1/admin/tenants?limit={PAGE}&cursor={cursor}"),
                None => return Ok(ExitCode::SUCCESS),
            }
        }
    }
}

impl Quota {
    pub async fn run(self) -> anyhow::Result<ExitCode> {
        let api = Api::open(&self.target)?;
        let mut patch = Map::new();
        if let Some(plan) = self.plan {
            patch.insert("plan".to_owned(), if plan == "none" { Value::Null } else { plan.into() });
        }
        if !self.set.is_empty() {
            let quota: Map<String, Value> = self.set.into_iter().map(|(name, value)| (name, json!(value))).collect();
            patch.insert("quota".to_owned(), quota.into());
        }
        let path = format!("api/v1/admin/tenants/{}", self.tenant);
        let tenant: Value = if patch.is_empty() {
            api.json(Method::GET, &path, None).await?
        } else {
            api.json(Method::PATCH, &path, Some(&patch.into())).await?
        };
        say(&line(&tenant));
        for (name, value) in tenant["limits"].as_object().context("the answer has no limits")? {
            let own = if tenant["quota"][name].is_null() { "" } else { "  (its own)" };
            say(&format!("  {name:<24}{value}{own}"));
        }
        Ok(ExitCode::SUCCESS)
    }
}

impl Suspend {
    pub async fn run(self) -> anyhow::Result<ExitCode> {
        let api = Api::open(&self.target)?;
        let patch = json!({"suspended": !self.lift});
        let tenant: Value = api.json(Method::PATCH, &format!("api/v1/admin/tenants/{}", self.tenant), Some(&patch)).await?;
        say(&line(&tenant));
        Ok(ExitCode::SUCCESS)
    }
}

fn line(tenant: &Value) -> String {
    let text = |name: &str| tenant[name].as_str().unwrap_or("none").to_owned();
    let state = if tenant["suspended"] == true { "suspended" } else { "active" };
    format!("{}  {:<40}  {state:<9}  plan {:<10}  {} members", text("id"), text("slug"), text("plan"), tenant["members"])
}
