//! A sandbox whose runner waits for a program, and its step to a running one.

use std::fmt;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use kiln_domain::{Limits, Start};
use kiln_runner_protocol::dialogue::{Greeting, Idle, Running};
use kiln_runner_protocol::{Confinement, Decoder, Program, Report, WORKSPACE_MARK};
use tokio::io::{AsyncReadExt, AsyncWriteExt, Interest};
use tokio::net::UnixStream;
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};

use super::client::Spawner;
use super::controls::confinement;
use super::pool::Key;
use super::wire::{self, Counters, Failure, SandboxId};
use super::zygotes::Zygotes;
use super::{Isolation, SandboxError, files};

/// How long a sandbox may take to be made.
const MAKE_DEADLINE: Duration = Duration::from_secs(20);
/// How long its interpreter may take to be executed.
const START_DEADLINE: Duration = Duration::from_secs(20);
const READ_BYTES: usize = 64 * 1024;

/// The runner takes one of the pids.
pub const RUNNER_PROCESSES: u64 = 1;

/// Owns a sandbox at the spawner; dropped, it is killed and removed.
pub struct Lease {
    spawner: Spawner,
    id: SandboxId,
    finished: bool,
}

/// Reads the counters of a sandbox, and owns nothing.
#[derive(Clone)]
pub struct Meter {
    spawner: Spawner,
    id: SandboxId,
}

impl fmt::Debug for Meter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Meter").field(&self.id).finish()
    }
}

impl Meter {
    /// CPU time used so far, in milliseconds; none where there is no such counter.
    pub async fn cpu_ms(&self) -> Option<u64> {
        self.count().await.ok()?.cpu_us.map(|used| used / 1000)
    }

    pub async fn count(&self) -> Result<Counters, Failure> {
        self.spawner.count(self.id).await
    }
}

impl Lease {
    /// Reads the sandbox's counters, for as long as it is there.
    pub fn meter(&self) -> Meter {
        Meter { spawner: self.spawner.clone(), id: self.id }
    }

    /// Kills what is in the sandbox.
    pub async fn kill(&self) -> Result<(), Failure> {
        self.spawner.kill(self.id).await
    }

    /// Kills and removes it, see [`Spawner::finish`]. Gives its counters, and why it could not be made if that was so.
    pub async fn finish(mut self, over: bool) -> Result<(Counters, Option<Failure>), Failure> {
        let finished = self.spawner.finish(self.id, over).await;
        self.finished = finished.is_ok();
        finished
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        if !self.finished {
            self.spawner.finish_unattended(self.id);
        }
    }
}

/// Reads reports off the runner's stream.
pub struct Reader {
    half: OwnedReadHalf,
    decoder: Decoder<Report>,
}

impl Reader {
    /// The next report; `None` when the stream has ended. Cancel-safe.
    pub async fn next(&mut self) -> Result<Option<Report>, Failure> {
        loop {
            if let Some(report) = self.decoder.next_message().map_err(|error| Failure::new("runner", error))? {
                return Ok(Some(report));
            }
            let mut bytes = Vec::with_capacity(READ_BYTES);
            match self.half.read_buf(&mut bytes).await {
                Ok(0) => return Ok(None),
                Ok(_) => self.decoder.push(&bytes),
                Err(error) if error.kind() == std::io::ErrorKind::ConnectionReset => return Ok(None),
                Err(error) => return Err(Failure::new("runner", error)),
            }
        }
    }
}

/// A sandbox whose runner waits for a program.
pub struct Prepared {
    lease: Lease,
    owner: Option<u32>,
    workspace: Arc<OwnedFd>,
    reader: Reader,
    writer: OwnedWriteHalf,
    idle: Idle,
    start: Start,
    limited: Option<GroupLimits>,
}

/// Has sandboxes made, cold or by zygotes.
pub struct Maker {
    pub spawner: Spawner,
    pub zygotes: Arc<Zygotes>,
    pub isolation: Isolation,
}

/// The limits that a control group holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct GroupLimits {
    memory_bytes: u64,
    cpu_millis: u64,
    processes: u64,
}

impl GroupLimits {
    fn of(limits: &Limits) -> Self {
        let processes = limits.pids + RUNNER_PROCESSES;
        Self { memory_bytes: limits.memory_bytes, cpu_millis: limits.cpu_millis, processes }
    }
}

impl Maker {
    /// Has a sandbox of this kind made and waits until it can take a program; the limits are those it is likely to need.
    pub async fn make(&self, key: &Key, limits: &Limits) -> Result<Prepared, Failure> {
        let mut prepared = match &key.zygote {
            None => Prepared::make(&self.spawner, key, Start::Cold, None).await?,
            Some(zygote_key) => {
                let zygote = self.zygotes.get(zygote_key).ok_or_else(|| Failure::new("zygote", "is not there"))?;
                let confinement = confinement(&self.isolation, &Limits { disk_bytes: key.disk_bytes, ..*limits }, key);
                zygote.count_fork();
                let made = Prepared::make(&self.spawner, key, Start::Warm, Some((zygote.id, confinement))).await;
                made.inspect_err(|failure| self.zygotes.discard(zygote_key, zygote.id, failure))?
            }
        };
        // Set ahead: with the same limits the run need not wait for it.
        prepared.limit(limits).await?;
        Ok(prepared)
    }
}

/// A sandbox whose program runs.
pub struct Started {
    pub lease: Lease,
    pub workspace: Arc<OwnedFd>,
    pub reader: Reader,
    pub writer: OwnedWriteHalf,
    pub running: Running,
    pub at: Timestamp,
}

impl Prepared {
    /// Whether its runner is still there: one that has died has closed its stream, and none says a word before it is asked.
    pub fn waits(&self) -> bool {
        self.reader.half.try_read(&mut [0]).is_err_and(|error| error.kind() == std::io::ErrorKind::WouldBlock)
    }

    async fn make(spawner: &Spawner, key: &Key, start: Start, zygote: Option<(SandboxId, Confinement)>) -> Result<Self, Failure> {
        // The lease comes first: whatever is given up half-way is removed by it.
        let lease = Lease { spawner: spawner.clone(), id: spawner.next_id(), finished: false };
        let made = match zygote {
            None => spawner.make(lease.id, key.binds.clone(), key.disk_bytes, key.workspace.clone()).await?,
            Some((zygote, confinement)) => {
                spawner.fork(lease.id, zygote, key.disk_bytes, key.workspace.clone(), confinement).await?
            }
        };
        let greeted = tokio::time::timeout(MAKE_DEADLINE, greet(made.stream)).await;
        match greeted.unwrap_or_else(|_| Err(Failure::new("make", "took too long"))) {
            Ok((workspace, reader, writer, idle)) => {
                let (owner, workspace) = (made.owner, Arc::new(workspace));
                Ok(Self { lease, owner, workspace, reader, writer, idle, start, limited: None })
            }
            // The child's own word says more than the end of its stream.
            Err(failure) => Err(lease.finish(false).await?.1.unwrap_or(failure)),
        }
    }

    /// Whether its interpreter waits already.
    pub fn start_kind(&self) -> Start {
        self.start
    }

    /// Host id that must own the program's files, where it is not this process's own.
    pub fn owner(&self) -> Option<u32> {
        self.owner
    }

    /// The working directory.
    pub fn workspace(&self) -> Arc<OwnedFd> {
        Arc::clone(&self.workspace)
    }

    /// Sets the limits of the run that this sandbox is for, unless it has them.
    pub async fn limit(&mut self, limits: &Limits) -> Result<(), Failure> {
        let wanted = GroupLimits::of(limits);
        if self.limited != Some(wanted) {
            let GroupLimits { memory_bytes, cpu_millis, processes } = wanted;
            self.lease.spawner.limit(self.lease.id, memory_bytes, cpu_millis, processes).await?;
            self.limited = Some(wanted);
        }
        Ok(())
    }

    /// Sends the program and waits until it is executed.
    pub async fn start(mut self, program: Program) -> Result<Started, SandboxError> {
        let runner = |error: &dyn std::fmt::Display| SandboxError::Runner(error.to_string());
        let mut bytes = Vec::new();
        let starting = self.idle.start(program, &mut bytes).map_err(|error| runner(&error))?;
        self.writer.write_all(&bytes).await.map_err(|error| runner(&error))?;
        let report = tokio::time::timeout(START_DEADLINE, self.reader.next()).await;
        let report = report.map_err(|_| runner(&"did not start the program in time"))?.map_err(|error| runner(&error))?;
        let report = report.ok_or_else(|| runner(&"ended before the program started"))?;
        let running = starting.receive(report).map_err(|error| runner(&error))?.map_err(|failure| {
            let reason = std::io::Error::from_raw_os_error(failure.errno);
            SandboxError::Runtime(format!("{}: {reason}", failure.step))
        })?;
        let Self { lease, workspace, reader, writer, .. } = self;
        Ok(Started { lease, workspace, reader, writer, running, at: Timestamp::now() })
    }
}

async fn greet(stream: OwnedFd) -> Result<(OwnedFd, Reader, OwnedWriteHalf, Idle), Failure> {
    let failed = |error: std::io::Error| Failure::new("runner's stream", error);
    let stream = std::os::unix::net::UnixStream::from(stream);
    stream.set_nonblocking(true).map_err(failed)?;
    let stream = UnixStream::from_std(stream).map_err(failed)?;
    let workspace = receive_workspace(&stream).await.map_err(failed)?;
    let (half, writer) = stream.into_split();
    let mut reader = Reader { half, decoder: Decoder::default() };
    let hello = reader.next().await?.ok_or_else(|| Failure::new("runner", "ended before it was ready"))?;
    let idle = Greeting::default().receive(&hello).map_err(|error| Failure::new("runner", error))?;
    Ok((workspace, reader, writer, idle))
}

/// The mark and the working directory's descriptor, which come before the runner's own bytes.
async fn receive_workspace(stream: &UnixStream) -> std::io::Result<OwnedFd> {
    let mut mark = [0];
    let receive = || Ok(wire::receive_bytes(stream.as_fd(), &mut mark)?);
    let (count, descriptors) = stream.async_io(Interest::READABLE, receive).await?;
    let workspace = descriptors.into_iter().next().filter(|_| count == 1 && mark == [WORKSPACE_MARK]);
    workspace.ok_or_else(|| std::io::Error::other("the sandbox could not be built"))
}

/// Closes a working directory where blocking is allowed; what its disk has not written yet is thrown away
/// when nobody holds a file of it.
pub fn abandon(workspace: &OwnedFd, files_are_held: bool) {
    if !files_are_held {
        files::discard_disk(workspace.as_fd());
    }
}
