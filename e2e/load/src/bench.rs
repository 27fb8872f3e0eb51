//! `kiln-load bench`.

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use anyhow::Context;
use reqwest::Url;

use crate::client::Tenant;
use crate::memory::{self, Memory};
use crate::statistics::Sample;

const PROGRAM: &str = "print(1)";
const OUTPUT: &str = "1\n";
const WARM_UP: usize = 20;
const BARE_DEADLINE: Duration = Duration::from_secs(30);

#[derive(Debug, clap::Args)]
pub struct Bench {
    #[arg(long, value_name = "URL")]
    server: Url,
    /// The interpreter that the server's `python` runtime uses
    #[arg(long, value_name = "PATH", default_value = "python3")]
    python: PathBuf,
    /// Runs of one client, each beside a bare one
    #[arg(long, default_value_t = 300, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    samples: u32,
    /// Clients of the sustained load
    #[arg(long, default_value_t = 8, value_parser = clap::value_parser!(u32).range(1..=256))]
    clients: u32,
    /// Runs of all these clients together
    #[arg(long, default_value_t = 400, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    runs: u32,
    /// The process whose memory, with its descendants', is Kiln's
    #[arg(long)]
    pid: Option<u32>,
}

impl Bench {
    pub async fn run(self) -> anyhow::Result<ExitCode> {
        let tenant = Tenant::sign_up(&self.server).await?;
        for _ in 0..WARM_UP {
            self.bare().await?;
            through_kiln(&tenant).await?;
        }
        let idle = self.pid.map(memory::of_tree).transpose()?;
        let (mut bare, mut kiln) = (Vec::new(), Vec::new());
        for _ in 0..self.samples {
            bare.push(self.bare().await?);
            kiln.push(through_kiln(&tenant).await?);
        }
        let (bare, kiln) = (Sample::new(bare)?, Sample::new(kiln)?);
        let (loaded, elapsed) = self.sustain(&tenant).await?;
        let after = self.pid.map(memory::of_tree).transpose()?;
        let version = tenant.get("api/v1/runtimes").await?;
        report(&bare, &kiln, default_runtime(&version));
        println!(
            "\n{} clients, {} runs: {:.1} runs a second; p50 {:.1} ms, p95 {:.1} ms, p99 {:.1} ms.",
            self.clients,
            loaded.count(),
            f64::from(self.runs) / elapsed.as_secs_f64(),
            loaded.percentile_ms(50),
            loaded.percentile_ms(95),
            loaded.percentile_ms(99),
        );
        for (when, memory) in [("before", idle), ("after", after)] {
            if let Some(memory) = memory {
                report_memory(when, memory);
            }
        }
        Ok(ExitCode::SUCCESS)
    }

    async fn bare(&self) -> anyhow::Result<Duration> {
        let started = Instant::now();
        let run = tokio::process::Command::new(&self.python).args(["-c", PROGRAM]).kill_on_drop(true).output();
        let output = tokio::time::timeout(BARE_DEADLINE, run).await.context("the bare interpreter hangs")??;
        let elapsed = started.elapsed();
        anyhow::ensure!(output.stdout == OUTPUT.as_bytes(), "{} printed {output:?}", self.python.display());
        Ok(elapsed)
    }

    /// All runs by all clients; how long each took, and all of them together.
    async fn sustain(&self, tenant: &Tenant) -> anyhow::Result<(Sample, Duration)> {
        let left = AtomicUsize::new(self.runs as usize);
        let take = || left.try_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1)).is_ok();
        let started = Instant::now();
        let clients = (0..self.clients).map(|_| async {
            let mut durations = Vec::new();
            while take() {
                durations.push(through_kiln(tenant).await?);
            }
            anyhow::Ok(durations)
        });
        let durations = futures::future::try_join_all(clients).await?;
        Ok((Sample::new(durations.concat())?, started.elapsed()))
    }
}

async fn through_kiln(tenant: &Tenant) -> anyhow::Result<Duration> {
    let started = Instant::now();
    let execution = tenant.execute(PROGRAM).await?;
    let elapsed = started.elapsed();
    let right = execution.status == "succeeded" && execution.stdout.as_deref() == Some(OUTPUT);
    anyhow::ensure!(right, "a run went wrong: {execution:?}");
    Ok(elapsed)
}

fn default_runtime(runtimes: &serde_json::Value) -> &str {
    let data = runtimes.get("data").and_then(|data| data.as_array()).into_iter().flatten();
    let mut default = data.filter(|runtime| runtime.get("default") == Some(&true.into()));
    default.next().and_then(|runtime| runtime.get("title")?.as_str()).unwrap_or("an unknown runtime")
}

fn report(bare: &Sample, kiln: &Sample, runtime: &str) {
    println!("print(1), {} runs of each in turns, {runtime}\n", kiln.count());
    println!("| | p50 | p95 | p99 |\n|---|---|---|---|");
    let row = |name: &str, figure: &dyn Fn(usize) -> String| {
        println!("| {name} | {} | {} | {} |", figure(50), figure(95), figure(99));
    };
    row("bare `python3 -c`", &|percent| format!("{:.1} ms", bare.percentile_ms(percent)));
    row("POST /executions?wait_ms", &|percent| format!("{:.1} ms", kiln.percentile_ms(percent)));
    row("ratio", &|percent| format!("{:.2}", kiln.percentile_ms(percent) / bare.percentile_ms(percent)));
}

#[expect(clippy::cast_precision_loss, reason = "memory in MiB with one decimal")]
fn report_memory(when: &str, memory: Memory) {
    let mib = |bytes: u64| bytes as f64 / f64::from(1 << 20);
    println!(
        "Memory {when} the load, less Postgres and NATS: {:.1} MiB resident in {} processes ({:.1} MiB with shared pages counted once).",
        mib(memory.resident),
        memory.processes,
        mib(memory.proportional),
    );
}
