//! Which services a process runs.

use std::fmt;
use std::str::FromStr;

/// One service.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Target {
    Auth,
    Scheduler,
    Executor,
    Result,
    /// The web app, which has neither database nor bus.
    Web,
}

impl Target {
    pub const ALL: [Self; 5] = [Self::Auth, Self::Scheduler, Self::Executor, Self::Result, Self::Web];

    /// Its name in subjects, roles and schemas.
    pub fn name(self) -> &'static str {
        match self {
            Self::Auth => "auth",
            Self::Scheduler => "scheduler",
            Self::Executor => "executor",
            Self::Result => "result",
            Self::Web => "web",
        }
    }

    /// Whether it speaks over NATS: all but the web app.
    pub fn has_bus(self) -> bool {
        self != Self::Web
    }
}

impl fmt::Display for Target {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(self.name())
    }
}

/// What `--target` takes: names with commas, or `all`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Targets(pub Vec<Target>);

impl FromStr for Targets {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let mut targets = Vec::new();
        for name in text.split(',').map(str::trim) {
            match Target::ALL.into_iter().find(|target| target.name() == name) {
                Some(target) => targets.push(target),
                None if name == "all" => targets.extend(Target::ALL),
                None => return Err(format!("{name:?} is no service: choose among auth, scheduler, executor, result, web, all")),
            }
        }
        targets.sort_unstable();
        targets.dedup();
        Ok(Self(targets))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn targets_are_a_set() {
        assert_eq!("result, auth,result".parse::<Targets>().unwrap().0, [Target::Auth, Target::Result]);
        assert_eq!("all".parse::<Targets>().unwrap().0, Target::ALL);
        assert!("auth,cook".parse::<Targets>().unwrap_err().contains("\"cook\""));
        assert!("".parse::<Targets>().is_err());
    }
}
