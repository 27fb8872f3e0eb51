//! The service over a Postgres and a NATS of its own, once for the whole test program.
//!
//! Both servers and the service live on one thread that never ends; the kernel kills the servers with it.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use kiln_auth::Config;
use kiln_bus::{Bus, BusConfig};
use kiln_db::Database;
use kiln_events::{TenantUsage, TenantUsageReply, subject};
use kiln_runtime::{Deps, Service};
use sqlx::postgres::PgConnection;
use sqlx::{AssertSqlSafe, Connection as _};
use tokio_util::sync::CancellationToken;

pub const PUBLIC_URL: &str = "https://kiln.example.org";
/// 32 bytes in base64.
const SECRET_KEY: &str = "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=";

const DEADLINE: Duration = Duration::from_secs(20);

/// Where the running installation is.
#[derive(Debug, Clone)]
pub struct Installation {
    pub address: SocketAddr,
    pub owner_url: String,
    pub auth_url: String,
    pub nats_url: String,
    /// Where mail goes.
    pub mail: PathBuf,
}

/// The installation, started by whoever asks first.
pub fn installation() -> &'static Installation {
    static INSTALLATION: OnceLock<Installation> = OnceLock::new();
    INSTALLATION.get_or_init(|| {
        let (send, receive) = std::sync::mpsc::channel();
        std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
            runtime.block_on(run(send));
        });
        receive.recv_timeout(2 * DEADLINE).expect("the installation did not start")
    })
}

async fn run(started: std::sync::mpsc::Sender<Installation>) {
    let directory = tempfile::tempdir().unwrap();
    let (_postgres, postgres) = start_postgres(directory.path()).await;
    let (_nats, nats) = start_nats(directory.path());
    let owner_url = format!("postgres://postgres@127.0.0.1:{postgres}/kiln");
    let auth_url = format!("postgres://kiln_auth@127.0.0.1:{postgres}/kiln");
    let bus = eventually("NATS", async || Bus::connect(&bus_config(&nats)).await.ok()).await;
    bus.ensure_streams(1).await.unwrap();

    let mail = directory.path().join("mail");
    let deps = Deps {
        database: Some(Database::connect(&auth_url, "auth", 12).await.unwrap()),
        bus: bus.clone(),
        shutdown: CancellationToken::new(),
    };
    let Service { routes, tasks, ready, .. } = kiln_auth::build(config(&mail), &deps).await.unwrap();
    for task in tasks {
        tokio::spawn(task.run);
    }
    tokio::spawn(answer_usage(bus));
    eventually("the service", async || ready().await.ok()).await;
    let (router, _) = routes.split_for_parts();
    let router = kiln_http::layers(router, kiln_http::Edge::new(&kiln_http::EdgeConfig::default()))
        .into_make_service_with_connect_info::<SocketAddr>();
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    started.send(Installation { address, owner_url, auth_url, nats_url: nats, mail }).unwrap();
    axum::serve(listener, router).await.unwrap();
}

/// As delivered, but for where mail goes and with a key for secrets.
fn config(mail: &Path) -> Config {
    let mut config = Config { secret_key: Some(SECRET_KEY.into()), ..Config::default() };
    config.mail.directory = Some(mail.to_owned());
    config.public_url = PUBLIC_URL.to_owned();
    config.mails_per_minute = 1000.try_into().unwrap();
    config
}

/// Stands in for the scheduler, which is not part of this test.
async fn answer_usage(bus: Bus) {
    let subject = subject::control("scheduler", "usage");
    let reply = TenantUsageReply { running: 1, ..TenantUsageReply::default() };
    bus.serve(&subject, "scheduler", CancellationToken::new(), move |_: TenantUsage| async move { Ok(reply) }).await.unwrap();
}

pub fn bus_config(url: &str) -> BusConfig {
    BusConfig { url: url.to_owned(), user: String::new(), password: String::new(), name: "test".to_owned() }
}

async fn start_postgres(directory: &Path) -> (Child, u16) {
    let (data, port) = (directory.join("postgres"), free_port());
    let bin = postgres_bin();
    std::fs::create_dir(&data).unwrap();
    if is_root() {
        for path in [directory, &data] {
            assert!(Command::new("chown").arg("postgres").arg(path).status().unwrap().success());
        }
    }
    let initdb =
        server(&bin.join("initdb")).arg("-D").arg(&data).args(["-A", "trust", "-E", "UTF8", "--locale=C.UTF-8", "-N"]).output();
    let initdb = initdb.unwrap();
    assert!(initdb.status.success(), "{}", String::from_utf8_lossy(&initdb.stderr));
    let child = server(&bin.join("postgres"))
        .arg("-D")
        .arg(&data)
        .args(["-c", "listen_addresses=127.0.0.1", "-c", "fsync=off", "-c", "unix_socket_directories=", "-p"])
        .arg(port.to_string())
        .spawn()
        .unwrap();
    let superuser = std::env::var("USER").ok().filter(|_| !is_root()).unwrap_or_else(|| "postgres".to_owned());
    let first = format!("postgres://{superuser}@127.0.0.1:{port}/postgres");
    let mut connection = eventually("Postgres", async || PgConnection::connect(&first).await.ok()).await;
    sqlx::query("CREATE DATABASE kiln").execute(&mut connection).await.unwrap();
    let mut connection = PgConnection::connect(&format!("postgres://{superuser}@127.0.0.1:{port}/kiln")).await.unwrap();
    sqlx::migrate!("../../migrations").run(&mut connection).await.unwrap();
    if superuser != "postgres" {
        sqlx::query(AssertSqlSafe("CREATE ROLE postgres SUPERUSER LOGIN")).execute(&mut connection).await.unwrap();
    }
    (child, port)
}

fn start_nats(directory: &Path) -> (Child, String) {
    let port = free_port();
    let program = std::env::var_os("KILN_NATS_SERVER").map_or_else(|| PathBuf::from("nats-server"), PathBuf::from);
    let (config, store) = (directory.join("nats.conf"), directory.join("nats"));
    // Kiln's streams reserve more than a small disk has free; the ceiling is stated so that they can be made.
    let settings =
        format!("listen: \"127.0.0.1:{port}\"\njetstream {{ store_dir: \"{}\", max_file_store: 128GB }}\n", store.display());
    std::fs::write(&config, settings).unwrap();
    let mut command = Command::new("setpriv");
    command.args(["--pdeathsig", "KILL"]).arg(program).arg("-c").arg(config).stdout(Stdio::null()).stderr(Stdio::null());
    let child = command.spawn().expect("setpriv and nats-server 2.12 or newer (KILN_NATS_SERVER)");
    (child, format!("nats://127.0.0.1:{port}"))
}

/// A program of Postgres, which refuses root, and which must not outlive this one.
fn server(program: &Path) -> Command {
    let mut command = Command::new("setpriv");
    if is_root() {
        command.args(["--reuid=postgres", "--regid=postgres", "--clear-groups"]);
    }
    command.args(["--pdeathsig", "KILL"]).arg(program).current_dir("/").stdout(Stdio::null()).stderr(Stdio::piped());
    command
}

fn postgres_bin() -> PathBuf {
    if let Some(bin) = std::env::var_os("KILN_PG_BIN") {
        return PathBuf::from(bin);
    }
    let mut found: Vec<_> = std::fs::read_dir("/usr/lib/postgresql")
        .map(|versions| versions.filter_map(Result::ok).map(|version| version.path().join("bin")).collect())
        .unwrap_or_default();
    found.sort();
    found.pop().expect("Postgres 14 or newer: apt install postgresql, or set KILN_PG_BIN")
}

fn is_root() -> bool {
    Command::new("id").arg("-u").output().is_ok_and(|output| output.stdout.starts_with(b"0\n"))
}

fn free_port() -> u16 {
    std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

/// Asks until there is an answer; panics at the deadline.
pub async fn eventually<T>(what: &str, ask: impl AsyncFn() -> Option<T>) -> T {
    let begun = Instant::now();
    loop {
        if let Some(answer) = ask().await {
            return answer;
        }
        assert!(begun.elapsed() < DEADLINE, "{what}: not within {DEADLINE:?} ({})", Timestamp::now());
        tokio::time::sleep(Duration::from_millis(25)).await;
    }
}
