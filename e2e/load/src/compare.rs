//! `kiln-load compare`: print(1) by the ways that there are on one machine, in turns.
//!
//! The others are given as much of Kiln's isolation as they offer by themselves: every namespace, no network, a read-only
//! root, no capabilities; limits of memory and processes where they set any. None of them keeps a disk limit, collects
//! files, streams, or stores a result.

use std::path::{Path, PathBuf};
use std::process::{ExitCode, Stdio};
use std::time::{Duration, Instant};

use anyhow::Context;
use reqwest::Url;
use serde_json::json;

use crate::client::Tenant;
use crate::statistics::Sample;

const DEADLINE: Duration = Duration::from_secs(30);
const WARM_UP: u32 = 10;
const OUTPUT: &str = "1\n";
const MEMORY_BYTES: u64 = 256 << 20;
const PIDS: u32 = 64;
/// What an interpreter of the system needs of it.
const SHOWN: [&str; 5] = ["/usr", "/lib", "/lib64", "/bin", "/etc/ld.so.cache"];

#[derive(Debug, clap::Args)]
pub struct Compare {
    #[arg(long, value_name = "URL")]
    server: Url,
    /// The interpreter for all but Kiln; one below /usr, so that every sandbox shows it
    #[arg(long, value_name = "PATH", default_value = "/usr/bin/python3")]
    python: PathBuf,
    /// The runtime in Kiln that is the same interpreter
    #[arg(long, value_name = "ID", default_value = "python")]
    runtime: String,
    #[arg(long, default_value_t = 300, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    samples: u32,
}

/// One way to run the program.
struct Way {
    name: String,
    command: Option<Vec<String>>,
    took: Vec<Duration>,
}

impl Compare {
    pub async fn run(self) -> anyhow::Result<ExitCode> {
        let tenant = Tenant::sign_up(&self.server).await?;
        let bundle = tempfile::tempdir().context("a place for bundles")?;
        let mut ways = vec![
            Way::new("Kiln, POST with `wait_ms`, stored", None),
            Way::new("bare `python3 -I -c`", Some(self.python())),
            Way::new("rlimits alone (`prlimit`)", Some(self.limited())),
        ];
        for (name, command) in [
            ("bubblewrap", self.bubblewrap()),
            ("crun", self.container("crun", bundle.path())?),
            ("runc", self.container("runc", bundle.path())?),
        ] {
            match command {
                Some(command) => ways.push(Way::new(name, Some(command))),
                None => println!("{name} is not installed and left out."),
            }
        }
        ways = self.that_work(ways).await?;
        for turn in 0..WARM_UP + self.samples {
            for (index, way) in ways.iter_mut().enumerate() {
                let took = match &way.command {
                    None => self.through_kiln(&tenant).await?,
                    Some(command) => run(command, &format!("kiln-compare-{turn}-{index}")).await?,
                };
                if turn >= WARM_UP {
                    way.took.push(took);
                }
            }
        }
        println!("print(1), {} runs of each in turns\n", self.samples);
        println!("| | p50 | p95 | p99 | p50 of bare |\n|---|---|---|---|---|");
        let mut samples = Vec::new();
        for way in ways {
            samples.push((way.name, Sample::new(way.took)?));
        }
        let bare = samples.get(1).map_or(f64::NAN, |(_, sample)| sample.percentile_ms(50));
        for (name, sample) in &samples {
            let [p50, p95, p99] = [50, 95, 99].map(|percent| sample.percentile_ms(percent));
            println!("| {name} | {p50:.1} ms | {p95:.1} ms | {p99:.1} ms | {:.2} |", p50 / bare);
        }
        Ok(ExitCode::SUCCESS)
    }

    /// Those that run the program here; why not is said of the others. Kiln and the bare interpreter must.
    async fn that_work(&self, ways: Vec<Way>) -> anyhow::Result<Vec<Way>> {
        let mut working = Vec::new();
        for (index, way) in ways.into_iter().enumerate() {
            let tried = match &way.command {
                None => Ok(Duration::ZERO),
                Some(command) => run(command, &format!("kiln-compare-try-{index}")).await,
            };
            match tried {
                Err(error) if index > 1 => println!("{} does not work here and is left out: {error:#}", way.name),
                tried => {
                    tried?;
                    working.push(way);
                }
            }
        }
        Ok(working)
    }

    async fn through_kiln(&self, tenant: &Tenant) -> anyhow::Result<Duration> {
        let started = Instant::now();
        let execution = tenant.execute_with("print(1)", &self.runtime).await?;
        let took = started.elapsed();
        anyhow::ensure!(execution.stdout.as_deref() == Some(OUTPUT), "a run went wrong: {execution:?}");
        Ok(took)
    }

    fn python(&self) -> Vec<String> {
        [&self.python.display().to_string(), "-I", "-c", "print(1)"].map(ToString::to_string).to_vec()
    }

    fn limited(&self) -> Vec<String> {
        let limits = [
            "/usr/bin/prlimit".to_owned(),
            format!("--as={}", MEMORY_BYTES * 4),
            "--cpu=30".to_owned(),
            "--nofile=256".to_owned(),
        ];
        [&limits[..], &self.python()].concat()
    }

    fn bubblewrap(&self) -> Option<Vec<String>> {
        let program = installed("bwrap")?;
        let options = [
            "--unshare-all",
            "--die-with-parent",
            "--new-session",
            "--clearenv",
            "--cap-drop",
            "ALL",
            "--proc",
            "/proc",
            "--dev",
            "/dev",
            "--tmpfs",
            "/tmp",
            "--tmpfs",
            "/workspace",
            "--chdir",
            "/workspace",
        ];
        let shown = SHOWN.into_iter().filter(|path| Path::new(path).exists()).flat_map(|path| ["--ro-bind", path, path]);
        let words = options.into_iter().chain(shown).map(str::to_owned);
        Some([program.display().to_string()].into_iter().chain(words).chain(self.python()).collect())
    }

    /// A bundle whose root shows the same, with limits of memory and processes.
    fn container(&self, name: &str, place: &Path) -> anyhow::Result<Option<Vec<String>>> {
        let Some(program) = installed(name) else { return Ok(None) };
        let bundle = place.join(name);
        std::fs::create_dir_all(bundle.join("rootfs"))?;
        let shown = SHOWN.into_iter().filter(|path| Path::new(path).exists());
        let binds = shown.map(
            |path| json!({"destination": path, "source": path, "type": "bind", "options": ["rbind", "ro", "nosuid", "nodev"]}),
        );
        let own = [("/proc", "proc"), ("/dev", "tmpfs"), ("/tmp", "tmpfs"), ("/workspace", "tmpfs")];
        let own = own.map(|(path, kind)| json!({"destination": path, "source": kind, "type": kind, "options": ["nosuid"]}));
        let namespaces = ["pid", "network", "ipc", "uts", "mount", "cgroup"].map(|kind| json!({"type": kind}));
        let config = json!({
            "ociVersion": "1.0.2", "hostname": "sandbox", "root": {"path": "rootfs", "readonly": false},
            "process": {"terminal": false, "cwd": "/workspace", "args": self.python(), "env": ["PATH=/usr/bin:/bin"],
                "user": {"uid": 1000, "gid": 1000}, "noNewPrivileges": true, "capabilities": {}},
            "mounts": binds.chain(own).collect::<Vec<_>>(),
            "linux": {"namespaces": namespaces, "resources": {"memory": {"limit": MEMORY_BYTES}, "pids": {"limit": PIDS}}},
        });
        std::fs::write(bundle.join("config.json"), serde_json::to_vec(&config)?)?;
        let words = [program.display().to_string(), "run".to_owned(), "--bundle".to_owned(), bundle.display().to_string()];
        Ok(Some(words.to_vec()))
    }
}

impl Way {
    fn new(name: &str, command: Option<Vec<String>>) -> Self {
        Self { name: name.to_owned(), command, took: Vec::new() }
    }
}

/// From the start of the command to its end. `container` names it where its runner wants a name.
async fn run(command: &[String], container: &str) -> anyhow::Result<Duration> {
    let (program, arguments) = command.split_first().context("an empty command")?;
    let is_container = arguments.first().is_some_and(|word| word == "run");
    let started = Instant::now();
    let output = tokio::process::Command::new(program)
        .args(arguments)
        .args(is_container.then_some(container))
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output();
    let output = tokio::time::timeout(DEADLINE, output).await.with_context(|| format!("{program} hangs"))??;
    let took = started.elapsed();
    anyhow::ensure!(output.stdout == OUTPUT.as_bytes(), "{program}: {}", String::from_utf8_lossy(&output.stderr));
    Ok(took)
}

fn installed(name: &str) -> Option<PathBuf> {
    ["/usr/bin", "/usr/sbin", "/usr/local/bin"].iter().map(|directory| Path::new(directory).join(name)).find(|path| path.exists())
}
