//! Postgres and NATS as an operator would provide them: started here for the split deployment alone.

use std::fs::{self, File};
use std::net::{Ipv4Addr, TcpListener};
use std::os::unix::fs::{PermissionsExt, chown};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use nix::unistd::User;

const START_DEADLINE: Duration = Duration::from_secs(30);

/// A server that somebody else would run.
pub struct Outside {
    pub child: Child,
    pub port: u16,
}

/// A port on loopback that was free a moment ago.
pub fn free_port() -> u16 {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("loopback has a free port");
    listener.local_addr().expect("a listener has an address").port()
}

/// A fresh Postgres, superuser `postgres`, that trusts every connection from loopback.
pub fn start_postgres(directory: &Path) -> Outside {
    let bin = postgres_bin();
    let data = directory.join("postgres");
    fs::create_dir(&data).expect("the scratch directory can be written");
    fs::set_permissions(&data, fs::Permissions::from_mode(0o700)).expect("own directory");
    // Postgres refuses to run as root.
    let account = nix::unistd::geteuid().is_root().then(|| {
        let named = |name| User::from_name(name).ok().flatten();
        let account = named("postgres").or_else(|| named("nobody")).expect("a system has the account nobody");
        chown(&data, Some(account.uid.as_raw()), Some(account.gid.as_raw())).expect("root may give a directory away");
        account
    });
    let command = |program: &str| {
        let log = File::create(directory.join(format!("{program}.log"))).expect("the scratch directory can be written");
        let mut command = Command::new(bin.join(program));
        command
            .current_dir(directory)
            .stdin(Stdio::null())
            .stdout(log.try_clone().expect("a descriptor can be doubled"))
            .stderr(log);
        if let Some(account) = &account {
            command.uid(account.uid.as_raw()).gid(account.gid.as_raw());
        }
        command
    };
    let made = command("initdb")
        .args(["--username=postgres", "--auth=trust", "--encoding=UTF8", "--locale=C.UTF-8", "--no-sync", "-D"])
        .arg(&data)
        .status()
        .expect("initdb can be started");
    assert!(made.success(), "initdb failed: {}", fs::read_to_string(directory.join("initdb.log")).unwrap_or_default());
    let port = free_port();
    let mut child = command("postgres")
        .arg("-D")
        .arg(&data)
        .args(["-c", "listen_addresses=127.0.0.1", "-c", "unix_socket_directories=", "-c"])
        .arg(format!("port={port}"))
        .spawn()
        .expect("postgres can be started");
    wait_for(&mut child, "ready to accept connections", &directory.join("postgres.log"));
    Outside { child, port }
}

/// A fresh NATS server with JetStream and these users, whose password is their name.
pub fn start_nats(directory: &Path, users: &[&str]) -> Outside {
    let log_path = directory.join("nats.log");
    let log = File::create(&log_path).expect("the scratch directory can be written");
    let port = free_port();
    let config = directory.join("nats.conf");
    let store = directory.join("jetstream");
    let users: Vec<_> = users.iter().map(|user| format!("{{ user: {user}, password: {user} }}")).collect();
    let text = format!(
        "listen: \"127.0.0.1:{port}\"\nmax_payload: 8MB\njetstream {{ store_dir: \"{}\", sync_interval: always, max_file_store: 128GB }}\n\
         authorization {{ users: [ {} ] }}\n",
        store.display(),
        users.join(", ")
    );
    fs::write(&config, text).expect("the scratch directory can be written");
    let mut child = Command::new(nats_server())
        .arg("-c")
        .arg(config)
        .stdin(Stdio::null())
        .stdout(log.try_clone().expect("a descriptor can be doubled"))
        .stderr(log)
        .spawn()
        .expect("nats-server can be started");
    wait_for(&mut child, "Server is ready", &log_path);
    Outside { child, port }
}

/// Waits for its own word: a Postgres listens before it takes connections.
fn wait_for(child: &mut Child, word: &str, log: &Path) {
    let begun = Instant::now();
    let logged = || fs::read_to_string(log).unwrap_or_default();
    while !logged().contains(word) {
        let ended = child.try_wait().expect("a child can be waited for");
        assert!(ended.is_none(), "the server ended with {ended:?}: {}", logged());
        assert!(begun.elapsed() < START_DEADLINE, "the server is not ready after {START_DEADLINE:?}: {}", logged());
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// `$KILN_PG_BIN`, else the newest that Debian's packages have installed, else what is on PATH.
fn postgres_bin() -> PathBuf {
    if let Some(bin) = std::env::var_os("KILN_PG_BIN") {
        return PathBuf::from(bin);
    }
    let version = |path: &PathBuf| path.file_name().and_then(|name| name.to_str()).and_then(|name| name.parse::<u32>().ok());
    let installed = fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten().map(|entry| entry.path());
    match installed.filter(|path| version(path).is_some()).max_by_key(version) {
        Some(newest) => newest.join("bin"),
        None => on_path("postgres").and_then(|path| path.parent().map(Path::to_owned)).expect("Postgres: set KILN_PG_BIN"),
    }
}

/// `$KILN_NATS_SERVER`, else what is on PATH, else what `kiln up` has put into its cache.
fn nats_server() -> PathBuf {
    if let Some(path) = std::env::var_os("KILN_NATS_SERVER") {
        return PathBuf::from(path);
    }
    let home = std::env::var_os("HOME").map(|home| Path::new(&home).join(".cache"));
    let cache = std::env::var_os("XDG_CACHE_HOME").map(PathBuf::from).or(home).map(|cache| cache.join("kiln"));
    on_path("nats-server")
        .or_else(|| find(&cache?, "nats-server", 5))
        .expect("nats-server: run `kiln up` once, which fetches it, or set KILN_NATS_SERVER")
}

fn on_path(program: &str) -> Option<PathBuf> {
    std::env::split_paths(&std::env::var_os("PATH")?).map(|directory| directory.join(program)).find(|path| path.is_file())
}

fn find(directory: &Path, name: &str, depth: usize) -> Option<PathBuf> {
    let entries: Vec<_> = fs::read_dir(directory).ok()?.flatten().map(|entry| entry.path()).collect();
    let here = entries.iter().find(|path| path.is_file() && path.file_name().is_some_and(|found| found == name)).cloned();
    here.or_else(|| entries.iter().filter(|path| path.is_dir() && depth > 0).find_map(|path| find(path, name, depth - 1)))
}
