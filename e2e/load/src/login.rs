//! `kiln-load login`: whether the time of a refused login tells if the account exists.

use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::Context;
use reqwest::Url;
use serde_json::json;

use crate::client::Tenant;
use crate::statistics::Sample;

/// Failed logins that an account allows from one address, less one.
const TRIES_OF_AN_ACCOUNT: u32 = 9;
/// Medians may differ by so much, as a share.
const MOST: f64 = 0.05;

#[derive(Debug, clap::Args)]
pub struct Login {
    #[arg(long, value_name = "URL")]
    server: Url,
    /// Pairs of a login with a wrong password and one of an unknown account
    #[arg(long, default_value_t = 300, value_parser = clap::value_parser!(u32).range(10..=500))]
    pairs: u32,
}

impl Login {
    /// In turns, each first every other time, so that whatever else the machine does weighs on both.
    pub async fn run(self) -> anyhow::Result<ExitCode> {
        let http = reqwest::Client::builder().timeout(Duration::from_secs(30)).build()?;
        let url = self.server.join("api/v1/auth/login")?;
        let refused = async |email: &str| -> anyhow::Result<Duration> {
            let begun = Instant::now();
            let answer = http.post(url.clone()).json(&json!({"email": email, "password": "not that one, is it"})).send().await?;
            let status = answer.status();
            let body = answer.bytes().await.context("the answer broke off")?;
            anyhow::ensure!(status == 401, "{status}: {}", String::from_utf8_lossy(&body));
            Ok(begun.elapsed())
        };
        let (mut known, mut unknown) = (Vec::new(), Vec::new());
        let mut account = String::new();
        for pair in 0..self.pairs {
            if pair.is_multiple_of(TRIES_OF_AN_ACCOUNT) {
                Tenant::sign_up(&self.server).await?.email().clone_into(&mut account);
            }
            let nobody = format!("nobody-{}@example.com", uuid::Uuid::now_v7());
            if pair.is_multiple_of(2) {
                known.push(refused(&account).await?);
                unknown.push(refused(&nobody).await?);
            } else {
                unknown.push(refused(&nobody).await?);
                known.push(refused(&account).await?);
            }
        }
        let (known, unknown) = (Sample::new(known)?, Sample::new(unknown)?);
        println!("| refused login, {} each in turns | p50 | p95 |\n|---|---|---|", known.count());
        for (name, sample) in [("wrong password", &known), ("unknown account", &unknown)] {
            println!("| {name} | {:.2} ms | {:.2} ms |", sample.percentile_ms(50), sample.percentile_ms(95));
        }
        let difference = (known.percentile_ms(50) / unknown.percentile_ms(50) - 1.0).abs();
        println!("The medians differ by {:.1} %.", difference * 100.0);
        Ok(if difference <= MOST { ExitCode::SUCCESS } else { ExitCode::FAILURE })
    }
}
