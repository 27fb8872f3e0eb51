//! The files of workspaces on this machine: an image for each, mounted while it is used and a while longer.
//!
//! Whether there is such a workspace, and how large it may be, the scheduler says at each opening. Its files belong to one
//! store: this data directory, which has an id of its own. Every step can be cut off: an image is made under another
//! name, one whose row has gone is found by looking, one of another size than its row says is made to fit when it is
//! opened.

mod image;
mod path;
mod tree;

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::Context as _;
use kiln_bus::{Bus, RequestError};
use kiln_domain::{TenantId, WorkspaceId};
use kiln_events::{
    GoneWorkspaces, GoneWorkspacesReply, OpenWorkspace, WorkspaceRecord, WorkspaceReply, WorkspaceUsed, WorkspaceUsedReply,
    subject,
};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

pub use path::WorkspacePath;
pub use tree::{Entry, TreeError, find, list, make_directory, move_to, open_file, remove_entry};

use crate::sandbox::{Sandboxes, Workspace, WorkspaceUse};
use image::Tools;

const DEADLINE: Duration = Duration::from_secs(5);
/// A workspace that nobody has used for so long is unmounted.
const IDLE: Duration = Duration::from_mins(1);
const IDLE_INTERVAL: Duration = Duration::from_secs(5);
/// How often images are looked for whose workspaces have gone.
const SWEEP_INTERVAL: Duration = Duration::from_mins(1);
/// Images asked about at once.
const SWEEP_BATCH: usize = 1_000;
/// A file system may leave so many bytes more than its quota.
const SLACK: u64 = 64 * 1024;
const STORE_FILE: &str = "id";
const IMAGE: &str = "img";

/// The workspaces that this executor keeps.
#[derive(Clone)]
pub struct Workspaces(Arc<Inner>);

struct Inner {
    sandboxes: Sandboxes,
    bus: Bus,
    directory: PathBuf,
    /// Whose images these are.
    store: Uuid,
    tools: Result<Tools, &'static str>,
    slots: Mutex<HashMap<WorkspaceId, Arc<Slot>>>,
}

/// One workspace's place: while its lock is held nobody opens, closes, resizes or removes it.
#[derive(Default)]
struct Slot {
    mounted: tokio::sync::Mutex<Option<Mounted>>,
}

struct Mounted {
    workspace: Arc<Workspace>,
    /// As the scheduler said last; all changes pass through here.
    record: WorkspaceRecord,
    used_at: Instant,
}

/// A workspace that is mounted, and what the scheduler says of it.
pub struct Opened {
    pub record: WorkspaceRecord,
    pub workspace: Arc<Workspace>,
}

impl From<&Opened> for WorkspaceUse {
    fn from(Opened { record, workspace }: &Opened) -> Self {
        let (quota_bytes, max_file_bytes) = (record.quota_bytes, record.max_file_bytes);
        Self { workspace: Arc::clone(workspace), quota_bytes, max_file_bytes }
    }
}

#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    #[error("there is no such workspace")]
    NotFound,
    #[error("its files are kept by another store, {0}")]
    Elsewhere(Uuid),
    #[error("the scheduler was not asked")]
    Scheduler(#[from] RequestError),
    #[error("the files are not where they were: {0}")]
    Lost(PathBuf),
    #[error("this host cannot keep workspaces: {0}")]
    Host(&'static str),
    #[error("it cannot be mounted now")]
    Mount(#[from] crate::sandbox::SandboxError),
    #[error(transparent)]
    Image(anyhow::Error),
}

impl Workspaces {
    /// Takes the directory of images; an image that was not finished is removed.
    pub fn open(sandboxes: Sandboxes, bus: Bus, directory: &Path) -> anyhow::Result<Self> {
        use std::os::unix::fs::DirBuilderExt as _;
        std::fs::DirBuilder::new().recursive(true).mode(0o700).create(directory)?;
        let directory = directory.canonicalize()?;
        for entry in std::fs::read_dir(&directory)? {
            let path = entry?.path();
            if path.extension().is_some_and(|extension| extension == "new") {
                std::fs::remove_file(path)?;
            }
        }
        let store = store_id(&directory.join(STORE_FILE))?;
        let tools = if sandboxes.isolation().has("disk") { Tools::find() } else { Err("it has no disks of their own for runs") };
        if let Err(lack) = &tools {
            tracing::warn!(lack, "this host cannot keep workspaces");
        }
        let slots = Mutex::default();
        Ok(Self(Arc::new(Inner { sandboxes, bus, directory, store, tools, slots })))
    }

    /// What the scheduler says of the workspace, with what it takes at this moment when it is mounted.
    pub async fn look(&self, tenant: TenantId, id: WorkspaceId) -> Result<WorkspaceRecord, OpenError> {
        let mut record = self.ask(tenant, id, None).await?;
        let slot = self.slots().get(&id).cloned();
        if let Some(slot) = slot
            && let Some(mounted) = &*slot.mounted.lock().await
            && let Ok(space) = mounted.workspace.space()
        {
            record.used_bytes = space.used_bytes;
        }
        Ok(record)
    }

    /// The workspace, mounted for as long as the answer lives.
    pub async fn mount(&self, tenant: TenantId, id: WorkspaceId) -> Result<Opened, OpenError> {
        let record = self.ask(tenant, id, Some(self.0.store)).await?;
        match record.store_id {
            Some(store) if store == self.0.store => {}
            Some(other) => return Err(OpenError::Elsewhere(other)),
            None => return Err(OpenError::NotFound),
        }
        let slot = Arc::clone(self.slots().entry(id).or_default());
        let mut mounted = slot.mounted.lock().await;
        let workspace = if let Some(mounted) = &mut *mounted {
            (mounted.used_at, mounted.record) = (Instant::now(), record.clone());
            Arc::clone(&mounted.workspace)
        } else {
            let workspace = match self.mount_fitting(&record).await {
                Ok(workspace) => Arc::new(workspace),
                Err(error) => {
                    // Deleted meanwhile, it is rather told that than that its files are not there.
                    self.ask(tenant, id, None).await?;
                    return Err(error);
                }
            };
            let (workspace_too, record) = (Arc::clone(&workspace), record.clone());
            *mounted = Some(Mounted { workspace: workspace_too, record, used_at: Instant::now() });
            workspace
        };
        drop(mounted);
        if !record.is_made {
            self.report(tenant, id, &workspace).await;
        }
        Ok(Opened { record, workspace })
    }

    /// The same for a run or a session, which keeps its workspace from being deleted: one that is mounted already is not asked about.
    pub async fn mount_for_run(&self, tenant: TenantId, id: WorkspaceId) -> Result<Opened, OpenError> {
        let slot = self.slots().get(&id).cloned();
        if let Some(slot) = slot
            && let Some(mounted) = &mut *slot.mounted.lock().await
            && mounted.record.tenant_id == tenant
        {
            mounted.used_at = Instant::now();
            return Ok(Opened { record: mounted.record.clone(), workspace: Arc::clone(&mounted.workspace) });
        }
        self.mount(tenant, id).await
    }

    /// Tells the scheduler what the files take. One that is not told is told the next time.
    pub async fn report(&self, tenant_id: TenantId, workspace_id: WorkspaceId, workspace: &Workspace) {
        let tell = async {
            let mut told = workspace.told_bytes().await;
            let used_bytes = workspace.space().context("space")?.used_bytes;
            if *told == Some(used_bytes) {
                return Ok(true);
            }
            let used = WorkspaceUsed { tenant_id, workspace_id, used_bytes };
            let reply: WorkspaceUsedReply =
                self.0.bus.request(&subject::control("scheduler", "workspace_used"), &used, DEADLINE).await?;
            *told = Some(used_bytes);
            anyhow::Ok(reply.known)
        };
        match tell.await {
            Ok(true) => {}
            Ok(false) => tracing::debug!(%workspace_id, "a workspace was deleted while it was used"),
            Err(error) => tracing::warn!(error = format!("{error:#}"), %workspace_id, "use of a workspace was not told"),
        }
    }

    /// Takes note of a change. One of the size is made when the workspace is mounted anew, so it is unmounted unless it is
    /// in use.
    pub async fn changed(&self, record: &WorkspaceRecord, is_resized: bool) {
        let slot = self.slots().get(&record.id).cloned();
        if let Some(slot) = slot {
            let mut mounted = slot.mounted.lock().await;
            mounted.take_if(|mounted| is_resized && Arc::strong_count(&mounted.workspace) == 1);
            if let Some(mounted) = &mut *mounted {
                mounted.record = record.clone();
            }
        }
    }

    /// Removes the files of a workspace that has no row any more. Who still reads one of them reads it to its end.
    pub async fn remove(&self, id: WorkspaceId) -> anyhow::Result<()> {
        let slot = Arc::clone(self.slots().entry(id).or_default());
        let mut mounted = slot.mounted.lock().await;
        *mounted = None;
        match tokio::fs::remove_file(self.image(id)).await {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error.into()),
            _ => {}
        }
        drop(mounted);
        self.slots().remove(&id);
        Ok(())
    }

    /// Unmounts what is idle and removes what nothing owns, until the shutdown.
    pub async fn keep(&self, shutdown: CancellationToken) {
        let mut last_sweep: Option<Instant> = None;
        let mut tick = tokio::time::interval(IDLE_INTERVAL);
        while shutdown.run_until_cancelled(tick.tick()).await.is_some() {
            self.unmount_idle();
            if last_sweep.is_none_or(|at| at.elapsed() >= SWEEP_INTERVAL) {
                match self.sweep().await {
                    Ok(()) => last_sweep = Some(Instant::now()),
                    Err(error) => tracing::debug!(error = format!("{error:#}"), "workspaces were not swept; tried again"),
                }
            }
        }
        let slots = std::mem::take(&mut *self.slots());
        for slot in slots.into_values() {
            drop(slot.mounted.lock().await.take());
        }
    }

    fn unmount_idle(&self) {
        let mut idle = Vec::new();
        self.slots().retain(|_, slot| {
            // Whoever has the lock uses it.
            let Ok(mut mounted) = slot.mounted.try_lock() else { return true };
            let over = |mounted: &mut Mounted| Arc::strong_count(&mounted.workspace) == 1 && mounted.used_at.elapsed() > IDLE;
            idle.extend(mounted.take_if(over));
            mounted.is_some() || Arc::strong_count(slot) > 1
        });
        // Outside the lock: this tells the spawner.
        drop(idle);
    }

    /// Removes images whose workspaces have been deleted: with their tenant, or just before this process died.
    async fn sweep(&self) -> anyhow::Result<()> {
        let mut kept = Vec::new();
        for entry in std::fs::read_dir(&self.0.directory)? {
            let path = entry?.path();
            let id = path.file_stem().and_then(|stem| stem.to_str()).and_then(|stem| stem.parse::<WorkspaceId>().ok());
            kept.extend(id.filter(|_| path.extension().is_some_and(|extension| extension == IMAGE)));
        }
        for batch in kept.chunks(SWEEP_BATCH) {
            let query = GoneWorkspaces { workspaces: batch.to_vec() };
            let reply: GoneWorkspacesReply =
                self.0.bus.request(&subject::control("scheduler", "gone_workspaces"), &query, DEADLINE).await?;
            for id in reply.gone {
                self.remove(id).await?;
                tracing::info!(workspace = %id, "the files of a deleted workspace are removed");
            }
        }
        Ok(())
    }

    /// Mounts the image, made when it is asked for the first time, in the size that the row says.
    async fn mount_fitting(&self, record: &WorkspaceRecord) -> Result<Workspace, OpenError> {
        let tools = self.0.tools.clone().map_err(OpenError::Host)?;
        let (image, quota_bytes) = (self.image(record.id), record.quota_bytes);
        if !image.exists() {
            if record.is_made {
                return Err(OpenError::Lost(image));
            }
            let (tools, image) = (tools.clone(), image.clone());
            blocking(move || tools.make(&image, quota_bytes)).await.map_err(OpenError::Image)?;
        }
        let workspace = self.0.sandboxes.mount_workspace(&image).await?;
        let space = workspace.space().map_err(|errno| OpenError::Image(errno.into()))?;
        if space.capacity_bytes.abs_diff(quota_bytes) <= SLACK || space.used_bytes > quota_bytes {
            return Ok(workspace);
        }
        drop(workspace);
        let resized = blocking({
            let image = image.clone();
            move || tools.resize(&image, quota_bytes, space.used_bytes)
        });
        if let Err(error) = resized.await {
            tracing::warn!(error = format!("{error:#}"), workspace = %record.id, "a workspace keeps its old size for now");
        }
        Ok(self.0.sandboxes.mount_workspace(&image).await?)
    }

    async fn ask(
        &self,
        tenant_id: TenantId,
        workspace_id: WorkspaceId,
        store_id: Option<Uuid>,
    ) -> Result<WorkspaceRecord, OpenError> {
        let query = OpenWorkspace { tenant_id, workspace_id, store_id };
        match self.0.bus.request(&subject::control("scheduler", "open_workspace"), &query, DEADLINE).await? {
            WorkspaceReply::Found(record) => Ok(*record),
            WorkspaceReply::NotFound => Err(OpenError::NotFound),
        }
    }

    pub fn bus(&self) -> &Bus {
        &self.0.bus
    }

    fn image(&self, id: WorkspaceId) -> PathBuf {
        self.0.directory.join(format!("{id}.{IMAGE}"))
    }

    fn slots(&self) -> std::sync::MutexGuard<'_, HashMap<WorkspaceId, Arc<Slot>>> {
        self.0.slots.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> anyhow::Result<T> + Send + 'static) -> anyhow::Result<T> {
    tokio::task::spawn_blocking(work).await?
}

/// The id of this store, made at its first start.
fn store_id(file: &Path) -> anyhow::Result<Uuid> {
    match std::fs::read_to_string(file) {
        Ok(text) => Ok(text.trim().parse()?),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            let id = Uuid::now_v7();
            let unfinished = file.with_extension("new");
            std::fs::write(&unfinished, id.to_string())?;
            std::fs::rename(unfinished, file)?;
            Ok(id)
        }
        Err(error) => Err(error.into()),
    }
}
