//! Runs the programs of a case, each with what it needs beside it, and makes the checks that it asks for.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::Context;
use serde_json::{Value, json};

use crate::bystander::{self, Bystander};
use crate::ended::Ended;
use crate::judge::{faults, shared_values};
use crate::{Case, Check, Finding, Kiln, Outside, Program, Report, Verdict, artifacts};

/// The limits that the corpus assumes.
const MEMORY_BYTES: u64 = 256 << 20;
const PIDS: u64 = 64;
const DISK_BYTES: u64 = 128 << 20;
const OUTPUT_BYTES: u64 = 1 << 20;
const CPU_MILLIS: u64 = 1_000;
/// Memory limits are told apart by whole pages; so many runs can be at once.
const PAGE: u64 = 4096;
const DISTINCT: u64 = 1024;
/// A result may come so long after its run's limit.
const GRACE: Duration = Duration::from_secs(3);
/// Beyond that somebody waits for a run that hangs.
const PATIENCE: Duration = Duration::from_secs(25);
const NEXT_RUN_WITHIN: Duration = Duration::from_secs(2);
/// Messages for each MiB of kept output.
const MESSAGES_PER_MIB: usize = 200;
/// The program that shows that a Kiln is well.
const HELLO: &str = "print('hello', 1 + 2)\n";
/// Shows what a fresh run finds in the places that are its own.
const PLACES: &str = "import os\nprint(os.listdir('/dev/shm'), os.listdir('/tmp'))\n";

/// How long programs may run, by the wall.
#[derive(Debug, Clone, Copy)]
pub struct Pace {
    pub limit: Duration,
    /// For those whose end is the limit itself.
    pub hang: Duration,
    /// So many times the corpus's deadlines may be taken, where programs share the machine.
    pub slack: u32,
}

impl Pace {
    /// As the corpus has it.
    pub const REFERENCE: Self = Self { limit: Duration::from_secs(6), hang: Duration::from_secs(6), slack: 1 };
    /// Does not wait long for what hangs anyway.
    pub const BRISK: Self = Self { hang: Duration::from_millis(1_500), ..Self::REFERENCE };
    /// For many programs at once: more than the machine's cores can run side by side.
    pub const CROWD: Self = Self { limit: Duration::from_secs(30), slack: 5, ..Self::REFERENCE };

    fn of(self, program: &Program) -> Duration {
        if program.expect == Verdict::KilledTimeout { self.hang } else { self.limit }
    }
}

/// Conducts cases on one Kiln.
pub struct Drill<'a, K, O> {
    kiln: &'a K,
    outside: &'a O,
    pace: Pace,
    runs: AtomicU64,
}

/// The ids of a case's workspaces, by tenant and name, and the number of the tenant.
type Workspaces = BTreeMap<(String, String), (usize, String)>;

/// A step's place in its case.
struct Step<'a> {
    program: &'a Program,
    tenant: usize,
    /// A tenant that is not the program's, where there is one.
    other: usize,
    /// Id of the workspace that it is in, if it is in one.
    workspace: Option<String>,
}

impl<'a, K: Kiln, O: Outside> Drill<'a, K, O> {
    pub fn new(kiln: &'a K, outside: &'a O, pace: Pace) -> Self {
        Self { kiln, outside, pace, runs: AtomicU64::new(0) }
    }

    /// Runs the steps in order, the first tenant of the case being the one with this number, and gives a report of each.
    pub async fn conduct(&self, case: &Case, first_tenant: usize) -> Vec<Report> {
        let (known, tenants) = (self.kiln.tenants(), case.tenants());
        let mut reports = Vec::new();
        let mut workspaces = Workspaces::new();
        for program in &case.steps {
            if let Some(lack) = lack(program, tenants.len(), known) {
                reports.push(Report::not_run(program, &lack));
                continue;
            }
            let position = tenants.iter().position(|tenant| *tenant == program.tenant()).unwrap_or(0);
            let tenant = (first_tenant + position) % known;
            let mut report = Report::new(program);
            let stepped = async {
                let workspace = self.workspace(program, tenant, &mut workspaces).await?;
                self.step(&Step { program, tenant, other: (tenant + 1) % known, workspace }, &mut report).await
            };
            if let Err(error) = stepped.await {
                report.fault(format!("{error:#}"));
            }
            reports.push(report);
        }
        for (tenant, id) in workspaces.into_values() {
            let removed = self.kiln.send(tenant, "DELETE", &format!("/workspaces/{id}"), None).await;
            if let (Some(report), false) = (reports.last_mut(), removed.is_ok_and(|answer| answer.status == 204)) {
                report.not_made.push(format!("the workspace {id} could not be removed"));
            }
        }
        reports
    }

    /// The workspace that a program names, made for the first that does.
    async fn workspace(&self, program: &Program, tenant: usize, made: &mut Workspaces) -> anyhow::Result<Option<String>> {
        let Some(name) = program.identity.get("workspace") else { return Ok(None) };
        let key = (program.tenant().to_owned(), name.clone());
        if let Some((_, id)) = made.get(&key) {
            return Ok(Some(id.clone()));
        }
        let number = self.runs.fetch_add(1, Ordering::Relaxed);
        let name = format!("drill-{}-{}-{number}", program.id, std::process::id());
        let body = json!({"name": name, "quota_bytes": DISK_BYTES});
        let answer: Value = self.kiln.send(tenant, "POST", "/workspaces", Some(&body)).await?.json(&[201])?;
        let id = answer.get("id").and_then(Value::as_str).context("a workspace without an id")?.to_owned();
        made.insert(key, (tenant, id.clone()));
        Ok(Some(id))
    }

    async fn step(&self, step: &Step<'_>, report: &mut Report) -> anyhow::Result<()> {
        let program = step.program;
        let neighbour = if program.needs.iter().any(|need| need == "neighbour") {
            Some(Bystander::neighbour(self.kiln, step.other).await?)
        } else {
            None
        };
        let mut runs = Vec::new();
        for _ in 0..program.repeat {
            let ended = self.run(step, report).await?;
            report.got = ended.told(program);
            report.took_ms = u64::try_from(ended.took.as_millis()).unwrap_or(u64::MAX);
            report.executions.push(ended.id.clone());
            runs.push(ended);
        }
        for fault in shared_values(program, &runs) {
            report.fault(fault);
        }
        if let Some(neighbour) = neighbour {
            note(report, "neighbour", neighbour.stop(self.kiln).await?);
        }
        Ok(())
    }

    /// One run of a program, judged and checked.
    async fn run(&self, step: &Step<'_>, report: &mut Report) -> anyhow::Result<Ended> {
        let program = step.program;
        let asked = |check: &Check| program.after.contains(check);
        let memory_bytes = MEMORY_BYTES + PAGE * (self.runs.fetch_add(1, Ordering::Relaxed) % DISTINCT);
        let bystander = if asked(&Check::OtherRunsAlive) { Some(Bystander::start(self.kiln, step.other).await?) } else { None };
        let quiet = if asked(&Check::HostResponsive) { Some(bystander::timed(self.kiln, step.other).await?) } else { None };
        let before = self.outside.before(program).await;
        let submitted = self.submit(step, memory_bytes);
        let (ended, beside) = match quiet {
            Some(_) => bystander::timed_beside(self.kiln, step.other, submitted).await?,
            None => (submitted.await, Duration::ZERO),
        };
        let ended = ended?;
        for fault in faults(program, &ended) {
            report.fault(fault);
        }
        let mut seen = self.outside.after(before, program, &ended, memory_bytes).await;
        if let Some(bystander) = bystander {
            seen.push((Check::OtherRunsAlive, bystander.lives_on(self.kiln).await?));
        }
        if let Some(quiet) = quiet {
            seen.push((Check::HostResponsive, bystander::responsive(quiet, beside)));
        }
        for check in &program.after {
            let mut found = false;
            for (_, finding) in seen.iter().filter(|(seen, _)| seen == check) {
                found = true;
                note(report, check.name(), finding.clone());
            }
            if !found {
                note(report, check.name(), self.check(check, step, &ended).await?);
            }
        }
        Ok(ended)
    }

    async fn submit(&self, step: &Step<'_>, memory_bytes: u64) -> anyhow::Result<Ended> {
        let limit = self.pace.of(step.program);
        let body = json!({
            "code": step.program.code, "workspace_id": step.workspace, "labels": {"drill": step.program.id},
            "limits": {
                "timeout_ms": u64::try_from(limit.as_millis())?, "memory_bytes": memory_bytes, "pids": PIDS,
                "disk_bytes": DISK_BYTES, "output_bytes": OUTPUT_BYTES, "cpu_millis": CPU_MILLIS,
            },
        });
        let wait_ms = (limit + PATIENCE).as_millis();
        let begun = Instant::now();
        let answer = self.kiln.send(step.tenant, "POST", &format!("/executions?wait_ms={wait_ms}"), Some(&body)).await?;
        let took = begun.elapsed();
        let hangs = || format!("there is no result after {took:?}");
        let ended: Ended = answer.json(&[200]).with_context(hangs)?;
        Ok(Ended { took, ..ended })
    }

    /// A check that the API alone can make; the others are not made.
    async fn check(&self, check: &Check, step: &Step<'_>, ended: &Ended) -> anyhow::Result<Finding> {
        let late = |most: Duration| Finding::of(ended.took <= most, || format!("the result came after {:?}", ended.took));
        Ok(match check {
            Check::NextRunOk | Check::SupervisorAlive => self.next_run(step.other).await?,
            Check::ResultWithin(most) => late(*most * self.pace.slack),
            Check::ResultWithinLimit => late(self.pace.of(step.program) + GRACE * self.pace.slack),
            Check::ShmEmpty | Check::TmpEmpty => self.places(step.other).await?,
            Check::WorkspaceStable => self.stable(step.tenant, ended).await?,
            Check::NatsMessagesBounded => self.messages(step.tenant, ended).await?,
            Check::ArtifactsBounded => artifacts::bounded(ended),
            Check::ArtifactsListedSafely => artifacts::listed_safely(ended),
            Check::NoCoreFile => artifacts::no_core_file(ended),
            Check::ArtifactsRegularOnly => artifacts::regular_only(self.kiln, step.tenant, ended).await?,
            Check::ArtifactsHaveNoHostContent => artifacts::no_host_content(self.kiln, step.tenant, ended).await?,
            Check::ArtifactsNoSpecialBits => Finding::NotMade("files come by the API without modes".to_owned()),
            Check::DashboardNoScriptExecution => Finding::NotMade("needs a browser".to_owned()),
            Check::Unknown(_) => Finding::NotMade("this version does not know it".to_owned()),
            Check::NoSurvivors
            | Check::CgroupGone
            | Check::WorkspaceRemoved
            | Check::DiskFreed
            | Check::HostInodesRestored
            | Check::HostMemoryFlat
            | Check::HostSysvipcUnchanged
            | Check::HostPortsUnaffected
            | Check::NoFileOutsideWorkspace
            | Check::NoMarkerFile => Finding::NotMade("needs the host".to_owned()),
            Check::HostResponsive | Check::OtherRunsAlive => Finding::NotMade("is made while the program runs".to_owned()),
        })
    }

    async fn next_run(&self, tenant: usize) -> anyhow::Result<Finding> {
        let begun = Instant::now();
        let next = self.small_run(tenant, HELLO).await?;
        let took = begun.elapsed();
        let fine = next.status == "succeeded" && next.stdout == "hello 3\n" && took < NEXT_RUN_WITHIN * self.pace.slack;
        Ok(Finding::of(fine, || format!("the next run is {} after {took:?} and printed {:?}", next.status, next.stdout)))
    }

    async fn places(&self, tenant: usize) -> anyhow::Result<Finding> {
        let next = self.small_run(tenant, PLACES).await?;
        Ok(Finding::of(next.stdout == "[] []\n", || format!("the next run found {:?}", next.stdout)))
    }

    async fn small_run(&self, tenant: usize, code: &str) -> anyhow::Result<Ended> {
        self.kiln.send(tenant, "POST", "/executions?wait_ms=30000", Some(&json!({"code": code}))).await?.json(&[200])
    }

    /// What has ended does not change any more.
    async fn stable(&self, tenant: usize, ended: &Ended) -> anyhow::Result<Finding> {
        let path = format!("/executions/{}", ended.id);
        let first: Value = self.kiln.send(tenant, "GET", &path, None).await?.json(&[200])?;
        tokio::time::sleep(Duration::from_millis(500)).await;
        let second: Value = self.kiln.send(tenant, "GET", &path, None).await?.json(&[200])?;
        Ok(Finding::of(first == second, || "the result changed after the end".to_owned()))
    }

    /// Every frame of output is a message on the bus and an event of the stream, so the events tell how many there were.
    async fn messages(&self, tenant: usize, ended: &Ended) -> anyhow::Result<Finding> {
        let answer = self.kiln.send(tenant, "GET", &format!("/executions/{}/events", ended.id), None).await?;
        let text = String::from_utf8_lossy(&answer.body);
        let events = text.lines().filter(|line| matches!(*line, "event: stdout" | "event: stderr")).count();
        let allowed = MESSAGES_PER_MIB * (ended.stdout.len() + ended.stderr.len()).div_ceil(1 << 20).max(1);
        Ok(Finding::of(answer.status == 200 && events <= allowed, || format!("{events} messages, at most {allowed} are allowed")))
    }
}

/// Why a program cannot be run here.
fn lack(program: &Program, tenants: usize, known: usize) -> Option<String> {
    let neighbour = |need: &&String| *need == "neighbour";
    let needed = if program.needs.iter().any(|need| neighbour(&need)) { tenants.max(2) } else { tenants };
    if needed > known {
        return Some(format!("it needs {needed} tenants, there is {known}"));
    }
    let unknown = program.needs.iter().find(|need| !neighbour(need));
    unknown.map(|need| format!("it needs {need}, which this version cannot give"))
}

fn note(report: &mut Report, name: &str, finding: Finding) {
    match finding {
        Finding::Fine => {}
        Finding::Fault(fault) => report.fault(format!("{name}: {fault}")),
        Finding::NotMade(why) => {
            let line = format!("{name}: {why}");
            if !report.not_made.contains(&line) {
                report.not_made.push(line);
            }
        }
    }
}
