//! `kiln admin tenants|quota|suspend`, over the public API.

use std::collections::BTreeMap;
use std::process::ExitCode;

use reqwest::Method;
use serde::Deserialize;
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

/// A tenant, as the API shows it to platform admins; `limits` and `quota` of one alone.
#[derive(Deserialize)]
struct Tenant {
    id: Uuid,
    slug: String,
    suspended: bool,
    plan: Option<String>,
    members: u64,
    #[serde(default)]
    limits: BTreeMap<String, u64>,
    #[serde(default)]
    quota: BTreeMap<String, Option<u64>>,
}

#[derive(Deserialize)]
struct Page {
    data: Vec<Tenant>,
    next_cursor: Option<String>,
}

impl Tenants {
    pub async fn run(self) -> anyhow::Result<ExitCode> {
        let api = Api::open(&self.target)?;
        let mut path = format!("api/v1/admin/tenants?limit={PAGE}");
        loop {
            let page: Page = api.json(Method::GET, &path, None).await?;
            for tenant in &page.data {
                say(&line(tenant));
            }
            match page.next_cursor {
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
        let tenant: Tenant = if patch.is_empty() {
            api.json(Method::GET, &path, None).await?
        } else {
            api.json(Method::PATCH, &path, Some(&patch.into())).await?
        };
        say(&line(&tenant));
        for (name, value) in &tenant.limits {
            let own = if tenant.quota.get(name).is_some_and(Option::is_some) { "  (its own)" } else { "" };
            say(&format!("  {name:<24}{value}{own}"));
        }
        Ok(ExitCode::SUCCESS)
    }
}

impl Suspend {
    pub async fn run(self) -> anyhow::Result<ExitCode> {
        let api = Api::open(&self.target)?;
        let patch = json!({"suspended": !self.lift});
        let path = format!("api/v1/admin/tenants/{}", self.tenant);
        let tenant: Tenant = api.json(Method::PATCH, &path, Some(&patch)).await?;
        say(&line(&tenant));
        Ok(ExitCode::SUCCESS)
    }
}

fn line(tenant: &Tenant) -> String {
    let state = if tenant.suspended { "suspended" } else { "active" };
    let plan = tenant.plan.as_deref().unwrap_or("none");
    format!("{}  {:<40}  {state:<9}  plan {plan:<10}  {} members", tenant.id, tenant.slug, tenant.members)
}
