//! How long a run takes inside the executor, from the claim to the last process reaped, beside the bare interpreter.
//!
//! `sandbox_bench [SAMPLES]` measures `print(1)`, NumPy and a pandas group-by, each in turns with the bare interpreter,
//! then many at once, then what waiting sandboxes hold in memory. Needs root, and `base` made (any `kiln up` makes it).

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use futures::{StreamExt, TryStreamExt};
use kiln_domain::{ExecutionId, Limits, Start, Status, TenantId};
use kiln_executor::runtimes::{Runtimes, RuntimesConfig};
use kiln_executor::sandbox::{RunEnd, RunEvent, RunSpec, RuntimeCommand, SandboxConfig, Sandboxes};
use tokio_util::sync::CancellationToken;

const SAMPLES: usize = 300;
const WARM_UP: usize = 10;
const AT_ONCE: usize = 8;
/// Between two runs, so that the next sandbox is ready as it is for one user at a time.
const PAUSE: Duration = Duration::from_millis(60);

const PROGRAMS: [(&str, &str, &str, &str); 3] = [
    ("print(1)", "python", "print(1)", "1\n"),
    ("NumPy", "base", "import numpy\nprint(numpy.ones(3).sum())", "3.0\n"),
    (
        "pandas group-by",
        "base",
        "import pandas\nf = pandas.DataFrame({'g': list('aabb'), 'x': [1., 2., 3., 4.]})\nprint(f.groupby('g').x.mean().tolist())",
        "[1.5, 3.5]\n",
    ),
];

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let samples = std::env::args().nth(1).map_or(Ok(SAMPLES), |text| text.parse())?;
    let beside = std::env::current_exe()?.parent().and_then(Path::parent).context("own directory")?.to_path_buf();
    let data_dir = std::env::temp_dir().join(format!("kiln-sandbox-bench-{}", std::process::id()));
    let sandboxes = Sandboxes::open(SandboxConfig {
        data_dir: data_dir.clone(),
        slots: 8,
        waiting_bytes: 1 << 30,
        separate_tenants: false,
        accept_tier: std::env::var("ACCEPT_TIER").ok(),
        runner: Some(beside.join("kiln-runner")),
        spawner: Some(beside.join("kiln-sandbox-spawner")),
    })
    .await?;
    let runtimes = Runtimes::open(RuntimesConfig::new(data_dir.join("runtimes"))).await?;
    runtimes.build(CancellationToken::new()).await;
    println!("{samples} runs of each, in turns with the bare interpreter (`python -I -c`)\n");
    println!("| program | bare p50 | claim to reaped p50 | p95 | p99 | first output p50 | warm |\n|---|---|---|---|---|---|---|");
    for (name, runtime, code, output) in PROGRAMS {
        let command = runtimes.resolve(runtime)?.command;
        sandboxes.prepare_for(&spec(code, runtime), &command).await;
        let bare = Bare::of(&command, runtime)?;
        let mut figures = Figures::default();
        for index in 0..WARM_UP + samples {
            let bare_took = bare.run(code, output).await?;
            tokio::time::sleep(PAUSE).await;
            let (end, first, took) = run(&sandboxes, &command, spec(code, runtime), output).await?;
            if index >= WARM_UP {
                figures.add(bare_took, first, took, end.start);
            }
        }
        println!("| {name} | {} |", figures.row());
    }
    println!("\n| program | at once | runs a second | CPU time a run, whole machine |\n|---|---|---|---|");
    for (name, runtime, code, output) in PROGRAMS {
        let command = runtimes.resolve(runtime)?.command;
        println!("| {name} | {AT_ONCE} | {} |", sustained(&sandboxes, &command, || spec(code, runtime), output, samples).await?);
    }
    println!("\nPrivate memory of each process below the spawner, in KiB (private, shared, command):");
    for line in memory()? {
        println!("  {line}");
    }
    sandboxes.close().await;
    std::fs::remove_dir_all(data_dir)?;
    Ok(())
}

fn spec(code: &str, runtime: &str) -> RunSpec {
    let memory_bytes = if runtime == "base" { 512 << 20 } else { Limits::DEFAULT.memory_bytes };
    RunSpec {
        execution: ExecutionId::generate(),
        attempt: 1,
        tenant: TenantId::generate(),
        code: code.to_owned(),
        args: Vec::new(),
        env: BTreeMap::new(),
        stdin: Vec::new(),
        interactive: false,
        files: Vec::new(),
        limits: Limits { memory_bytes, ..Limits::DEFAULT },
        workspace: None,
    }
}

async fn run(
    sandboxes: &Sandboxes,
    runtime: &Arc<RuntimeCommand>,
    spec: RunSpec,
    expected: &str,
) -> anyhow::Result<(RunEnd, Duration, Duration)> {
    let start = Instant::now();
    let mut run = sandboxes.start(spec, runtime).await?;
    let (mut output, mut first) = (Vec::new(), None);
    while let Some(event) = run.events.recv().await {
        match event {
            RunEvent::Output { bytes, .. } => {
                first.get_or_insert_with(|| start.elapsed());
                output.extend_from_slice(&bytes);
            }
            RunEvent::Ended(end) => {
                let took = start.elapsed();
                let right = end.ended.status == Status::Succeeded && output == expected.as_bytes();
                ensure!(right, "a run went wrong: {:?}, {}", end.ended, String::from_utf8_lossy(&output));
                return Ok((*end, first.unwrap_or(took), took));
            }
            RunEvent::WaitingForInput(_) | RunEvent::Display(_) => {}
        }
    }
    anyhow::bail!("the run had no end")
}

/// Runs a second and CPU time a run, with [`AT_ONCE`] going on all the time.
async fn sustained(
    sandboxes: &Sandboxes,
    runtime: &Arc<RuntimeCommand>,
    spec: impl Fn() -> RunSpec,
    output: &str,
    samples: usize,
) -> anyhow::Result<String> {
    let (start, busy) = (Instant::now(), busy()?);
    let runs = (0..samples).map(|_| run(sandboxes, runtime, spec(), output));
    futures::stream::iter(runs).buffer_unordered(AT_ONCE).try_for_each(|_| std::future::ready(Ok(()))).await?;
    let (took, busy) = (start.elapsed(), self::busy()?.saturating_sub(busy));
    #[expect(clippy::cast_precision_loss, reason = "a few hundred")]
    let count = samples as f64;
    Ok(format!("{:.0} | {:.1} ms", count / took.as_secs_f64(), busy.as_secs_f64() * 1000.0 / count))
}

/// What the processors have worked since the start of the machine, from `/proc/stat`.
fn busy() -> anyhow::Result<Duration> {
    const TICK_MS: u64 = 10;
    let text = std::fs::read_to_string("/proc/stat")?;
    let fields = text.lines().next().context("no line")?.split_whitespace().skip(1).map(str::parse);
    let [user, nice, system, _idle, _wait, interrupts, soft_interrupts, ..] = *fields.collect::<Result<Vec<u64>, _>>()? else {
        anyhow::bail!("/proc/stat has too few fields");
    };
    Ok(Duration::from_millis((user + nice + system + interrupts + soft_interrupts) * TICK_MS))
}

/// The same interpreter with the same packages, without a sandbox.
struct Bare {
    program: PathBuf,
    packages: Option<PathBuf>,
}

impl Bare {
    fn of(command: &RuntimeCommand, runtime: &str) -> anyhow::Result<Self> {
        let root = &command.roots.first().context("a runtime of its own")?.source;
        let is_python = |name: &str| name.starts_with("python3.") && !name.contains('-');
        let names = std::fs::read_dir(root.join("bin"))?.flatten().filter_map(|entry| entry.file_name().into_string().ok());
        let program = names.filter(|name| is_python(name)).min().context("no interpreter")?;
        let home = command.roots.iter().find(|bind| bind.target.ends_with(runtime)).map(|bind| bind.source.clone());
        let packages = home.map(|home| home.join("lib").join(&program).join("site-packages"));
        Ok(Self { program: root.join("bin").join(program), packages })
    }

    async fn run(&self, code: &str, expected: &str) -> anyhow::Result<Duration> {
        let mut command = tokio::process::Command::new(&self.program);
        command.args(["-s", "-c", code]).env("OPENBLAS_NUM_THREADS", "1").env("PYTHONDONTWRITEBYTECODE", "1");
        if let Some(packages) = &self.packages {
            command.env("PYTHONPATH", packages);
        }
        let start = Instant::now();
        let output = command.output().await?;
        let took = start.elapsed();
        ensure!(output.stdout == expected.as_bytes(), "the bare interpreter printed {output:?}");
        Ok(took)
    }
}

#[derive(Default)]
struct Figures {
    bare: Vec<Duration>,
    first: Vec<Duration>,
    took: Vec<Duration>,
    warm: usize,
}

impl Figures {
    fn add(&mut self, bare: Duration, first: Duration, took: Duration, start: Start) {
        self.bare.push(bare);
        self.first.push(first);
        self.took.push(took);
        self.warm += usize::from(start == Start::Warm);
    }

    fn row(mut self) -> String {
        let count = self.took.len();
        let [bare, first, took] = [&mut self.bare, &mut self.first, &mut self.took];
        let row = [(bare, 50), (&mut took.clone(), 50), (&mut took.clone(), 95), (took, 99), (first, 50)]
            .map(|(durations, percent)| format!("{:.2} ms", percentile(durations, percent)));
        format!("{} | {} of {count}", row.join(" | "), self.warm)
    }
}

fn percentile(durations: &mut [Duration], percent: usize) -> f64 {
    durations.sort_unstable();
    let rank = (durations.len() * percent).div_ceil(100).max(1);
    durations.get(rank - 1).map_or(f64::NAN, |duration| duration.as_secs_f64() * 1000.0)
}

/// One line for each descendant of the spawner.
fn memory() -> anyhow::Result<Vec<String>> {
    let mut parents = vec![std::process::id()];
    let mut lines = Vec::new();
    while let Some(parent) = parents.pop() {
        for entry in std::fs::read_dir("/proc")?.flatten() {
            let Some(pid) = entry.file_name().to_str().and_then(|name| name.parse::<u32>().ok()) else { continue };
            let stat = std::fs::read_to_string(entry.path().join("stat")).unwrap_or_default();
            let is_child =
                stat.rsplit_once(')').and_then(|(_, rest)| rest.split_whitespace().nth(1)?.parse().ok()) == Some(parent);
            let Ok(rollup) = std::fs::read_to_string(entry.path().join("smaps_rollup")) else { continue };
            if !is_child {
                continue;
            }
            parents.push(pid);
            let sum = |names: [&str; 2]| names.map(|name| field(&rollup, name)).iter().sum::<u64>();
            let command = std::fs::read(entry.path().join("cmdline")).unwrap_or_default();
            let command = String::from_utf8_lossy(&command).replace('\0', " ");
            let (private, shared) = (sum(["Private_Clean:", "Private_Dirty:"]), sum(["Shared_Clean:", "Shared_Dirty:"]));
            lines.push(format!("{private:7} {shared:7} {pid} of {parent}: {command}"));
        }
    }
    Ok(lines)
}

fn field(text: &str, name: &str) -> u64 {
    let line = text.lines().find_map(|line| line.strip_prefix(name));
    line.and_then(|rest| rest.split_whitespace().next()?.parse().ok()).unwrap_or(0)
}
