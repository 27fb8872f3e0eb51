//! What a process does to itself between `fork` and `execve`, in this order and in full, or not at all.
//!
//! Everything that can be prepared (filters, landlock rules) is prepared before the fork; the steps below
//! only make system calls. Each is named, so that a failure tells which control is missing.

use landlock::{
    ABI, Access, AccessFs, AccessNet, CompatLevel, Compatible, PathBeneath, PathFd, PathFdError, Ruleset, RulesetAttr,
    RulesetCreated, RulesetCreatedAttr, RulesetError, RulesetStatus, Scope,
};
use nix::errno::Errno;
use nix::sys::resource::{Resource, setrlimit};
use nix::sys::signal::{SaFlags, SigAction, SigHandler, SigSet, Signal, sigaction};
use nix::unistd::{Gid, Uid};

use kiln_runner_protocol::Confinement;

use crate::filter::Filters;

/// The newest landlock interface these rules were written for; an older kernel enforces its part.
const LANDLOCK: ABI = ABI::V7;
/// Device files that a program may write to.
const WRITABLE_DEVICES: [&str; 3] = ["/dev/null", "/dev/zero", "/dev/full"];
/// No core dumps. Zero would not do: a host that pipes dumps to a program of its own does so at zero too,
/// and only at one does not (core(5), `do_coredump`); a file is too small to be begun either way.
const CORE_BYTES: u64 = 1;
/// Signals that wait, and timers: those of every sandbox count for whoever made their user namespaces as well.
const PENDING_SIGNALS: u64 = 256;
/// Among the processes of a sandbox the program's are killed for memory before the runner is.
const OOM_SCORE: &str = "500";

/// A step that failed, for [`kiln_runner_protocol::StartFailure`].
pub type Failed = (&'static str, Errno);

/// Landlock's rules could not be made.
#[derive(Debug, thiserror::Error)]
pub enum RulesError {
    #[error(transparent)]
    Ruleset(#[from] RulesetError),
    #[error(transparent)]
    Path(#[from] PathFdError),
}

/// The controls of one program, ready to be set.
pub struct Controls<'a> {
    confinement: &'a Confinement,
    filters: &'a Filters,
    landlock: Option<RulesetCreated>,
}

impl<'a> Controls<'a> {
    /// Prepares the controls. An error is a landlock rule that could not be made.
    pub fn prepare(confinement: &'a Confinement, filters: &'a Filters) -> Result<Self, RulesError> {
        let landlock = confinement.landlock.then(|| rules(confinement)).transpose()?;
        Ok(Self { confinement, filters, landlock })
    }

    /// Sets them all on the calling process, which must be single-threaded and about to `execve`.
    pub fn set(self) -> Result<(), Failed> {
        default_signals().map_err(|errno| ("signals", errno))?;
        self.set_on_fork()
    }

    /// Sets them on a single-threaded process that goes on as it is, so with the signal handlers it has.
    pub fn set_on_fork(self) -> Result<(), Failed> {
        self.limits().map_err(|errno| ("rlimits", errno))?;
        // The runner is not dumpable, so its child's files in /proc would belong to somebody else.
        nix::sys::prctl::set_dumpable(true).map_err(|errno| ("dumpable", errno))?;
        std::fs::write("/proc/self/oom_score_adj", OOM_SCORE).map_err(|error| ("oom_score_adj", from_io(&error)))?;
        if let Some(user) = self.confinement.user_id {
            drop_bounding_set().map_err(|errno| ("capabilities", errno))?;
            let (user, group) = (Uid::from_raw(user), Gid::from_raw(user));
            nix::unistd::setresgid(group, group, group).map_err(|errno| ("group", errno))?;
            nix::unistd::setresuid(user, user, user).map_err(|errno| ("user", errno))?;
            // Another user's process would not be, until it executes something.
            nix::sys::prctl::set_dumpable(true).map_err(|errno| ("dumpable", errno))?;
        }
        clear_capabilities().map_err(|errno| ("capabilities", errno))?;
        nix::sys::prctl::set_no_new_privs().map_err(|errno| ("no_new_privs", errno))?;
        if let Some(rules) = self.landlock {
            let status = rules.restrict_self().map_err(|_| ("landlock", Errno::last()))?;
            if status.ruleset == RulesetStatus::NotEnforced {
                return Err(("landlock", Errno::ENOSYS));
            }
        }
        if self.confinement.seccomp { self.filters.install().map_err(|_| ("seccomp", Errno::last())) } else { Ok(()) }
    }

    fn limits(&self) -> nix::Result<()> {
        let confinement = self.confinement;
        let limits = [
            (Resource::RLIMIT_CORE, Some(CORE_BYTES)),
            (Resource::RLIMIT_NOFILE, Some(confinement.open_files)),
            (Resource::RLIMIT_FSIZE, Some(confinement.file_bytes)),
            (Resource::RLIMIT_MEMLOCK, Some(64 * 1024)),
            (Resource::RLIMIT_MSGQUEUE, Some(0)),
            (Resource::RLIMIT_SIGPENDING, Some(PENDING_SIGNALS)),
            (Resource::RLIMIT_RTPRIO, Some(0)),
            (Resource::RLIMIT_NICE, Some(0)),
            (Resource::RLIMIT_DATA, confinement.data_bytes),
            (Resource::RLIMIT_NPROC, confinement.processes),
            (Resource::RLIMIT_CPU, confinement.cpu_seconds),
        ];
        for (resource, limit) in limits {
            if let Some(limit) = limit {
                setrlimit(resource, limit, limit)?;
            }
        }
        Ok(())
    }
}

fn rules(confinement: &Confinement) -> Result<RulesetCreated, RulesError> {
    let (all, read) = (AccessFs::from_all(LANDLOCK), AccessFs::from_read(LANDLOCK));
    let mut rules = Ruleset::default()
        .set_compatibility(CompatLevel::BestEffort)
        .handle_access(all)?
        .handle_access(AccessNet::from_all(LANDLOCK))?
        .scope(Scope::from_all(LANDLOCK))?
        .create()?
        .add_rule(PathBeneath::new(PathFd::new("/")?, read))?;
    let own = all & !(AccessFs::IoctlDev | AccessFs::MakeChar | AccessFs::MakeBlock);
    for directory in &confinement.writable {
        rules = rules.add_rule(PathBeneath::new(PathFd::new(directory)?, own))?;
    }
    for directory in &confinement.shared {
        rules = rules.add_rule(PathBeneath::new(PathFd::new(directory)?, own & !AccessFs::MakeSock))?;
    }
    for device in WRITABLE_DEVICES {
        rules = rules.add_rule(PathBeneath::new(PathFd::new(device)?, AccessFs::ReadFile | AccessFs::WriteFile))?;
    }
    Ok(rules)
}

/// What is ignored or masked stays so in a child and across execution; nothing here starts with either.
#[expect(unsafe_code, reason = "sigaction is unsafe for handlers; the default disposition runs no code")]
pub fn default_signals() -> nix::Result<()> {
    let default = SigAction::new(SigHandler::SigDfl, SaFlags::empty(), SigSet::empty());
    for signal in Signal::iterator().filter(|signal| !matches!(signal, Signal::SIGKILL | Signal::SIGSTOP)) {
        // SAFETY: the default disposition installs no handler.
        unsafe { sigaction(signal, &default) }?;
    }
    SigSet::empty().thread_set_mask()
}

/// Takes every capability out of the bounding set, so that no executed file can bring one back.
#[expect(unsafe_code, reason = "prctl for the bounding set has no safe wrapper")]
fn drop_bounding_set() -> nix::Result<()> {
    for capability in 0..=63 {
        // SAFETY: this prctl takes a number and touches no memory.
        if unsafe { libc::prctl(libc::PR_CAPBSET_DROP, capability, 0, 0, 0) } < 0 {
            let errno = Errno::last();
            // EINVAL: the kernel knows no such capability, nor any further one.
            return if errno == Errno::EINVAL { Ok(()) } else { Err(errno) };
        }
    }
    Ok(())
}

/// Empties the effective, permitted and inheritable sets; the ambient one follows.
#[expect(unsafe_code, reason = "capset has no safe wrapper")]
fn clear_capabilities() -> nix::Result<()> {
    const VERSION_3: u32 = 0x2008_0522;
    let header = [VERSION_3, 0];
    let sets = [0_u32; 6];
    // SAFETY: header and sets are arrays of the layout and size that version 3 asks for, and outlive the call.
    let result = unsafe { libc::syscall(libc::SYS_capset, header.as_ptr(), sets.as_ptr()) };
    Errno::result(result).map(drop)
}

fn from_io(error: &std::io::Error) -> Errno {
    error.raw_os_error().map_or(Errno::EIO, Errno::from_raw)
}
