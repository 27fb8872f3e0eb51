//! What the check prints: a line a step, the output of what failed, and one line of numbers at the end.

use std::time::{Duration, Instant};

use crate::count::Count;
use crate::step::Outcome;

/// Lines of a failed step's output that are shown.
const SHOWN_LINES: usize = 400;

/// The sum so far.
pub struct Report {
    total: Count,
    begun: Instant,
}

impl Report {
    pub fn new() -> Self {
        Self { total: Count::default(), begun: Instant::now() }
    }

    /// A check that counts as one, done by a function.
    pub fn check(&mut self, name: &str, work: impl FnOnce() -> anyhow::Result<()>) -> bool {
        let begun = Instant::now();
        let outcome = work();
        self.line(name, outcome.is_ok(), begun.elapsed(), Count { passed: 1, ..Count::default() });
        if let Err(error) = &outcome {
            println!("{error:#}");
            self.total.failed += 1;
        }
        outcome.is_ok()
    }

    /// A command that counts as one check.
    pub fn command(&mut self, name: &str, outcome: impl FnOnce() -> anyhow::Result<Outcome>) -> bool {
        self.check(name, || {
            let outcome = outcome()?;
            anyhow::ensure!(outcome.success, "{}", tail(&outcome.output));
            Ok(())
        })
    }

    /// A command whose output says how many tests passed.
    pub fn tests(&mut self, name: &str, outcome: impl FnOnce() -> anyhow::Result<Outcome>) {
        let begun = Instant::now();
        let outcome = outcome().unwrap_or_else(|error| Outcome { success: false, output: format!("{error:#}") });
        let mut count = crate::count::tests(&outcome.output);
        if !outcome.success && count.failed == 0 {
            count.failed = 1; // it did not compile, hung or crashed
        }
        self.total.failed += count.failed;
        self.line(name, outcome.success, begun.elapsed(), Count { failed: 0, ..count });
        if !outcome.success {
            println!("{}", tail(&outcome.output));
        }
    }

    /// Something that could not be checked here, by name.
    pub fn skipped(&mut self, name: &str, why: &str) {
        println!("SKIPPED {name}: {why}");
        self.total.skipped += 1;
    }

    /// Prints the numbers; true when nothing failed.
    pub fn finish(self) -> bool {
        let Count { passed, failed, skipped } = self.total;
        println!("checked in {} s", self.begun.elapsed().as_secs());
        println!("{passed} passed, {failed} failed, {skipped} skipped");
        failed == 0
    }

    fn line(&mut self, name: &str, fine: bool, took: Duration, count: Count) {
        let mark = if fine { "ok     " } else { "FAILED " };
        println!("{mark} {name} ({:.1} s)", took.as_secs_f64());
        self.total += if fine || count.passed > 1 { count } else { Count { passed: 0, ..count } };
    }
}

/// The last lines, without those that a reader of the numbers could count twice.
fn tail(output: &str) -> String {
    let lines: Vec<&str> = output.lines().filter(|line| !line.trim_start().starts_with("test result:")).collect();
    lines.get(lines.len().saturating_sub(SHOWN_LINES)..).unwrap_or_default().join("\n")
}
