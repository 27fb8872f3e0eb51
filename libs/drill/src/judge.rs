//! From how a run ended to its verdict, and what is wrong with it. Pure.

use std::collections::BTreeMap;

use crate::ended::Ended;
use crate::program::{Exit, Program};

/// What became of a program, in the corpus's words.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Verdict {
    Contained,
    Denied,
    KilledMemory,
    KilledTimeout,
    KilledPids,
    OutputTruncated,
    Ok,
    Error,
}

const NAMES: [(Verdict, &str); 8] = [
    (Verdict::Contained, "contained"),
    (Verdict::Denied, "denied"),
    (Verdict::KilledMemory, "killed_memory"),
    (Verdict::KilledTimeout, "killed_timeout"),
    (Verdict::KilledPids, "killed_pids"),
    (Verdict::OutputTruncated, "output_truncated"),
    (Verdict::Ok, "ok"),
    (Verdict::Error, "error"),
];

impl Verdict {
    pub fn named(name: &str) -> Option<Self> {
        NAMES.iter().find(|(_, known)| *known == name).map(|(verdict, _)| *verdict)
    }

    pub fn name(self) -> &'static str {
        NAMES.iter().find(|(verdict, _)| *verdict == self).map_or("", |(_, name)| name)
    }
}

impl Ended {
    /// Every verdict that this end bears out, the most telling first; none when Kiln lost or cancelled the run.
    pub fn verdicts(&self) -> Vec<Verdict> {
        let line = self.printed().lines().any(|line| line.starts_with("CONTAINED: "));
        let mut verdicts = match (self.status.as_str(), self.reason_code()) {
            ("succeeded", _) if line => vec![Verdict::Contained, Verdict::Denied, Verdict::Ok],
            ("succeeded", _) => vec![Verdict::Ok],
            ("failed", "pids") => vec![Verdict::KilledPids],
            ("failed", "signal") if self.signal.as_deref() == Some("SIGSYS") => vec![Verdict::Denied, Verdict::Error],
            ("failed", _) => vec![Verdict::Error],
            ("timed_out", _) => vec![Verdict::KilledTimeout],
            ("out_of_memory", _) => vec![Verdict::KilledMemory],
            _ => Vec::new(),
        };
        if self.stdout_truncated || self.stderr_truncated {
            verdicts.insert(0, Verdict::OutputTruncated);
        }
        verdicts
    }

    /// The verdict for a report: one that is wanted, where there is one.
    pub fn told(&self, program: &Program) -> String {
        let verdicts = self.verdicts();
        let told = verdicts.iter().find(|verdict| program.accepts(**verdict)).or(verdicts.first());
        told.map_or_else(|| self.status.clone(), |verdict| verdict.name().to_owned())
    }

    fn ended_by(&self, exit: &Exit) -> bool {
        match exit {
            Exit::Code(code) => self.exit_code == Some(*code),
            Exit::Signal(signal) => self.signal.as_deref() == Some(signal),
        }
    }
}

/// What one run did that it must not, or did not that it must.
pub fn faults(program: &Program, ended: &Ended) -> Vec<String> {
    let mut faults = Vec::new();
    if !ended.verdicts().into_iter().any(|verdict| program.accepts(verdict)) {
        let reason = ended.reason.as_ref().map(|reason| format!(" ({}: {})", reason.code, reason.message)).unwrap_or_default();
        faults.push(format!("is {}{reason}, wanted {}", ended.told(program), program.wanted()));
    }
    if let Some(exit) = program.exit.as_ref().filter(|exit| !ended.ended_by(exit)) {
        faults.push(format!("ended with {:?} and {:?}, wanted {exit:?}", ended.exit_code, ended.signal));
    }
    let printed = ended.printed();
    if let Some(found) = program.must_not_print.find(&printed) {
        let line = printed.get(found.start()..).and_then(|text| text.lines().next()).unwrap_or_default();
        faults.push(format!("printed: {}", line.chars().take(300).collect::<String>()));
    }
    if let Some(pattern) = program.must_print.as_ref().filter(|pattern| !pattern.is_match(&printed)) {
        faults.push(format!("did not print {}", pattern.as_str().trim_start_matches("(?m)")));
    }
    faults
}

/// Values that two of the repeated runs share and must not.
pub fn shared_values(program: &Program, runs: &[Ended]) -> Vec<String> {
    let Some(pattern) = &program.unique else { return Vec::new() };
    let mut seen: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for run in runs {
        let printed = run.printed();
        for found in pattern.captures_iter(&printed) {
            let group = |index| found.get(index).map_or_else(String::new, |part| part.as_str().to_owned());
            seen.entry(group(1)).or_default().push(group(2));
        }
    }
    if seen.is_empty() {
        return vec!["printed nothing that could be compared between the runs".to_owned()];
    }
    let shares = |values: &[String]| {
        let mut sorted: Vec<_> = values.iter().collect();
        sorted.sort();
        sorted.windows(2).any(|pair| pair.first() == pair.last()) || values.len() < runs.len()
    };
    seen.iter().filter(|(_, values)| shares(values)).map(|(name, values)| format!("{name} is not unique: {values:?}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ended(status: &str, reason: Option<&str>, exit_code: Option<i32>, stdout: &str) -> Ended {
        let reason = reason.map(|code| serde_json::json!({"code": code, "message": "."}));
        let value = serde_json::json!({
            "id": "1", "status": status, "reason": reason, "exit_code": exit_code, "signal": null, "stdout": stdout,
        });
        serde_json::from_value(value).unwrap()
    }

    fn program(header: &str) -> Program {
        Program::parse("p", header).unwrap()
    }

    #[test]
    fn the_end_decides_and_not_what_was_printed() {
        let verdicts = |status, reason, code, text| ended(status, reason, code, text).verdicts();
        assert_eq!(verdicts("succeeded", None, Some(0), "x\nCONTAINED: y"), [Verdict::Contained, Verdict::Denied, Verdict::Ok]);
        assert_eq!(verdicts("succeeded", None, Some(0), "CONTAINED"), [Verdict::Ok]);
        assert_eq!(verdicts("failed", Some("pids"), Some(1), "CONTAINED: y"), [Verdict::KilledPids]);
        assert_eq!(verdicts("failed", Some("exit_code"), Some(124), "timed out"), [Verdict::Error]);
        assert_eq!(verdicts("lost", Some("executor_lost"), None, "CONTAINED: y"), []);
    }

    #[test]
    fn each_expectation_can_fail() {
        let fine = program("# expect: contained\n# exit: 0\n# must_print: ^a$\n");
        assert_eq!(faults(&fine, &ended("succeeded", None, Some(0), "a\nCONTAINED: b")), Vec::<String>::new());
        for (status, reason, code, text) in [
            ("timed_out", Some("wall_time"), Some(0), "a\nCONTAINED: b"),
            ("succeeded", None, Some(1), "a\nCONTAINED: b"),
            ("succeeded", None, Some(0), "CONTAINED: b"),
            ("succeeded", None, Some(0), "a\nCONTAINED: b\nESCAPED: c"),
        ] {
            assert_eq!(faults(&fine, &ended(status, reason, code, text)).len(), 1, "{status} {text}");
        }
    }

    #[test]
    fn repeated_values_are_found() {
        let program = program("# expect: ok\n# unique: ^U (\\w+)=(.*)$");
        let run = |text| ended("succeeded", None, Some(0), text);
        assert_eq!(shared_values(&program, &[run("U a=1\nU b=2"), run("U a=3\nU b=4")]), Vec::<String>::new());
        assert_eq!(shared_values(&program, &[run("U a=1\nU b=2"), run("U a=1\nU b=4")]).len(), 1);
        assert_eq!(shared_values(&program, &[run("U a=1"), run("")]).len(), 1, "a run that says nothing");
        assert_eq!(shared_values(&program, &[run(""), run("")]).len(), 1);
    }
}
