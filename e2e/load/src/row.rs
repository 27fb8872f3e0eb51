//! `kiln-load row`.

use std::collections::BTreeMap;
use std::process::ExitCode;
use std::time::Instant;

use futures::{StreamExt, TryStreamExt};
use reqwest::Url;

use crate::client::Tenant;

#[derive(Debug, clap::Args)]
pub struct Row {
    #[arg(long, value_name = "URL")]
    server: Url,
    #[arg(long, default_value_t = 1000, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    runs: u32,
    /// Among whom the runs are shared in turn
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..=50))]
    tenants: u32,
    /// Runs asked for at the same time
    #[arg(long, default_value_t = 6, value_parser = clap::value_parser!(u32).range(1..=256))]
    clients: u32,
}

impl Row {
    pub async fn run(self) -> anyhow::Result<ExitCode> {
        let mut tenants = Vec::new();
        for _ in 0..self.tenants {
            tenants.push(Tenant::sign_up(&self.server).await?);
        }
        let started = Instant::now();
        let runs = tenants.iter().cycle().zip(0..self.runs).map(|(tenant, number)| one(tenant, number));
        let ends: Vec<String> = futures::stream::iter(runs).buffer_unordered(self.clients as usize).try_collect().await?;
        let elapsed = started.elapsed();

        let mut counts: BTreeMap<String, u32> = BTreeMap::new();
        for end in ends {
            *counts.entry(end).or_default() += 1;
        }
        println!("{} runs of {} tenants in {:.1} s: {counts:?}", self.runs, self.tenants, elapsed.as_secs_f64());
        let well = counts.get("succeeded") == Some(&self.runs);
        Ok(if well { ExitCode::SUCCESS } else { ExitCode::FAILURE })
    }
}

/// How the run ended; its output must be its own.
async fn one(tenant: &Tenant, number: u32) -> anyhow::Result<String> {
    let execution = tenant.execute(&format!("print({number})")).await?;
    let mixed = execution.status == "succeeded" && execution.stdout != Some(format!("{number}\n"));
    Ok(if mixed { format!("wrong output {:?}", execution.stdout) } else { execution.status })
}
