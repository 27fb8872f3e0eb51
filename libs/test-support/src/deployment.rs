//! The one running Kiln that the tests of a test program share, and a test's visit to it.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use tokio::sync::{RwLock, RwLockReadGuard, RwLockWriteGuard};

use crate::split::Split;
use crate::{Api, Installation, Tenant};

/// How long a test may have to wait for those that run alone.
const TURN_DEADLINE: Duration = Duration::from_mins(10);

/// How the services are spread over processes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// `kiln up`: all of them in one.
    All,
    /// Each by `kiln serve --target …` in its own, on a Postgres and a NATS given to it.
    Split,
}

/// Base URLs of the services that have HTTP routes.
#[derive(Debug, Clone)]
pub struct Addresses {
    pub auth: String,
    pub scheduler: String,
    pub result: String,
    pub executor: String,
}

/// A running Kiln.
pub struct Deployment {
    pub mode: Mode,
    addresses: Arc<Addresses>,
    /// Ends with the test program.
    running: Running,
}

enum Running {
    All(Box<Installation>),
    Split(Split),
}

/// One test's use of the shared deployment, from a source address of its own, so that limits by address are not shared.
pub struct Visit {
    deployment: &'static Deployment,
    source: IpAddr,
    _turn: Turn,
}

enum Turn {
    Beside(#[expect(dead_code, reason = "held for as long as the test runs")] RwLockReadGuard<'static, ()>),
    Alone(#[expect(dead_code, reason = "held for as long as the test runs")] RwLockWriteGuard<'static, ()>),
}

static TURNS: RwLock<()> = RwLock::const_new(());
static SHARED: OnceLock<Deployment> = OnceLock::new();
static ATTEMPTED: AtomicBool = AtomicBool::new(false);
static VISITS: AtomicU32 = AtomicU32::new(0);

impl Addresses {
    /// All services at one address.
    pub fn one(url: &str) -> Self {
        Self { auth: url.to_owned(), scheduler: url.to_owned(), result: url.to_owned(), executor: url.to_owned() }
    }

    /// Where a route is served: by prefix, as an ingress splits them. Few routes are outside of `/api/v1`.
    pub fn url(&self, path: &str) -> String {
        let route = path.split('?').next().unwrap_or(path);
        let base = match route {
            "/executions" | "/runtimes" | "/limits" | "/admin/executors" | "/workspaces" | "/sessions" => &self.scheduler,
            _ if route.starts_with("/sessions/") => &self.scheduler,
            _ if route.starts_with("/workspaces/") => &self.executor,
            "/notebooks" | "/scripts" => &self.result,
            _ if ["/executions/", "/notebooks/", "/scripts/"].iter().any(|of| route.starts_with(of)) => &self.result,
            _ => &self.auth,
        };
        let at_root = ["/livez", "/readyz", "/docs", "/metrics", "/.well-known/", "/api/"];
        if at_root.iter().any(|prefix| route.starts_with(prefix)) {
            format!("{base}{path}")
        } else {
            format!("{base}/api/v1{path}")
        }
    }

    /// Each address once.
    pub fn each(&self) -> Vec<String> {
        let mut each = vec![self.auth.clone(), self.scheduler.clone(), self.result.clone(), self.executor.clone()];
        each.dedup();
        each
    }
}

impl Deployment {
    /// The shared deployment, started by the first test that asks.
    fn shared(mode: Mode) -> &'static Self {
        let shared = SHARED.get_or_init(|| {
            // One attempt: a start that fails takes long, and would fail again for each test.
            assert!(!ATTEMPTED.swap(true, Ordering::Relaxed), "the deployment did not start; the first failed test says why");
            match mode {
                Mode::All => {
                    let installation = Installation::start();
                    Self { mode, addresses: installation.addresses(), running: Running::All(Box::new(installation)) }
                }
                Mode::Split => {
                    let split = Split::start();
                    Self { mode, addresses: split.addresses(), running: Running::Split(split) }
                }
            }
        });
        assert!(shared.mode == mode, "a test program has one deployment");
        shared
    }
}

impl Visit {
    /// Comes beside other tests.
    pub async fn beside(mode: Mode) -> Self {
        let turn = tokio::time::timeout(TURN_DEADLINE, TURNS.read()).await.expect("tests that run alone end in time");
        Self::new(mode, Turn::Beside(turn))
    }

    /// Comes when no other test is there and keeps others out: for tests that measure time, or that disturb.
    pub async fn alone(mode: Mode) -> Self {
        let turn = tokio::time::timeout(TURN_DEADLINE, TURNS.write()).await.expect("other tests end in time");
        Self::new(mode, Turn::Alone(turn))
    }

    fn new(mode: Mode, turn: Turn) -> Self {
        Self { deployment: Deployment::shared(mode), source: next_source(), _turn: turn }
    }

    /// A caller without a credential.
    pub fn api(&self) -> Api {
        self.api_from(self.source)
    }

    /// A caller without a credential from an address that no other has.
    pub fn api_from_elsewhere(&self) -> Api {
        self.api_from(next_source())
    }

    fn api_from(&self, source: IpAddr) -> Api {
        Api::new(Arc::clone(&self.deployment.addresses), source)
    }

    /// A new tenant with its owner.
    pub async fn sign_up(&self) -> Tenant {
        Tenant::sign_up(&self.api()).await
    }

    /// `kiln admin …`, as the operator of this deployment.
    ///
    /// # Panics
    /// When it fails, with what it said.
    pub async fn operate(&self, arguments: &[&str]) {
        let mut command = match &self.deployment.running {
            Running::All(installation) => installation.operator(arguments),
            Running::Split(split) => split.operator(arguments),
        };
        let ran = tokio::task::spawn_blocking(move || command.output().expect("kiln can be started"));
        let output = ran.await.expect("waiting for a command does not panic");
        assert!(output.status.success(), "kiln admin {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    }

    pub fn mode(&self) -> Mode {
        self.deployment.mode
    }

    pub fn addresses(&self) -> &Addresses {
        &self.deployment.addresses
    }
}

/// Any address of 127/8 reaches a server on 127.0.0.1, and counts as another client.
fn next_source() -> IpAddr {
    let [_, _, high, low] = VISITS.fetch_add(1, Ordering::Relaxed).to_be_bytes();
    let [.., process] = std::process::id().to_be_bytes();
    IpAddr::V4(Ipv4Addr::new(127, process.max(1), high, low.max(1)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn routes_are_split_by_prefix() {
        let to = |name: &str| format!("http://{name}");
        let addresses =
            Addresses { auth: to("auth"), scheduler: to("scheduler"), result: to("result"), executor: to("executor") };
        for (path, url) in [
            ("/executions?limit=2", "http://scheduler/api/v1/executions?limit=2"),
            ("/executions/7/events", "http://result/api/v1/executions/7/events"),
            ("/notebooks?limit=2", "http://result/api/v1/notebooks?limit=2"),
            ("/scripts/7/versions", "http://result/api/v1/scripts/7/versions"),
            ("/sessions/7/executions", "http://scheduler/api/v1/sessions/7/executions"),
            ("/workspaces?limit=2", "http://scheduler/api/v1/workspaces?limit=2"),
            ("/workspaces/7/files/a", "http://executor/api/v1/workspaces/7/files/a"),
            ("/auth/me", "http://auth/api/v1/auth/me"),
            ("/.well-known/jwks.json", "http://auth/.well-known/jwks.json"),
            ("/limits", "http://scheduler/api/v1/limits"),
        ] {
            assert_eq!(addresses.url(path), url);
        }
    }
}
