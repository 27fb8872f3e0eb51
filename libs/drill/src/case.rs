//! Programs that belong together: a sequence runs in its order, any other program is a case of its own.

use std::collections::BTreeMap;

use crate::{Check, Program};

/// One program, or the steps of a sequence.
#[derive(Debug, Clone)]
pub struct Case {
    pub name: String,
    pub steps: Vec<Program>,
}

/// The programs as cases, in the order of names.
pub fn cases(programs: Vec<Program>) -> Vec<Case> {
    let mut cases: BTreeMap<String, Vec<Program>> = BTreeMap::new();
    for program in programs {
        let name = program.sequence.as_ref().map_or_else(|| program.id.clone(), |(name, _)| name.clone());
        cases.entry(name).or_default().push(program);
    }
    let ordered = |(name, mut steps): (String, Vec<Program>)| {
        steps.sort_by_key(|program| program.sequence.as_ref().map_or(0, |(_, step)| *step));
        Case { name, steps }
    };
    cases.into_iter().map(ordered).collect()
}

impl Case {
    /// The tenants of its steps, each once, the first step's first.
    pub fn tenants(&self) -> Vec<&str> {
        let mut tenants: Vec<&str> = Vec::new();
        for step in &self.steps {
            if !tenants.contains(&step.tenant()) {
                tenants.push(step.tenant());
            }
        }
        tenants
    }

    /// Whether a check compares times, so that nothing else may run meanwhile.
    pub fn measures_time(&self) -> bool {
        self.steps.iter().any(|step| step.after.contains(&Check::HostResponsive))
    }
}
