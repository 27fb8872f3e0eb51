//! From what the kernel and the clock say to how a run ended. Pure: nothing the program printed is here.

use std::time::Duration;

use kiln_domain::{Ended, Limits, Reason, ReasonCode, Status, Usage, Warning};
use kiln_runner_protocol::{Exit, ExitStatus, Stopped};
use nix::sys::signal::Signal;

use super::prepared::RUNNER_PROCESSES;
use super::wire::Counters;

/// Why the sandbox was killed from outside.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Killed {
    WallTime,
    Cancelled,
}

/// Everything there is to judge by.
#[derive(Debug)]
pub struct Evidence<'a> {
    /// The runner's account; `None` when it died with the run.
    pub exit: Option<&'a Exit>,
    pub counters: Counters,
    pub killed: Option<Killed>,
    /// Why the run was to be cancelled, if it was.
    pub cancelled: Option<ReasonCode>,
    pub limits: Limits,
    /// By the engine's own clock, for a run without an account.
    pub wall: Duration,
}

/// The verdict, without the files.
pub fn verdict(evidence: &Evidence<'_>) -> Ended {
    let (status, code) = evidence.status();
    let reason = code.map(|code| Reason { code, message: evidence.message(code) });
    let (exit_code, signal) = match evidence.exit.map(|exit| exit.status) {
        Some(ExitStatus::Code(code)) => (Some(code), None),
        Some(ExitStatus::Signal(number)) => (None, Some(signal_name(number))),
        None => (None, (status != Status::Lost).then(|| Signal::SIGKILL.to_string())),
    };
    let discarded = |total: fn(&Exit) -> u64| evidence.exit.is_some_and(|exit| total(exit) > 0);
    Ended {
        status,
        reason,
        warnings: evidence.warnings(status),
        exit_code,
        signal,
        usage: evidence.usage(),
        stdout_truncated: discarded(|exit| exit.stdout.discarded_bytes),
        stderr_truncated: discarded(|exit| exit.stderr.discarded_bytes),
        files: Vec::new(),
        files_truncated: false,
        execution_count: None,
        session_restarted: false,
    }
}

impl Evidence<'_> {
    fn status(&self) -> (Status, Option<ReasonCode>) {
        let Some(exit) = self.exit else { return self.status_without_account() };
        if exit.status == ExitStatus::Code(0) {
            return (Status::Succeeded, None);
        }
        let stopped = self.stopped();
        if stopped == Some(Killed::Cancelled) {
            return self.stopped_by_command();
        }
        if self.ran_out_of_memory() {
            return (Status::OutOfMemory, Some(ReasonCode::Memory));
        }
        if stopped == Some(Killed::WallTime) {
            return (Status::TimedOut, Some(ReasonCode::WallTime));
        }
        if self.ran_out_of_cpu_time() {
            return (Status::TimedOut, Some(ReasonCode::CpuTime));
        }
        let code = match exit.status {
            _ if self.ran_out_of_processes() => ReasonCode::Pids,
            _ if self.ran_out_of_disk() => ReasonCode::Disk,
            ExitStatus::Code(_) => ReasonCode::ExitCode,
            ExitStatus::Signal(_) => ReasonCode::Signal,
        };
        (Status::Failed, Some(code))
    }

    /// The runner died with its run: by the memory limit, by our hand, or with its host.
    fn status_without_account(&self) -> (Status, Option<ReasonCode>) {
        match self.killed {
            _ if self.ran_out_of_memory() => (Status::OutOfMemory, Some(ReasonCode::Memory)),
            Some(Killed::Cancelled) => self.stopped_by_command(),
            Some(Killed::WallTime) => (Status::TimedOut, Some(ReasonCode::WallTime)),
            None => (Status::Lost, Some(ReasonCode::ExecutorLost)),
        }
    }

    /// Stopped because somebody wished so, or because this executor gives its runs up.
    fn stopped_by_command(&self) -> (Status, Option<ReasonCode>) {
        let cause = self.cancelled.unwrap_or(ReasonCode::CancelledByUser);
        let status = if cause == ReasonCode::ExecutorLost { Status::Lost } else { Status::Cancelled };
        (status, Some(cause))
    }

    /// Whether the tree was stopped before the program ended by itself.
    fn stopped(&self) -> Option<Killed> {
        match self.exit.and_then(|exit| exit.stopped) {
            Some(Stopped::WallTime) => Some(Killed::WallTime),
            Some(Stopped::Command) => Some(Killed::Cancelled),
            None => None,
        }
    }

    fn ran_out_of_memory(&self) -> bool {
        self.counters.memory_kills.is_some_and(|count| count > 0)
    }

    fn ran_out_of_processes(&self) -> bool {
        self.counters.process_refusals.is_some_and(|count| count > 0)
    }

    fn ran_out_of_disk(&self) -> bool {
        let limit = self.limits.disk_bytes;
        self.exit.is_some_and(|exit| exit.disk.most_used_bytes >= limit || exit.disk.least_free_inodes == 0)
    }

    /// The kernel's own limit of CPU time, which is set where no group shares the CPU.
    fn ran_out_of_cpu_time(&self) -> bool {
        let allowed_us = self.limits.timeout_ms * self.limits.cpu_millis;
        let ended_by = |signal: Signal| self.exit.is_some_and(|exit| exit.status == ExitStatus::Signal(signal as i32));
        (ended_by(Signal::SIGXCPU) || ended_by(Signal::SIGKILL)) && self.cpu_us() > allowed_us
    }

    fn cpu_us(&self) -> u64 {
        self.counters.cpu_us.or_else(|| self.exit.map(|exit| exit.cpu_us)).unwrap_or(0)
    }

    fn usage(&self) -> Usage {
        let wall_us = self.exit.map_or_else(|| u64::try_from(self.wall.as_micros()).unwrap_or(u64::MAX), |exit| exit.wall_us);
        let largest = self.exit.map(|exit| exit.largest_process_bytes);
        Usage {
            wall_ms: wall_us.div_ceil(1000),
            cpu_ms: self.cpu_us().div_ceil(1000),
            memory_peak_bytes: self.counters.memory_peak_bytes.or(largest).unwrap_or(0),
            throttled_ms: self.counters.throttled_us.map(|waited| waited.div_ceil(1000)),
            // The runner is one of them.
            pids_peak: self.counters.processes_peak.map(|most| most.saturating_sub(RUNNER_PROCESSES)),
        }
    }

    fn warnings(&self, status: Status) -> Vec<Warning> {
        if status != Status::Succeeded {
            return Vec::new();
        }
        let met = [
            (ReasonCode::Memory, self.ran_out_of_memory()),
            (ReasonCode::Pids, self.ran_out_of_processes()),
            (ReasonCode::Disk, self.ran_out_of_disk()),
        ];
        let warn = |code| Warning { code, message: self.message(code) };
        met.into_iter().filter(|(_, met)| *met).map(|(code, _)| warn(code)).collect()
    }

    /// Plain words with the figures that explain the end.
    fn message(&self, code: ReasonCode) -> String {
        let (limits, usage) = (&self.limits, self.usage());
        match code {
            ReasonCode::ExitCode => match self.exit.map(|exit| exit.status) {
                Some(ExitStatus::Code(code)) => format!("The program ended with exit code {code}."),
                _ => "The program ended with an exit code.".to_owned(),
            },
            ReasonCode::Signal => match self.exit.map(|exit| exit.status) {
                Some(ExitStatus::Signal(number)) => format!("The program was ended by {}.", signal_name(number)),
                _ => "The program was ended by a signal.".to_owned(),
            },
            ReasonCode::WallTime => format!("Ran longer than its limit of {}.", seconds(limits.timeout_ms)),
            ReasonCode::CpuTime
                if self.cancelled == Some(code) && self.exit.and_then(|exit| exit.stopped) != Some(Stopped::WallTime) =>
            {
                "Ended because its tenant has spent its CPU time of the day.".to_owned()
            }
            ReasonCode::CpuTime => format!("Used {} of CPU time, more than its limit allows.", seconds(usage.cpu_ms)),
            ReasonCode::Memory => format!(
                "Used {} of {}; the kernel ended a process for it, {} after the start.",
                mebibytes(usage.memory_peak_bytes),
                mebibytes(limits.memory_bytes),
                seconds(usage.wall_ms)
            ),
            ReasonCode::Pids => format!("Needed more than its limit of {} processes and threads.", limits.pids),
            ReasonCode::Disk => format!("Filled its {} of disk, or its 10000 files.", mebibytes(limits.disk_bytes)),
            ReasonCode::CancelledByUser => format!("Cancelled {} after the start.", seconds(usage.wall_ms)),
            ReasonCode::TenantDeleted => "Ended because its tenant was deleted.".to_owned(),
            ReasonCode::TenantSuspended => "Ended because its tenant was suspended.".to_owned(),
            ReasonCode::ExecutorLost => "The machine or the process that ran it was lost.".to_owned(),
            ReasonCode::RuntimeUnavailable => "Its runtime could not be started.".to_owned(),
            ReasonCode::Exception => "An exception was not caught.".to_owned(),
            ReasonCode::Interrupted => "Interrupted.".to_owned(),
            ReasonCode::Aborted => "Something before it failed.".to_owned(),
        }
    }
}

fn signal_name(number: i32) -> String {
    Signal::try_from(number).map_or_else(|_| format!("SIG{number}"), |signal| signal.to_string())
}

fn seconds(milliseconds: u64) -> String {
    if milliseconds < 1000 {
        format!("{milliseconds} ms")
    } else {
        format!("{}.{} s", milliseconds / 1000, milliseconds % 1000 / 100)
    }
}

fn mebibytes(bytes: u64) -> String {
    format!("{} MiB", bytes.div_ceil(1024 * 1024))
}

#[cfg(test)]
mod tests {
    use kiln_runner_protocol::{DiskUse, StreamTotal};

    use super::*;

    fn exit(status: ExitStatus, stopped: Option<Stopped>) -> Exit {
        Exit {
            status,
            stopped,
            wall_us: 10_400,
            cpu_us: 5,
            largest_process_bytes: 6,
            stdout: StreamTotal::default(),
            stderr: StreamTotal { kept_bytes: 1, discarded_bytes: 1 },
            displays_dropped: 0,
            disk: DiskUse { most_used_bytes: 1 << 20, least_free_inodes: 100 },
        }
    }

    fn judge(exit: Option<&Exit>, counters: Counters, killed: Option<Killed>) -> Ended {
        let wall = Duration::from_millis(7);
        verdict(&Evidence { exit, counters, killed, cancelled: Some(ReasonCode::TenantDeleted), limits: Limits::DEFAULT, wall })
    }

    fn outcome(exit: &Exit, counters: Counters) -> (Status, Option<ReasonCode>) {
        let ended = judge(Some(exit), counters, None);
        (ended.status, ended.reason.map(|reason| reason.code))
    }

    const KILL: ExitStatus = ExitStatus::Signal(9);
    const NONE: Counters = Counters {
        memory_kills: Some(0),
        process_refusals: Some(0),
        cpu_us: None,
        memory_peak_bytes: None,
        throttled_us: Some(1_500),
        processes_peak: Some(4),
    };
    const MEMORY: Counters = Counters { memory_kills: Some(1), ..NONE };
    const PIDS: Counters = Counters { process_refusals: Some(3), ..NONE };

    #[test]
    fn exits_and_signals_are_the_programs_own() {
        assert_eq!(outcome(&exit(ExitStatus::Code(0), None), Counters::default()), (Status::Succeeded, None));
        assert_eq!(
            outcome(&exit(ExitStatus::Code(124), None), Counters::default()),
            (Status::Failed, Some(ReasonCode::ExitCode))
        );
        let ended = judge(Some(&exit(KILL, None)), Counters::default(), None);
        assert_eq!((ended.status, ended.exit_code, ended.signal.as_deref()), (Status::Failed, None, Some("SIGKILL")));
        assert_eq!(ended.reason.unwrap().code, ReasonCode::Signal);
        assert_eq!((ended.usage.wall_ms, ended.stdout_truncated, ended.stderr_truncated), (11, false, true));
    }

    #[test]
    fn what_was_counted_is_told_without_the_runner() {
        let usage = judge(Some(&exit(ExitStatus::Code(0), None)), NONE, None).usage;
        assert_eq!((usage.throttled_ms, usage.pids_peak), (Some(2), Some(3)));
        let usage = judge(Some(&exit(ExitStatus::Code(0), None)), Counters::default(), None).usage;
        assert_eq!((usage.throttled_ms, usage.pids_peak), (None, None));
    }

    #[test]
    fn a_stopped_tree_is_timed_out_or_cancelled() {
        let timed_out = outcome(&exit(KILL, Some(Stopped::WallTime)), PIDS);
        assert_eq!(timed_out, (Status::TimedOut, Some(ReasonCode::WallTime)));
        let cancelled = outcome(&exit(KILL, Some(Stopped::Command)), Counters::default());
        assert_eq!(cancelled, (Status::Cancelled, Some(ReasonCode::TenantDeleted)));
    }

    #[test]
    fn limits_count_only_when_the_program_did_not_succeed() {
        assert_eq!(outcome(&exit(KILL, None), MEMORY), (Status::OutOfMemory, Some(ReasonCode::Memory)));
        assert_eq!(outcome(&exit(ExitStatus::Code(1), None), PIDS), (Status::Failed, Some(ReasonCode::Pids)));
        for (counters, code) in [(MEMORY, ReasonCode::Memory), (PIDS, ReasonCode::Pids)] {
            let ended = judge(Some(&exit(ExitStatus::Code(0), None)), counters, None);
            assert_eq!((ended.status, ended.warnings.first().map(|warning| warning.code)), (Status::Succeeded, Some(code)));
        }
        let mut full = exit(ExitStatus::Code(1), None);
        full.disk.most_used_bytes = Limits::DEFAULT.disk_bytes;
        assert_eq!(outcome(&full, Counters::default()), (Status::Failed, Some(ReasonCode::Disk)));
    }

    #[test]
    fn cpu_time_over_its_limit_is_the_reason_where_the_kernel_ended_it() {
        let over = Counters { cpu_us: Some(Limits::DEFAULT.timeout_ms * Limits::DEFAULT.cpu_millis + 1), ..NONE };
        for signal in [Signal::SIGXCPU, Signal::SIGKILL] {
            let end = exit(ExitStatus::Signal(signal as i32), None);
            assert_eq!(outcome(&end, over), (Status::TimedOut, Some(ReasonCode::CpuTime)));
            assert_eq!(outcome(&end, NONE), (Status::Failed, Some(ReasonCode::Signal)));
        }
    }

    #[test]
    fn without_an_account_only_the_kernel_and_our_own_hand_count() {
        let status = |counters, killed| judge(None, counters, killed).status;
        assert_eq!(status(MEMORY, None), Status::OutOfMemory);
        assert_eq!(status(Counters::default(), Some(Killed::WallTime)), Status::TimedOut);
        assert_eq!(status(Counters::default(), Some(Killed::Cancelled)), Status::Cancelled);
        assert_eq!(status(Counters::default(), None), Status::Lost);
    }
}
