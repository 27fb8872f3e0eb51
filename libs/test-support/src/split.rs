//! Each service in a process of its own, by `kiln serve`, on a Postgres and a NATS that it is given.

use std::fs::{self, File};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::deployment::Addresses;
use crate::guardian::Guardian;
use crate::installation::kiln_command;
use crate::outside::{Outside, free_port, start_nats, start_postgres};

const START_DEADLINE: Duration = Duration::from_secs(90);

const NATS_USERS: [&str; 5] = ["operator", "auth", "scheduler", "executor", "result"];

struct Ports {
    postgres: u16,
    nats: u16,
}

/// The running services; they end with this value.
pub struct Split {
    guardian: Guardian,
    services: Vec<Serving>,
    outside: [Outside; 2],
    ports: Ports,
}

struct Serving {
    name: &'static str,
    child: Child,
    url: String,
}

impl Split {
    pub fn start() -> Self {
        let guardian = Guardian::new("split");
        let directory = guardian.directory();
        let outside = [start_postgres(directory), start_nats(directory, &NATS_USERS)];
        let [postgres, nats] = &outside;
        let ports = Ports { postgres: postgres.port, nats: nats.port };
        migrate(&ports, directory);
        let serve = |name| serve(name, &ports, directory);
        let services = ["auth", "scheduler", "result", "executor"].map(serve).into();
        let mut split = Self { guardian, services, outside, ports };
        let all = split.services.iter().map(|serving| &serving.child).chain(split.outside.iter().map(|outside| &outside.child));
        split.guardian.watch(&all.map(Child::id).collect::<Vec<_>>());
        split.wait_until_ready();
        split
    }

    /// `kiln admin` with these arguments, for these services.
    pub(crate) fn operator(&self, arguments: &[&str]) -> Command {
        let mut command = settings(&self.ports);
        command.arg("admin").args(arguments);
        command
    }

    pub fn addresses(&self) -> Arc<Addresses> {
        let url = |name| self.services.iter().find(|serving| serving.name == name).map(|serving| serving.url.clone());
        let url = |name| url(name).expect("every service was started");
        Arc::new(Addresses { auth: url("auth"), scheduler: url("scheduler"), result: url("result"), executor: url("executor") })
    }

    fn wait_until_ready(&mut self) {
        let begun = Instant::now();
        let directory = self.guardian.directory();
        for serving in &mut self.services {
            let logged = || fs::read_to_string(directory.join(format!("{}.log", serving.name))).unwrap_or_default();
            while !is_ready(&serving.url) {
                let ended = serving.child.try_wait().expect("a child can be waited for");
                assert!(ended.is_none(), "{} ended with {ended:?}:\n{}", serving.name, logged());
                assert!(
                    begun.elapsed() < START_DEADLINE,
                    "{} is not ready after {START_DEADLINE:?}:\n{}",
                    serving.name,
                    logged()
                );
                std::thread::sleep(Duration::from_millis(20));
            }
        }
    }
}

fn migrate(ports: &Ports, directory: &Path) {
    let output = settings(ports).arg("migrate").current_dir(directory).output().expect("kiln can be started");
    let text = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "kiln migrate failed: {text}");
}

fn serve(name: &'static str, ports: &Ports, directory: &Path) -> Serving {
    let log = File::create(directory.join(format!("{name}.log"))).expect("the scratch directory can be written");
    let port = free_port();
    let child = settings(ports)
        .args(["serve", "--target", name])
        .env("KILN_LISTEN", format!("127.0.0.1:{port}"))
        .env("KILN_EXECUTOR__DATA_DIR", directory.join("executor"))
        .stdin(Stdio::null())
        .stdout(log.try_clone().expect("a descriptor can be doubled"))
        .stderr(log)
        .current_dir(directory)
        .spawn()
        .expect("kiln can be started");
    Serving { name, child, url: format!("http://127.0.0.1:{port}") }
}

/// The program with the settings that the chart gives, as environment variables.
fn settings(ports: &Ports) -> Command {
    let mut command = kiln_command();
    for (name, user) in [("OWNER", "postgres"), ("AUTH", "kiln_auth"), ("SCHEDULER", "kiln_scheduler"), ("RESULT", "kiln_result")]
    {
        command.env(format!("KILN_DATABASE__{name}"), format!("postgres://{user}:secret@127.0.0.1:{}/postgres", ports.postgres));
    }
    command.env("KILN_AUTH__SECRET_KEY", "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=");
    command.env("KILN_NATS__URL", format!("nats://127.0.0.1:{}", ports.nats));
    for user in NATS_USERS {
        let name = user.to_uppercase();
        command.env(format!("KILN_NATS__{name}__USER"), user).env(format!("KILN_NATS__{name}__PASSWORD"), user);
    }
    command
}

/// Asks over a plain connection: this is before there is any client or runtime.
fn is_ready(url: &str) -> bool {
    use std::io::{Read, Write};
    let address = url.trim_start_matches("http://");
    let ask = || -> std::io::Result<String> {
        let mut stream = std::net::TcpStream::connect(address)?;
        stream.set_read_timeout(Some(Duration::from_secs(2)))?;
        write!(stream, "GET /readyz HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n\r\n")?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        Ok(answer)
    };
    ask().is_ok_and(|answer| answer.starts_with("HTTP/1.1 200"))
}
