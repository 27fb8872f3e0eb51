//! The engine's side of the spawner: starts it, sends requests, matches answers.

use std::collections::HashMap;
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use kiln_runner_protocol::{Confinement, DISK_MARK};
use nix::errno::Errno;
use nix::sys::socket::{AddressFamily, SockFlag, SockType, socketpair};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;
use tokio::sync::oneshot;

use super::host::Isolation;
use super::wire::{self, Answer, Counters, Failure, MountId, Request, SandboxId, Shown};

/// How long the spawner may take to start, a crash's leftovers included.
const START_DEADLINE: Duration = Duration::from_secs(30);
/// How long it may take to answer.
const ANSWER_DEADLINE: Duration = Duration::from_secs(15);
/// How long an interpreter may take to import everything, on a busy machine with cold disks.
const ZYGOTE_DEADLINE: Duration = Duration::from_mins(2);

/// How long a workspace may take to be mounted, its last users' end included.
const MOUNT_DEADLINE: Duration = Duration::from_secs(20);

/// The hidden subcommand.
const SUBCOMMAND: &str = "sandbox-spawner";

/// A running spawner. [`Spawner::close`] ends it and every sandbox; so does the end of this process.
#[derive(Clone)]
pub struct Spawner(Arc<Shared>);

struct Shared {
    socket: AsyncFd<OwnedFd>,
    next: AtomicU64,
    pending: Mutex<Pending>,
}

#[derive(Default)]
struct Pending {
    /// Set once the spawner has gone: nothing is answered any more.
    gone: bool,
    waiting: HashMap<SandboxId, oneshot::Sender<Reply>>,
    /// Apart, since a sandbox may be finished while its counters are asked for.
    counting: HashMap<SandboxId, oneshot::Sender<Counters>>,
}

type Reply = (Answer, Vec<OwnedFd>);

/// A sandbox that the spawner has begun to make.
pub struct Made {
    /// Host id of the program, which must own its files.
    pub owner: Option<u32>,
    pub stream: OwnedFd,
}

impl Spawner {
    /// Starts the spawner and waits until it has taken the data directory and checked the host.
    /// The future returned beside it reads the answers and ends with the spawner.
    pub async fn start(
        program: PathBuf,
        open: Request,
    ) -> Result<(Self, Isolation, impl Future<Output = ()> + Send + 'static), Failure> {
        let flags = SockFlag::SOCK_CLOEXEC;
        let (own, childs) =
            socketpair(AddressFamily::Unix, SockType::SeqPacket, None, flags).map_err(|errno| Failure::new("spawner", errno))?;
        execute(&program, childs)?;
        nix::fcntl::fcntl(&own, nix::fcntl::FcntlArg::F_SETFL(nix::fcntl::OFlag::O_NONBLOCK))
            .map_err(|errno| Failure::new("spawner", errno))?;
        let socket = register(own).map_err(|error| Failure::new("spawner", error))?;
        let shared = Shared { socket, next: AtomicU64::new(1), pending: Mutex::default() };
        let spawner = Self(Arc::new(shared));
        spawner.send(&open).await?;
        let first = tokio::time::timeout(START_DEADLINE, spawner.0.receive()).await;
        let answer = first.map_err(|_| Failure::new("spawner", "did not start in time"))?;
        match answer.map_err(|errno| Failure::new("spawner", errno))? {
            Some((Answer::Opened(isolation), _)) => {
                let reader = read_answers(spawner.clone());
                Ok((spawner, isolation, reader))
            }
            Some((Answer::Refused(failure), _)) => Err(failure),
            Some(_) => Err(Failure::new("spawner", "an answer out of order")),
            None => Err(Failure::new("spawner", "ended at its start")),
        }
    }

    /// A name for a sandbox that is about to be made.
    pub fn next_id(&self) -> SandboxId {
        self.0.next.fetch_add(1, Ordering::Relaxed)
    }

    pub async fn make(
        &self,
        id: SandboxId,
        binds: Vec<super::Bind>,
        disk_bytes: u64,
        workspace: Option<Shown>,
    ) -> Result<Made, Failure> {
        self.made(id, &Request::Make { id, binds, disk_bytes, workspace }).await
    }

    /// Has a zygote make a sandbox.
    pub async fn fork(
        &self,
        id: SandboxId,
        zygote: SandboxId,
        disk_bytes: u64,
        workspace: Option<Shown>,
        confinement: Confinement,
    ) -> Result<Made, Failure> {
        self.made(id, &Request::Fork { id, zygote, disk_bytes, workspace, confinement }).await
    }

    /// Has a workspace's image mounted; gives the directory of the mount, which may take until the image's last user has
    /// let go of it. Not cancel-safe: [`Self::unmount_unattended`] undoes it.
    pub async fn mount(&self, id: MountId, image: PathBuf, scripts: Vec<String>) -> Result<OwnedFd, Failure> {
        match self.ask(id, &Request::Mount { id, image, scripts }, ANSWER_DEADLINE).await? {
            (Answer::Mounting { .. }, descriptors) => {
                let stream = descriptors.into_iter().next().ok_or_else(|| Failure::new("workspace", "no stream came"))?;
                let received = tokio::time::timeout(MOUNT_DEADLINE, receive_directory(stream)).await;
                received.map_err(|_| Failure::new("workspace", "was not mounted in time"))?
            }
            (Answer::Finished { failure, .. }, _) => Err(failure.unwrap_or_else(|| Failure::new("workspace", "no reason given"))),
            _ => Err(Failure::new("workspace", "an answer out of order")),
        }
    }

    /// Takes a mount away, from where nothing can be awaited.
    pub fn unmount_unattended(&self, id: MountId) {
        // When the socket is full or gone the spawner's own end takes it away.
        let _ = wire::send(self.0.socket.get_ref().as_fd(), &Request::Unmount { id }, &[]);
    }

    /// Starts a zygote and waits until it has imported what it is to. Gives the names of its modules.
    pub async fn start_zygote(
        &self,
        id: SandboxId,
        binds: Vec<super::Bind>,
        argv: Vec<String>,
        env: Vec<(String, String)>,
    ) -> Result<Vec<String>, Failure> {
        match self.ask(id, &Request::Zygote { id, binds, argv, env }, ZYGOTE_DEADLINE).await? {
            (Answer::ZygoteReady { modules, .. }, _) => Ok(modules),
            (Answer::ZygoteEnded { failure, .. }, _) => Err(failure),
            _ => Err(Failure::new("zygote", "an answer out of order")),
        }
    }

    /// Ends a zygote, not its sandboxes; no answer comes to anyone who waits.
    pub fn end_zygote_unattended(&self, id: SandboxId) {
        // When the socket is full or gone the spawner's own end ends it.
        let _ = wire::send(self.0.socket.get_ref().as_fd(), &Request::EndZygote { id }, &[]);
    }

    async fn made(&self, id: SandboxId, request: &Request) -> Result<Made, Failure> {
        match self.ask(id, request, ANSWER_DEADLINE).await? {
            (Answer::Made { owner, .. }, descriptors) => {
                let stream = descriptors.into_iter().next().ok_or_else(|| Failure::new("make", "no stream came"))?;
                Ok(Made { owner, stream })
            }
            (Answer::Finished { failure, .. }, _) => Err(failure.unwrap_or_else(|| Failure::new("make", "no reason given"))),
            _ => Err(Failure::new("make", "an answer out of order")),
        }
    }

    pub async fn limit(&self, id: SandboxId, memory_bytes: u64, cpu_millis: u64, processes: u64) -> Result<(), Failure> {
        match self.ask(id, &Request::Limit { id, memory_bytes, cpu_millis, processes }, ANSWER_DEADLINE).await? {
            (Answer::Limited { failure, .. }, _) => failure.map_or(Ok(()), Err),
            _ => Err(Failure::new("limit", "an answer out of order")),
        }
    }

    /// Kills what is in the sandbox; no answer comes.
    pub async fn kill(&self, id: SandboxId) -> Result<(), Failure> {
        self.send(&Request::Kill { id }).await
    }

    /// Kills and removes the sandbox; with `over`, in which all processes of the run are dead, it is removed after the
    /// answer. Gives its counters, and why it could not be made if that was so.
    pub async fn finish(&self, id: SandboxId, over: bool) -> Result<(Counters, Option<Failure>), Failure> {
        match self.ask(id, &Request::Finish { id, over }, ANSWER_DEADLINE).await? {
            (Answer::Finished { counters, failure, .. }, _) => Ok((counters, failure)),
            _ => Err(Failure::new("finish", "an answer out of order")),
        }
    }

    /// The sandbox's counters while it runs.
    pub async fn count(&self, id: SandboxId) -> Result<Counters, Failure> {
        let (sender, receiver) = oneshot::channel();
        {
            let mut pending = self.0.pending();
            if pending.gone {
                return Err(gone());
            }
            pending.counting.insert(id, sender);
        }
        self.send(&Request::Count { id }).await?;
        let answer = tokio::time::timeout(ANSWER_DEADLINE, receiver).await;
        answer.map_err(|_| Failure::new("spawner", "did not answer in time"))?.map_err(|_| gone())
    }

    /// Tells the spawner to kill and remove everything and to end. The reader ends when that is done.
    pub fn close(&self) {
        use std::os::fd::AsRawFd;
        // A spawner that is already gone is what is wanted.
        let _ = nix::sys::socket::shutdown(self.0.socket.get_ref().as_raw_fd(), nix::sys::socket::Shutdown::Write);
    }

    /// Asks for the sandbox's end without waiting for it, from where nothing can be awaited.
    pub fn finish_unattended(&self, id: SandboxId) {
        // When the socket is full or gone the spawner's own end removes the sandbox.
        let _ = wire::send(self.0.socket.get_ref().as_fd(), &Request::Finish { id, over: false }, &[]);
    }

    async fn ask(&self, id: SandboxId, request: &Request, deadline: Duration) -> Result<Reply, Failure> {
        let (sender, receiver) = oneshot::channel();
        {
            let mut pending = self.0.pending();
            if pending.gone {
                return Err(gone());
            }
            pending.waiting.insert(id, sender);
        }
        self.send(request).await?;
        let answer = tokio::time::timeout(deadline, receiver).await;
        answer.map_err(|_| Failure::new("spawner", "did not answer in time"))?.map_err(|_| gone())
    }

    async fn send(&self, request: &Request) -> Result<(), Failure> {
        let sent = self.0.socket.async_io(Interest::WRITABLE, |socket| Ok(wire::send(socket.as_fd(), request, &[])?)).await;
        sent.map_err(|error| Failure::new("spawner", error))
    }
}

impl Shared {
    async fn receive(&self) -> nix::Result<Option<Reply>> {
        let received = self.socket.async_io(Interest::READABLE, |socket| Ok(wire::receive(socket.as_fd())?)).await;
        received.map_err(|error| error.raw_os_error().map_or(Errno::EIO, Errno::from_raw))
    }

    fn pending(&self) -> std::sync::MutexGuard<'_, Pending> {
        self.pending.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Hands each answer to who waits for it, until the spawner has gone.
async fn read_answers(Spawner(shared): Spawner) {
    loop {
        let answer = shared.receive().await;
        let Ok(Some((answer, descriptors))) = answer else {
            let mut pending = shared.pending();
            pending.gone = true;
            pending.waiting.clear();
            pending.counting.clear();
            return;
        };
        let id = match answer {
            Answer::Made { id, .. }
            | Answer::Mounting { id }
            | Answer::ZygoteReady { id, .. }
            | Answer::ZygoteEnded { id, .. }
            | Answer::Limited { id, .. }
            | Answer::Finished { id, .. } => id,
            Answer::Counted { id, counters } => {
                if let Some(counting) = shared.pending().counting.remove(&id) {
                    // Who has stopped waiting has no use for the answer.
                    let _ = counting.send(counters);
                }
                continue;
            }
            Answer::Opened(_) | Answer::Refused(_) => continue,
        };
        if let Some(waiting) = shared.pending().waiting.remove(&id) {
            // Who has stopped waiting has no use for the answer.
            let _ = waiting.send((answer, descriptors));
        }
    }
}

/// The mark with the directory's descriptor, or words why there is none.
async fn receive_directory(stream: OwnedFd) -> Result<OwnedFd, Failure> {
    let failed = |error: std::io::Error| Failure::new("workspace", error);
    let stream = std::os::unix::net::UnixStream::from(stream);
    stream.set_nonblocking(true).map_err(failed)?;
    let stream = tokio::net::UnixStream::from_std(stream).map_err(failed)?;
    let mut said = [0; 512];
    let receive = || Ok(wire::receive_bytes(stream.as_fd(), &mut said)?);
    let (count, descriptors) = stream.async_io(Interest::READABLE, receive).await.map_err(failed)?;
    let said = said.get(..count).unwrap_or_default();
    let directory = descriptors.into_iter().next().filter(|_| said == [DISK_MARK]);
    directory.ok_or_else(|| Failure::new("workspace", String::from_utf8_lossy(said)))
}

#[expect(unsafe_code, reason = "tokio asks for a promise that the descriptor stays open")]
fn register(socket: OwnedFd) -> std::io::Result<AsyncFd<OwnedFd>> {
    // SAFETY: an `OwnedFd` keeps its descriptor open, and the same one, for as long as it lives.
    Ok(unsafe { AsyncFd::register(socket) }?)
}

fn gone() -> Failure {
    Failure::new("spawner", "has ended")
}

/// Starts the program from a thread that then waits for its end, so that it never stays a zombie.
fn execute(program: &Path, socket: OwnedFd) -> Result<(), Failure> {
    let mut child = Command::new(program)
        .arg(SUBCOMMAND)
        .env_clear()
        .stdin(Stdio::from(socket))
        .stdout(Stdio::null())
        .spawn()
        .map_err(|error| Failure::new(format!("start {}", program.display()), error))?;
    let wait = move || {
        if let Ok(status) = child.wait() {
            tracing::info!(%status, "the sandbox spawner has ended");
        }
    };
    std::thread::Builder::new()
        .name("kiln-spawner".to_owned())
        .spawn(wait)
        .map(drop)
        .map_err(|error| Failure::new("spawner", error))
}
