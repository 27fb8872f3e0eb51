//! The sandboxes that there are, and how each is made, limited, killed and removed.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::{ErrorKind, Read, Write};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::path::Path;

use kiln_runner_protocol::{Confinement, FAILURE_MARK, Hidden, MakeSandbox, OwnMount, ZygoteReport};
use nix::fcntl::Flock;

use super::child::{self, HIDDEN, HOST_NAME, MAPPED, MEMORY_PLACES, PROC_OPTIONS, PROGRAM_ID, Plan, UNSHARED};
use super::disk::{Makers, send_mount};
use super::process::{self, Process};
use super::root::{Root, WORKSPACE};
use super::workspace::Workspaces;
use super::zygote::{self, Zygote};
use crate::sandbox::cgroup::{Group, GroupLimits, Groups};
use crate::sandbox::host::Tier;
use crate::sandbox::runtime::Bind;
use crate::sandbox::wire::{Answer, Counters, Failure, MountId, Omitted, SandboxId, Shown, Step};

/// Host ids of the first sandbox; each has two. Far from people, services and what containers use.
const FIRST_HOST_ID: u32 = 1_879_048_192;
/// Sandboxes at once.
const MAX_SANDBOXES: u32 = 1024;
/// Zygotes at once; each has an id of its own on the host, after those of the sandboxes.
const MAX_ZYGOTES: u32 = 64;
/// What a failing child may say about it.
const MAX_STATUS_BYTES: usize = 4096;

/// The first sandbox's id as a zygote's user namespace calls it; 0 is the zygote's own.
const FIRST_ZYGOTE_ID: u32 = 1;
const NAMESPACES: i32 = libc::CLONE_NEWNS | libc::CLONE_NEWPID | libc::CLONE_NEWNET | libc::CLONE_NEWIPC | libc::CLONE_NEWUTS;

/// What a zygote is started from, by the engine's wish.
pub struct ZygotePlan<'a> {
    pub binds: &'a [Bind],
    pub argv: &'a [String],
    pub env: &'a [(String, String)],
}

pub struct Table {
    tier: Tier,
    root: Root,
    runner: File,
    groups: Option<Groups>,
    disks: Option<Makers>,
    workspaces: Option<Workspaces>,
    sandboxes: BTreeMap<SandboxId, Sandbox>,
    free_slots: BTreeSet<u32>,
    zygotes: BTreeMap<SandboxId, Zygote>,
    /// Processes that mount a workspace or map ids, and then end.
    helpers: Vec<Process>,
    /// Groups whose last process is still dying.
    remains: Vec<Group>,
    without: Option<Omitted>,
    _lock: Flock<File>,
}

struct Sandbox {
    slot: u32,
    /// `None` while its zygote has yet to fork it.
    process: Option<Process>,
    group: Option<Group>,
    /// The child's word while it builds; `None` once the runner has taken over.
    status: Option<UnixStream>,
    said: Vec<u8>,
    finishing: bool,
    /// Who asked for its end has the answer.
    answered: bool,
    dead: bool,
}

impl Table {
    pub fn new(
        tier: Tier,
        root: Root,
        runner: File,
        groups: Option<Groups>,
        disks: Option<Makers>,
        workspaces: Option<Workspaces>,
        lock: Flock<File>,
    ) -> Self {
        let free_slots = (0..MAX_SANDBOXES).collect();
        let (sandboxes, zygotes, helpers, remains) = (BTreeMap::new(), BTreeMap::new(), Vec::new(), Vec::new());
        Self {
            tier,
            root,
            runner,
            groups,
            disks,
            workspaces,
            sandboxes,
            free_slots,
            zygotes,
            helpers,
            remains,
            without: None,
            _lock: lock,
        }
    }

    /// Leaves a control out of the sandboxes that are made cold, for an experiment.
    pub fn without(self, without: Option<Omitted>) -> Self {
        Self { without, ..self }
    }

    fn namespaces(&self) -> i32 {
        if self.without == Some(Omitted::OwnNetwork) { NAMESPACES & !libc::CLONE_NEWNET } else { NAMESPACES }
    }

    /// Forks a sandbox's first process, which builds the rest by itself. Gives the host id that owns the
    /// working directory and the runner's stream.
    pub fn make(
        &mut self,
        id: SandboxId,
        binds: &[Bind],
        disk_bytes: u64,
        workspace: Option<&Shown>,
    ) -> Result<(Option<u32>, OwnedFd), Failure> {
        let slot = *self.free_slots.first().ok_or_else(|| Failure::new("make", "too many sandboxes"))?;
        let group = self.groups.as_ref().map(|groups| groups.make(id)).transpose()?;
        let namespaces = self.namespaces();
        let (maker, owner) = self.tier.has_groups().then(|| host_ids(slot)).unzip();
        let disk = self.disk(workspace, disk_bytes, slot)?;
        let (stream, engines_stream) = UnixStream::pair().step("runner's stream")?;
        let (status, childs_status) = UnixStream::pair().step("status")?;
        let Some(process) = process::fork(namespaces).step("clone")? else {
            drop((status, engines_stream));
            child::become_runner(Plan {
                root: &self.root.path,
                runner: &self.runner,
                binds,
                group: group.as_ref(),
                disk,
                disk_bytes,
                script: workspace.and_then(|workspace| workspace.script.as_deref()),
                hides_processes: self.without != Some(Omitted::HiddenProcesses),
                owner,
                maker,
                stream: stream.into(),
                status: childs_status,
            })
        };
        self.enter(id, slot, Some(Process::new(process)?), group, status)?;
        Ok((owner, engines_stream.into()))
    }

    fn enter(
        &mut self,
        id: SandboxId,
        slot: u32,
        process: Option<Process>,
        group: Option<Group>,
        status: UnixStream,
    ) -> Result<(), Failure> {
        status.set_nonblocking(true).step("status")?;
        let (said, finishing, answered, dead) = (Vec::new(), false, false, false);
        self.free_slots.remove(&slot);
        self.sandboxes.insert(id, Sandbox { slot, process, group, status: Some(status), said, finishing, answered, dead });
        Ok(())
    }

    /// Where the working directory of that slot will come: the workspace, or a disk where the tier has disks.
    fn disk(&mut self, workspace: Option<&Shown>, disk_bytes: u64, slot: u32) -> Result<Option<UnixStream>, Failure> {
        match workspace {
            Some(workspace) => send_now(&self.show(workspace.mount, slot)?).map(Some),
            None => self.disks.as_mut().map(|disks| disks.order(disk_bytes, host_ids(slot).1)).transpose(),
        }
    }

    /// Has a zygote fork a sandbox; gives what [`Self::make`] gives. The disk is made meanwhile, by a process that
    /// has the privileges which the zygote lacks.
    pub fn fork(
        &mut self,
        id: SandboxId,
        zygote: SandboxId,
        disk_bytes: u64,
        workspace: Option<&Shown>,
        confinement: Confinement,
    ) -> Result<(Option<u32>, OwnedFd), Failure> {
        let slot = *self.free_slots.first().ok_or_else(|| Failure::new("make", "too many sandboxes"))?;
        let owner = host_ids(slot).1;
        let disk = self.disk(workspace, disk_bytes, slot)?;
        let zygote = self.zygotes.get_mut(&zygote).filter(|zygote| zygote.ready).ok_or_else(zygote::gone)?;
        let (stream, engines_stream) = UnixStream::pair().step("runner's stream")?;
        let (status, childs_status) = UnixStream::pair().step("status")?;
        let group = self.groups.as_ref().map(|groups| groups.make(id)).transpose()?;
        let entries = group.as_ref().map(Group::entries).transpose()?.unwrap_or_default();
        let mut wanted = wanted(slot, disk.is_none().then_some(disk_bytes), confinement);
        wanted.script = workspace.and_then(|workspace| workspace.script.clone());
        let channels = [stream.as_fd(), childs_status.as_fd()];
        let descriptors = channels.into_iter().chain(disk.as_ref().map(AsFd::as_fd)).chain(entries.iter().map(AsFd::as_fd));
        if let Err(failure) = zygote.send(id, &wanted, &descriptors.collect::<Vec<_>>()) {
            self.remains.extend(group.filter(|group| !group.remove()));
            return Err(failure);
        }
        self.enter(id, slot, None, group, status)?;
        Ok((Some(owner), engines_stream.into()))
    }

    /// Starts to mount a workspace's image; gives the stream by which its directory comes.
    pub fn mount(&mut self, id: MountId, image: &Path, scripts: &[String]) -> Result<OwnedFd, Failure> {
        let (stream, helper) = self.workspaces()?.mount(id, image, scripts)?;
        self.helpers.push(helper);
        Ok(stream.into())
    }

    pub fn unmount(&mut self, id: MountId) {
        match self.workspaces().and_then(|workspaces| workspaces.unmount(id)) {
            Ok(helper) => self.helpers.push(helper),
            Err(failure) => eprintln!("kiln sandbox-spawner: {failure}"),
        }
    }

    /// A workspace's files for the program in that slot.
    fn show(&mut self, mount: MountId, slot: u32) -> Result<OwnedFd, Failure> {
        let (tree, helper) = self.workspaces()?.show_to(mount, host_ids(slot).1)?;
        self.helpers.extend(helper);
        Ok(tree)
    }

    fn workspaces(&mut self) -> Result<&mut Workspaces, Failure> {
        self.workspaces.as_mut().ok_or_else(|| Failure::new("workspace", "this host has no disks of their own for workspaces"))
    }

    /// Starts a zygote; [`Self::step`] answers when it is ready or has ended.
    pub fn start_zygote(&mut self, id: SandboxId, plan: &ZygotePlan<'_>) -> Result<(), Failure> {
        if !self.root.has_zygotes {
            return Err(Failure::new("zygote", "libkiln_runner.so is not beside the runner, or the tier is rootless"));
        }
        let taken: BTreeSet<_> = self.zygotes.values().map(|zygote| zygote.place).collect();
        let place = (0..MAX_ZYGOTES).find(|place| !taken.contains(place));
        let place = place.ok_or_else(|| Failure::new("zygote", "too many"))?;
        let own = FIRST_HOST_ID + 2 * MAX_SANDBOXES + place;
        let map = format!("0 {own} 1\n{FIRST_ZYGOTE_ID} {FIRST_HOST_ID} {}\n", 2 * MAX_SANDBOXES);
        let plan = zygote::Plan { root: &self.root.path, binds: plan.binds, argv: plan.argv, env: plan.env, maker: own };
        self.zygotes.insert(id, Zygote::start(&plan, place, &map)?);
        Ok(())
    }

    pub fn end_zygote(&mut self, id: SandboxId) {
        if let Some(zygote) = self.zygotes.get(&id) {
            zygote.process.kill();
        }
    }

    pub fn limit(&self, id: SandboxId, limits: GroupLimits) -> Result<(), Failure> {
        let sandbox = self.sandboxes.get(&id).ok_or_else(|| Failure::new("limit", "no such sandbox"))?;
        match (&self.groups, &sandbox.group) {
            (Some(groups), Some(group)) => groups.limit(group, limits),
            _ => Ok(()),
        }
    }

    /// Its counters as they are; none when it is not there.
    pub fn count(&self, id: SandboxId) -> Counters {
        match (&self.groups, self.sandboxes.get(&id).and_then(|sandbox| sandbox.group.as_ref())) {
            (Some(groups), Some(group)) => groups.counters(group),
            _ => Counters::default(),
        }
    }

    pub fn kill(&self, id: SandboxId) {
        if let Some(sandbox) = self.sandboxes.get(&id) {
            sandbox.kill();
        }
    }

    /// Kills the sandbox. [`Self::step`] answers when it is dead; when its run is over the answer is there at once.
    pub fn finish(&mut self, id: SandboxId, over: bool) -> Option<Answer> {
        let sandbox = self.sandboxes.get_mut(&id)?;
        let counters = over.then(|| counters(self.groups.as_ref(), sandbox.group.as_ref()));
        (sandbox.finishing, sandbox.answered) = (true, over);
        sandbox.kill();
        counters.map(|counters| Answer::Finished { id, counters, failure: None })
    }

    pub fn finish_all(&mut self) {
        for sandbox in self.sandboxes.values_mut() {
            sandbox.finishing = true;
            sandbox.kill();
        }
        for zygote in self.zygotes.values() {
            zygote.process.kill();
        }
    }

    /// What the loop waits for: the word of children that build, the end of first processes.
    pub fn watched(&self) -> impl Iterator<Item = (SandboxId, BorrowedFd<'_>)> {
        let alive = self.sandboxes.iter().filter(|(_, sandbox)| !sandbox.dead);
        let ends = alive.filter_map(|(id, sandbox)| Some((*id, sandbox.process.as_ref()?.as_fd())));
        let words = self.sandboxes.iter().filter_map(|(id, sandbox)| Some((*id, sandbox.status.as_ref()?.as_fd())));
        let zygotes = self.zygotes.iter().flat_map(|(id, zygote)| zygote.watched().map(|watched| (*id, watched)));
        ends.chain(words).chain(zygotes)
    }

    /// Takes in what happened and gives the answers that are due.
    pub fn step(&mut self, ready: &[SandboxId]) -> Vec<Answer> {
        for id in ready {
            if let Some(sandbox) = self.sandboxes.get_mut(id) {
                sandbox.listen();
                sandbox.reap();
            }
        }
        self.remains.retain(|group| !group.remove());
        let mut answers: Vec<_> = ready.iter().flat_map(|id| self.step_zygote(*id)).collect();
        let over: Vec<_> = self.sandboxes.iter().filter(|(_, s)| s.finishing && s.dead).map(|(id, _)| *id).collect();
        answers.extend(over.into_iter().filter_map(|id| self.remove(id)));
        answers
    }

    /// Takes in what a zygote said, and its end.
    fn step_zygote(&mut self, id: SandboxId) -> Vec<Answer> {
        let mut answers = Vec::new();
        while let Some(zygote) = self.zygotes.get_mut(&id)
            && let Some(report) = zygote.receive()
        {
            match report {
                ZygoteReport::Ready { modules } => {
                    zygote.ready = true;
                    answers.push(Answer::ZygoteReady { id, modules });
                }
                ZygoteReport::Failed { .. } => {}
                ZygoteReport::Forked { process } => {
                    let owed = zygote.owed.pop_front();
                    self.forked(owed, process);
                }
                ZygoteReport::NotForked { errno } => {
                    let owed = zygote.owed.pop_front();
                    self.never_forked(owed, &Failure::new("fork", std::io::Error::from_raw_os_error(errno)));
                }
            }
        }
        if let Some(zygote) = self.zygotes.get(&id)
            && zygote.process.reap()
            && let Some(zygote) = self.zygotes.remove(&id)
        {
            let failure = zygote.failure();
            for owed in zygote.owed {
                self.never_forked(Some(owed), &failure);
            }
            answers.push(Answer::ZygoteEnded { id, failure });
        }
        answers
    }

    fn forked(&mut self, id: Option<SandboxId>, process: i32) {
        let Some(sandbox) = id.and_then(|id| self.sandboxes.get_mut(&id)) else { return };
        match zygote::pid(process).ok_or_else(zygote::gone).and_then(Process::new) {
            Ok(process) => sandbox.process = Some(process),
            Err(failure) => sandbox.never_made(&failure),
        }
        if sandbox.finishing {
            sandbox.kill();
        }
    }

    fn never_forked(&mut self, id: Option<SandboxId>, failure: &Failure) {
        if let Some(sandbox) = id.and_then(|id| self.sandboxes.get_mut(&id)) {
            sandbox.never_made(failure);
        }
    }

    fn remove(&mut self, id: SandboxId) -> Option<Answer> {
        let sandbox = self.sandboxes.remove(&id)?;
        self.free_slots.insert(sandbox.slot);
        let failure = sandbox.failure();
        let counters = counters(self.groups.as_ref(), sandbox.group.as_ref());
        self.remains.extend(sandbox.group.filter(|group| !group.remove()));
        (!sandbox.answered).then_some(Answer::Finished { id, counters, failure })
    }

    pub fn has_remains(&self) -> bool {
        !self.remains.is_empty()
    }

    pub fn is_empty(&self) -> bool {
        self.sandboxes.is_empty() && self.zygotes.is_empty() && !self.has_remains()
    }

    /// Removes the directories that held the groups.
    pub fn remove_bases(&self) {
        for base in self.groups.iter().flat_map(Groups::bases) {
            crate::sandbox::cgroup::sweep(&base);
        }
    }
}

impl Sandbox {
    fn kill(&self) {
        if let Some(process) = &self.process {
            process.kill();
        }
    }

    /// It will have no process.
    fn never_made(&mut self, failure: &Failure) {
        self.said = format!("{}{}\n{}", FAILURE_MARK as char, failure.step, failure.detail).into_bytes();
        self.dead = true;
        self.status = None;
    }

    /// Reads the building child's word, all that is there, and answers it.
    fn listen(&mut self) {
        while let Some(status) = &mut self.status {
            let mut bytes = [0; 512];
            let read = status.read(&mut bytes);
            if !self.take_word(read, &bytes) {
                return;
            }
        }
    }

    /// Takes in one read of the child's word; false when there is no more for now.
    fn take_word(&mut self, read: std::io::Result<usize>, bytes: &[u8]) -> bool {
        match read {
            Ok(0) => self.status = None,
            Ok(count) => {
                self.said.extend_from_slice(bytes.get(..count).unwrap_or_default());
                self.said.truncate(MAX_STATUS_BYTES);
                if self.said == [UNSHARED] {
                    self.map_ids();
                }
            }
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) if error.kind() == ErrorKind::WouldBlock => return false,
            Err(_) => self.status = None,
        }
        true
    }

    /// Maps the two ids of the new user namespace; any other answer than the mark fails the child.
    fn map_ids(&mut self) {
        let (runner, program) = host_ids(self.slot);
        let map = if nix::unistd::getuid().is_root() && !is_nested() {
            format!("0 {runner} 1\n{PROGRAM_ID} {program} 1\n")
        } else {
            format!("{PROGRAM_ID} 0 1\n")
        };
        let Some(process) = &self.process else { return };
        let mapped = process.map_ids(&map);
        let word = match mapped {
            Ok(()) => MAPPED,
            Err(error) => {
                self.said = format!("{}map ids\n{error}", FAILURE_MARK as char).into_bytes();
                b'!'
            }
        };
        if let Some(status) = &mut self.status {
            // A child that is gone is seen by its end.
            let _ = status.write_all(&[word]);
        }
    }

    /// Reaps the first process once it is dead; by then everything in its namespace is.
    fn reap(&mut self) {
        if !self.dead && self.process.as_ref().is_some_and(Process::reap) {
            self.dead = true;
            self.listen();
            self.status = None;
        }
    }

    /// Why it could not be made, if that is how it ended.
    fn failure(&self) -> Option<Failure> {
        let text = String::from_utf8_lossy(&self.said);
        let (step, detail) = text.split_once(FAILURE_MARK as char)?.1.split_once('\n')?;
        Some(Failure::new(step, detail))
    }
}

fn counters(groups: Option<&Groups>, group: Option<&Group>) -> Counters {
    groups.zip(group).map_or_else(Counters::default, |(groups, group)| groups.counters(group))
}

/// A stream in which the mount waits to be taken.
fn send_now(mount: &OwnedFd) -> Result<UnixStream, Failure> {
    let (socket, own) = UnixStream::pair().step("workspace's socket")?;
    send_mount(&own, mount).step("workspace's socket")?;
    Ok(socket)
}

/// Host ids of a slot: the runner's and the program's.
fn host_ids(slot: u32) -> (u32, u32) {
    let first = FIRST_HOST_ID + slot * 2;
    (first, first + 1)
}

/// Whether this process is in a user namespace of its own making, with a single id.
fn is_nested() -> bool {
    std::fs::read_to_string("/proc/self/uid_map").is_ok_and(|map| map.split_ascii_whitespace().nth(2) == Some("1"))
}

/// What a zygote is to make in that slot; without a disk the working directory is in memory, of that size.
fn wanted(slot: u32, memory_disk: Option<u64>, confinement: Confinement) -> MakeSandbox {
    let (runner_id, program_id) = (FIRST_ZYGOTE_ID + slot * 2, FIRST_ZYGOTE_ID + slot * 2 + 1);
    let own = |kind: &str, target: &str, options: String| OwnMount {
        kind: kind.to_owned(),
        target: target.to_owned(),
        options,
        executable: kind != "proc",
    };
    let mut mounts = vec![own("proc", "/proc", PROC_OPTIONS.to_owned())];
    mounts.extend(MEMORY_PLACES.map(|(target, options)| own("tmpfs", target, options.to_owned())));
    mounts.extend(memory_disk.map(|disk_bytes| {
        let owner = format!(",uid={program_id},gid={program_id}");
        own("tmpfs", WORKSPACE, child::workspace_options(disk_bytes) + &owner)
    }));
    MakeSandbox {
        host_name: HOST_NAME.to_owned(),
        mounts,
        hidden: HIDDEN.map(|(path, empty)| Hidden { path: path.to_owned(), empty: empty.to_owned() }).to_vec(),
        directory: WORKSPACE.to_owned(),
        has_disk: memory_disk.is_none(),
        script: None,
        runner_id,
        program_id,
        confinement,
    }
}
