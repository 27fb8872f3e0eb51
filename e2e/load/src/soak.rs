//! `kiln-load soak`: many runs one after the other leave nothing behind.

use std::process::ExitCode;
use std::time::{Duration, Instant};

use futures::{StreamExt, TryStreamExt};
use reqwest::Url;

use crate::client::Tenant;
use crate::holdings::Holdings;

/// Runs before the first look: caches, pools and the database's connections fill.
const WARM_UP: u32 = 300;
/// How long what is being removed may take until the last look.
const SETTLE: Duration = Duration::from_secs(15);
const LOOK_EVERY: Duration = Duration::from_millis(500);
/// Programs that differ in what they use.
const PROGRAMS: [&str; 4] = [
    "print(1)",
    "open('left.txt', 'w').write('x' * 100_000)\nopen('/tmp/t', 'w').write('y' * 100_000)",
    "import os\nfor _ in range(3):\n    if os.fork() == 0:\n        os._exit(0)\nprint(os.wait()[1])",
    "import sys\nsys.exit(3)",
];

#[derive(Debug, clap::Args)]
pub struct Soak {
    #[arg(long, value_name = "URL")]
    server: Url,
    /// The process of Kiln on this machine, whose descendants are counted
    #[arg(long)]
    pid: u32,
    #[arg(long, default_value_t = 10_000, value_parser = clap::value_parser!(u32).range(1..=10_000_000))]
    runs: u32,
    /// Runs asked for at the same time
    #[arg(long, default_value_t = 8, value_parser = clap::value_parser!(u32).range(1..=256))]
    clients: u32,
}

impl Soak {
    pub async fn run(self) -> anyhow::Result<ExitCode> {
        let tenant = Tenant::sign_up(&self.server).await?;
        self.row(&tenant, WARM_UP).await?;
        let before = Holdings::of_tree(self.pid)?;
        let started = Instant::now();
        self.row(&tenant, self.runs).await?;
        let elapsed = started.elapsed();
        let after = self.settled(&before).await?;
        println!(
            "{} runs in {:.1} s, {:.1} a second.\n",
            self.runs,
            elapsed.as_secs_f64(),
            f64::from(self.runs) / elapsed.as_secs_f64()
        );
        println!("| | before | after | may grow by |\n|---|---|---|---|");
        let mut grown = false;
        for ((name, was, most), (_, is, _)) in before.figures().into_iter().zip(after.figures()) {
            grown |= is > was + most;
            println!("| {name} | {was} | {is} | {most} |");
        }
        Ok(if grown { ExitCode::FAILURE } else { ExitCode::SUCCESS })
    }

    /// Looks until nothing is more than it was, or long enough.
    async fn settled(&self, before: &Holdings) -> anyhow::Result<Holdings> {
        let deadline = Instant::now() + SETTLE;
        loop {
            let now = Holdings::of_tree(self.pid)?;
            let grown = before.figures().into_iter().zip(now.figures()).any(|((_, was, most), (_, is, _))| is > was + most);
            if !grown || Instant::now() > deadline {
                return Ok(now);
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }

    async fn row(&self, tenant: &Tenant, runs: u32) -> anyhow::Result<()> {
        let programs = PROGRAMS.iter().cycle().zip(0..runs);
        let runs = programs.map(|(program, _)| async move {
            let ended = tenant.execute(program).await?;
            let wanted = if program.contains("exit(3)") { "failed" } else { "succeeded" };
            anyhow::ensure!(ended.status == wanted, "a run went wrong: {ended:?}");
            Ok(())
        });
        futures::stream::iter(runs).buffer_unordered(self.clients as usize).try_collect::<Vec<_>>().await.map(drop)
    }
}
