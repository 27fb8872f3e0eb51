//! Each service in a process of its own, by `kiln serve`, on a Postgres and a NATS that it is given.

use std::fs::{self, File};
use std::net::{IpAddr, Ipv4Addr};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::Api;
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
    settings: Settings,
}

/// Settings of all services, as variables of the environment.
type Settings = &'static [(&'static str, &'static str)];

struct Serving {
    name: &'static str,
    child: Child,
    port: u16,
    url: String,
}

impl Split {
    pub fn start() -> Self {
        Self::with_settings(&[])
    }

    /// The same with settings.
    pub fn with_settings(settings: Settings) -> Self {
        let guardian = Guardian::new("split");
        let directory = guardian.directory();
        let outside = [start_postgres(directory), start_nats(directory, &NATS_USERS)];
        let [postgres, nats] = &outside;
        let ports = Ports { postgres: postgres.port, nats: nats.port };
        migrate(&ports, directory);
        let serve = |name| serve(name, free_port(), &ports, directory, settings);
        let services = ["auth", "scheduler", "result", "executor"].map(serve).into();
        let mut split = Self { guardian, services, outside, ports, settings };
        split.watch();
        split.wait_until_ready();
        split
    }

    /// `kill -9` of one service, and its start again at the same address; returns once it is ready.
    pub fn kill_and_restart(&mut self, name: &str) {
        let serving = self.services.iter_mut().find(|serving| serving.name == name).expect("every service was started");
        serving.child.kill().expect("a live child can be killed");
        serving.child.wait().expect("a child can be waited for");
        *serving = serve(serving.name, serving.port, &self.ports, self.guardian.directory(), self.settings);
        self.watch();
        self.wait_until_ready();
    }

    /// The database, as the role that owns it.
    pub fn database_url(&self) -> String {
        format!("postgres://postgres:secret@127.0.0.1:{}/postgres", self.ports.postgres)
    }

    /// NATS, its operator's account and its password.
    pub fn nats(&self) -> (String, &'static str, &'static str) {
        (format!("nats://127.0.0.1:{}", self.ports.nats), "operator", "operator")
    }

    /// A caller without a credential.
    pub fn api(&self) -> Api {
        Api::new(self.addresses(), IpAddr::V4(Ipv4Addr::LOCALHOST))
    }

    /// `kiln admin` with these arguments, as the operator; what it says.
    ///
    /// # Panics
    /// When it fails, with what it said.
    pub async fn operate(&self, arguments: &[&str]) -> String {
        let mut command = self.operator(arguments);
        let ran = tokio::task::spawn_blocking(move || command.output().expect("kiln can be started"));
        let output = ran.await.expect("waiting for a command does not panic");
        assert!(output.status.success(), "kiln admin {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    fn watch(&self) {
        let all = self.services.iter().map(|serving| &serving.child).chain(self.outside.iter().map(|outside| &outside.child));
        self.guardian.watch(&all.map(Child::id).collect::<Vec<_>>());
    }

    /// `kiln admin` with these arguments, for these services.
    pub(crate) fn operator(&self, arguments: &[&str]) -> Command {
        let mut command = settings(&self.ports);
        command.arg("admin").args(arguments);
        command
    }

    pub(crate) fn addresses(&self) -> Arc<Addresses> {
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

fn serve(name: &'static str, port: u16, ports: &Ports, directory: &Path, of_test: Settings) -> Serving {
    let log = File::create(directory.join(format!("{name}.log"))).expect("the scratch directory can be written");
    let child = settings(ports)
        .args(["serve", "--target", name])
        .env("KILN_LISTEN", format!("127.0.0.1:{port}"))
        .env("KILN_EXECUTOR__DATA_DIR", directory.join("executor"))
        .envs(of_test.iter().copied())
        .stdin(Stdio::null())
        .stdout(log.try_clone().expect("a descriptor can be doubled"))
        .stderr(log)
        .current_dir(directory)
        .spawn()
        .expect("kiln can be started");
    Serving { name, child, port, url: format!("http://127.0.0.1:{port}") }
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
