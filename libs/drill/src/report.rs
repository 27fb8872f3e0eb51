//! What a drill says of one program.

use serde::Serialize;

use crate::Program;

/// One program's outcome; serialised as it is for `kiln drill --json`.
#[derive(Debug, Clone, Serialize)]
pub struct Report {
    pub id: String,
    pub group: String,
    pub title: String,
    pub wanted: String,
    pub got: String,
    /// From the request to the result, in milliseconds.
    pub took_ms: u64,
    pub outcome: Outcome,
    pub faults: Vec<String>,
    /// Checks that were not made, each with why.
    pub not_made: Vec<String>,
    /// The runs, for whoever wants to look at them.
    pub executions: Vec<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    Passed,
    Failed,
    NotRun,
}

impl Report {
    /// Of a program about which nothing is known yet.
    pub fn new(program: &Program) -> Self {
        Self {
            id: program.id.clone(),
            group: program.group.clone(),
            title: program.title.clone(),
            wanted: program.wanted(),
            got: String::new(),
            took_ms: 0,
            outcome: Outcome::Passed,
            faults: Vec::new(),
            not_made: Vec::new(),
            executions: Vec::new(),
        }
    }

    /// Of a program that cannot be run as things are.
    pub fn not_run(program: &Program, why: &str) -> Self {
        let mut report = Self::new(program);
        report.outcome = Outcome::NotRun;
        report.not_made.push(why.to_owned());
        report
    }

    pub fn fault(&mut self, fault: String) {
        self.outcome = Outcome::Failed;
        self.faults.push(fault);
    }

    pub fn failed(&self) -> bool {
        self.outcome == Outcome::Failed
    }

    pub fn was_run(&self) -> bool {
        self.outcome != Outcome::NotRun
    }
}
