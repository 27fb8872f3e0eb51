//! The supervisor's side as a typestate: greeted, started, running, over.
//!
//! Each step consumes the one before, so a program cannot be sent twice, nor output be taken from a
//! runner that has not started one. A report that does not belong to the state is an error, and the
//! sandbox it came from is destroyed.

use crate::{Answered, CellEnd, Command, Exit, Program, ProtocolError, Report, StartFailure, Stream, VERSION, encode};

/// The runner has yet to say hello.
#[derive(Debug, Default)]
pub struct Greeting(());

/// The runner waits for a program.
#[derive(Debug)]
pub struct Idle(());

/// The program was sent.
#[derive(Debug)]
pub struct Starting(());

/// The program runs.
#[derive(Debug)]
pub struct Running(());

/// What a running program's sandbox may say.
#[derive(Debug)]
pub enum RunReport {
    Output { stream: Stream, bytes: Vec<u8> },
    Display(Vec<u8>),
    WaitingForInput(bool),
    StdinTaken(u32),
    KernelReady { restarted: bool },
    CellEnded(Box<CellEnd>),
    Answered(Answered),
}

/// A running dialogue after one more report.
#[derive(Debug)]
pub enum Step {
    Continue(Running, RunReport),
    Over(Box<Exit>),
}

impl Greeting {
    pub fn receive(self, report: &Report) -> Result<Idle, ProtocolError> {
        let Report::Hello { version } = report else {
            return Err(ProtocolError::Unexpected { expected: "hello", got: report.name() });
        };
        if *version == VERSION { Ok(Idle(())) } else { Err(ProtocolError::Version(*version)) }
    }
}

impl Idle {
    /// Appends the start of `program` to `out`. Fails when it does not fit a frame.
    pub fn start(self, program: Program, out: &mut Vec<u8>) -> Result<Starting, ProtocolError> {
        encode(&Command::Start(Box::new(program)), out)?;
        Ok(Starting(()))
    }
}

impl Starting {
    /// The inner error is the runner's own word that the program could not be executed.
    pub fn receive(self, report: Report) -> Result<Result<Running, StartFailure>, ProtocolError> {
        if let Report::StartFailed(failure) = report {
            return Ok(Err(failure));
        }
        if report != Report::Started {
            return Err(ProtocolError::Unexpected { expected: "started", got: report.name() });
        }
        Ok(Ok(Running(())))
    }
}

impl Running {
    pub fn receive(self, report: Report) -> Result<Step, ProtocolError> {
        let report = match report {
            Report::Output { stream, bytes } => RunReport::Output { stream, bytes },
            Report::Display(bytes) => RunReport::Display(bytes),
            Report::WaitingForInput(waiting) => RunReport::WaitingForInput(waiting),
            Report::StdinTaken(count) => RunReport::StdinTaken(count),
            Report::KernelReady { restarted } => RunReport::KernelReady { restarted },
            Report::CellEnded(end) => RunReport::CellEnded(end),
            Report::Answered(answered) => RunReport::Answered(answered),
            Report::Ended(exit) => return Ok(Step::Over(exit)),
            other @ (Report::Hello { .. } | Report::Started | Report::StartFailed(_)) => {
                return Err(ProtocolError::Unexpected { expected: "output or the end", got: other.name() });
            }
        };
        Ok(Step::Continue(self, report))
    }
}
