//! Runs programs in real sandboxes: `sandbox_run INTERPRETER_ROOT PYTHON FILE…`, one line a file.
//!
//! `INTERPRETER_ROOT` is shown inside as `/opt/python`, and `PYTHON` is a path below it.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use kiln_domain::{ExecutionId, Limits, TenantId};
use kiln_executor::sandbox::{Bind, RunEnd, RunEvent, RunSpec, RuntimeCommand, SandboxConfig, Sandboxes};

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let mut arguments = std::env::args().skip(1);
    let (Some(root), Some(python)) = (arguments.next(), arguments.next()) else {
        bail!("sandbox_run INTERPRETER_ROOT PYTHON FILE…");
    };
    let files: Vec<_> = arguments.collect();
    let directory = std::env::current_exe()?.parent().and_then(|path| path.parent()).context("own directory")?.to_path_buf();
    let data_dir = std::env::temp_dir().join(format!("kiln-sandbox-run-{}", std::process::id()));
    let sandboxes = Sandboxes::open(SandboxConfig {
        data_dir: data_dir.clone(),
        slots: 4,
        waiting_bytes: 256 << 20,
        separate_tenants: false,
        accept_tier: std::env::var("ACCEPT_TIER").ok(),
        runner: Some(directory.join("kiln-runner")),
        spawner: Some(directory.join("kiln-sandbox-spawner")),
    })
    .await?;
    eprintln!("{:?}", sandboxes.isolation());
    let runtime = RuntimeCommand {
        argv: [&format!("/opt/python/{python}"), "-I", "-u", "-B"].map(str::to_owned).to_vec(),
        roots: vec![Bind { source: PathBuf::from(&root), target: PathBuf::from("/opt/python") }],
        env: Vec::new(),
        script_name: "main.py".to_owned(),
        tiers: Vec::new(),
        takes_arguments: false,
    };
    let runtime = Arc::new(runtime);
    sandboxes.prepare(&runtime).await;
    for file in &files {
        let code = std::fs::read_to_string(file).with_context(|| file.clone())?;
        let (output, end, wall) = run(&sandboxes, &runtime, &code).await?;
        let name = PathBuf::from(file).file_stem().map(|stem| stem.to_string_lossy().into_owned()).unwrap_or_default();
        let ended = &end.ended;
        let reason = ended.reason.as_ref().map(|reason| format!("{:?}", reason.code));
        println!(
            "{name}\t{:?}\t{reason:?}\t{:?}\t{:?}\t{:?}\t{wall:?}\t{:?}",
            ended.status, ended.exit_code, ended.signal, ended.usage, output
        );
    }
    sandboxes.close().await;
    std::fs::remove_dir_all(data_dir)?;
    Ok(())
}

async fn run(sandboxes: &Sandboxes, runtime: &Arc<RuntimeCommand>, code: &str) -> anyhow::Result<(String, RunEnd, Duration)> {
    let number = |name: &str, otherwise| std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(otherwise);
    let limits = Limits {
        timeout_ms: 6000,
        output_bytes: 1 << 20,
        disk_bytes: number("DISK_BYTES", Limits::DEFAULT.disk_bytes),
        memory_bytes: number("MEMORY_BYTES", Limits::DEFAULT.memory_bytes),
        ..Limits::DEFAULT
    };
    let spec = RunSpec {
        execution: ExecutionId::generate(),
        attempt: 1,
        tenant: TenantId::generate(),
        code: code.to_owned(),
        args: Vec::new(),
        env: BTreeMap::new(),
        stdin: Vec::new(),
        interactive: false,
        files: Vec::new(),
        limits,
        workspace: None,
    };
    let start = Instant::now();
    let mut run = sandboxes.start(spec, runtime).await?;
    let mut output = Vec::new();
    while let Some(event) = run.events.recv().await {
        match event {
            RunEvent::Output { bytes, .. } => output.extend_from_slice(&bytes),
            RunEvent::Ended(end) => {
                let wall = start.elapsed();
                output.truncate(600);
                return Ok((String::from_utf8_lossy(&output).into_owned(), *end, wall));
            }
            RunEvent::WaitingForInput(_) | RunEvent::Display(_) => {}
        }
    }
    bail!("the run had no end")
}
