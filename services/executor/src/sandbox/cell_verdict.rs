//! How a session's cell ended, by the same judgement as a run: what the kernel and the clock say comes first, then the
//! word of the shell in the sandbox, which can only be wrong about its own cell.

use std::time::Duration;

use kiln_domain::{Ended, Limits, Reason, ReasonCode, Status};
use kiln_runner_protocol::{CellEnd, CellOutcome, Exit, ExitStatus, Stopped};
use nix::sys::signal::Signal;

use super::verdict::{Evidence, Killed, verdict};
use super::wire::Counters;

/// Everything there is to judge a cell by.
#[derive(Debug)]
pub struct CellEvidence<'a> {
    /// The runner's account; `None` when the session was ended in the middle of the cell.
    pub end: Option<&'a CellEnd>,
    /// The sandbox's counters at the end of the cell before and at the end of this one.
    pub before: Counters,
    pub after: Counters,
    /// Why the cell was to be stopped, if it was.
    pub cause: Option<ReasonCode>,
    pub limits: Limits,
    /// By the engine's own clock.
    pub wall: Duration,
}

/// The verdict of a cell. Its exit code and signal are null unless the interpreter ended with it.
pub fn cell_verdict(evidence: &CellEvidence<'_>) -> Ended {
    let exit = evidence.end.map(as_exit);
    let mut ended = verdict(&Evidence {
        exit: exit.as_ref(),
        counters: evidence.used(),
        killed: exit.is_none().then_some(Killed::Cancelled).filter(|_| evidence.cause.is_some()),
        cancelled: evidence.cause,
        limits: evidence.limits,
        wall: evidence.wall,
    });
    ended.execution_count = evidence.end.and_then(|end| end.execution_count);
    ended.session_restarted = evidence.end.is_some_and(|end| matches!(end.outcome, CellOutcome::Gone(_)));
    if !ended.session_restarted {
        (ended.exit_code, ended.signal) = (None, None);
    }
    let told = match evidence.end.map(|end| end.outcome) {
        Some(CellOutcome::Exception) => Some((ReasonCode::Exception, "An exception was not caught.")),
        Some(CellOutcome::Interrupted) => Some((ReasonCode::Interrupted, "Interrupted; the session's state is kept.")),
        Some(CellOutcome::Succeeded | CellOutcome::Gone(_)) | None => None,
    };
    if let Some((code, message)) = told
        && ended.status == Status::Failed
        && ended.reason.as_ref().is_some_and(|reason| reason.code == ReasonCode::ExitCode)
    {
        ended.reason = Some(Reason { code, message: message.to_owned() });
    }
    ended
}

impl CellEvidence<'_> {
    /// What was counted for this cell alone; the peaks are the session's.
    fn used(&self) -> Counters {
        let since = |after: Option<u64>, before: Option<u64>| after.map(|after| after.saturating_sub(before.unwrap_or(0)));
        Counters {
            memory_kills: since(self.after.memory_kills, self.before.memory_kills),
            process_refusals: since(self.after.process_refusals, self.before.process_refusals),
            cpu_us: since(self.after.cpu_us, self.before.cpu_us),
            memory_peak_bytes: self.after.memory_peak_bytes,
            throttled_us: since(self.after.throttled_us, self.before.throttled_us),
            processes_peak: self.after.processes_peak,
        }
    }
}

/// The cell's end as that of a program: a stopped one was killed, one that failed ended with a code.
fn as_exit(end: &CellEnd) -> Exit {
    let killed = ExitStatus::Signal(Signal::SIGKILL as i32);
    let status = match end.outcome {
        CellOutcome::Gone(status) => status,
        _ if end.stopped.is_some() => killed,
        CellOutcome::Succeeded => ExitStatus::Code(0),
        CellOutcome::Exception | CellOutcome::Interrupted => ExitStatus::Code(1),
    };
    let stopped: Option<Stopped> = end.stopped.filter(|_| status == killed);
    Exit {
        status,
        stopped,
        wall_us: end.wall_us,
        cpu_us: 0,
        largest_process_bytes: 0,
        stdout: end.stdout,
        stderr: end.stderr,
        displays_dropped: end.displays_dropped,
        disk: end.disk,
    }
}

#[cfg(test)]
mod tests {
    use kiln_runner_protocol::{DiskUse, StreamTotal};

    use super::*;

    fn judge(outcome: CellOutcome, stopped: Option<Stopped>, kills: u64, cause: Option<ReasonCode>) -> Ended {
        let end = CellEnd {
            outcome,
            stopped,
            execution_count: Some(3),
            wall_us: 1_500,
            stdout: StreamTotal::default(),
            stderr: StreamTotal::default(),
            displays_dropped: 0,
            disk: DiskUse { most_used_bytes: 0, least_free_inodes: 9 },
        };
        let counters = |kills, cpu| Counters { memory_kills: Some(kills), cpu_us: Some(cpu), ..Counters::default() };
        let (before, after) = (counters(1, 4_000), counters(1 + kills, 6_000));
        cell_verdict(&CellEvidence { end: Some(&end), before, after, cause, limits: Limits::DEFAULT, wall: Duration::ZERO })
    }

    fn outcome(ended: &Ended) -> (Status, Option<ReasonCode>, bool) {
        (ended.status, ended.reason.as_ref().map(|reason| reason.code), ended.session_restarted)
    }

    #[test]
    fn the_shells_word_counts_where_nothing_else_speaks() {
        let ended = judge(CellOutcome::Succeeded, None, 0, None);
        assert_eq!(outcome(&ended), (Status::Succeeded, None, false));
        assert_eq!((ended.exit_code, ended.usage.cpu_ms, ended.execution_count), (None, 2, Some(3)));
        let exception = judge(CellOutcome::Exception, None, 0, None);
        assert_eq!(outcome(&exception), (Status::Failed, Some(ReasonCode::Exception), false));
        let interrupted = judge(CellOutcome::Interrupted, None, 0, None);
        assert_eq!(outcome(&interrupted), (Status::Failed, Some(ReasonCode::Interrupted), false));
    }

    #[test]
    fn a_cell_that_was_stopped_is_timed_out_or_cancelled_whatever_it_says() {
        for said in [CellOutcome::Succeeded, CellOutcome::Interrupted, CellOutcome::Gone(ExitStatus::Signal(9))] {
            let restarted = matches!(said, CellOutcome::Gone(_));
            let ended = judge(said, Some(Stopped::WallTime), 0, None);
            assert_eq!(outcome(&ended), (Status::TimedOut, Some(ReasonCode::WallTime), restarted));
            let ended = judge(said, Some(Stopped::Command), 0, Some(ReasonCode::CancelledByUser));
            assert_eq!(outcome(&ended), (Status::Cancelled, Some(ReasonCode::CancelledByUser), restarted));
        }
    }

    #[test]
    fn an_interpreter_that_ended_is_judged_as_a_program() {
        let killed = CellOutcome::Gone(ExitStatus::Signal(9));
        assert_eq!(outcome(&judge(killed, None, 1, None)), (Status::OutOfMemory, Some(ReasonCode::Memory), true));
        let signal = judge(killed, None, 0, None);
        assert_eq!((outcome(&signal).1, signal.signal.as_deref()), (Some(ReasonCode::Signal), Some("SIGKILL")));
        let code = judge(CellOutcome::Gone(ExitStatus::Code(3)), None, 0, None);
        assert_eq!((outcome(&code), code.exit_code), ((Status::Failed, Some(ReasonCode::ExitCode), true), Some(3)));
    }

    #[test]
    fn a_child_that_the_kernel_killed_makes_a_failed_cell_out_of_memory() {
        let failed = judge(CellOutcome::Exception, None, 1, None);
        assert_eq!(outcome(&failed), (Status::OutOfMemory, Some(ReasonCode::Memory), false));
        let succeeded = judge(CellOutcome::Succeeded, None, 1, None);
        assert_eq!((succeeded.status, succeeded.warnings.len()), (Status::Succeeded, 1));
    }
}
