//! The environments that Kiln makes itself, each from requirements that are pinned and hashed.

use sha2::{Digest, Sha256};

use super::interpreter::Interpreter;
use super::layout;

/// What an environment is made of.
#[derive(Debug)]
pub struct Recipe {
    pub id: &'static str,
    pub title: &'static str,
    pub requirements: &'static str,
    /// Modules that must be importable before the environment is offered.
    pub imports: &'static str,
}

/// The pins have wheels for these minor versions of Python 3, on glibc for x86-64 and ARM64.
const MINOR_VERSIONS: std::ops::RangeInclusive<u16> = 10..=14;

pub const RECIPES: [Recipe; 2] = [
    Recipe {
        id: "base",
        title: "scientific packages",
        requirements: include_str!("../../requirements/base.txt"),
        imports: "numpy, pandas, scipy.stats, sklearn.linear_model, matplotlib.pyplot, seaborn, sympy, PIL.Image, requests, bs4, \
                  lxml.etree, pyarrow, openpyxl",
    },
    Recipe {
        id: "ml",
        title: "scientific packages and gradient boosting",
        requirements: include_str!("../../requirements/ml.txt"),
        imports: "numpy, pandas, scipy.stats, sklearn.linear_model, matplotlib.pyplot, seaborn, sympy, PIL.Image, requests, bs4, \
                  lxml.etree, pyarrow, openpyxl, xgboost, lightgbm",
    },
];

impl Recipe {
    pub fn named(id: &str) -> Option<&'static Self> {
        RECIPES.iter().find(|recipe| recipe.id == id)
    }

    /// The newest interpreter that has the wheels and can install them, or what is missing, with a line that mends it.
    pub fn choose(interpreters: &[Interpreter]) -> Result<&Interpreter, String> {
        let fitting = |interpreter: &&Interpreter| MINOR_VERSIONS.contains(&interpreter.version.minor);
        match interpreters.iter().filter(fitting).find(|interpreter| interpreter.pip) {
            Some(interpreter) => Ok(interpreter),
            None => Err(match interpreters.iter().find(fitting) {
                Some(interpreter) => {
                    format!("{} has no pip; mend: apt-get install python3-pip", interpreter.executable.display())
                }
                None => format!(
                    "no Python 3.{} to 3.{} was found; mend: apt-get install python3 python3-pip",
                    MINOR_VERSIONS.start(),
                    MINOR_VERSIONS.end()
                ),
            }),
        }
    }

    /// A name that changes with whatever the environment depends on.
    pub fn key(&self, interpreter: &Interpreter) -> String {
        let mut hash = Sha256::new();
        let program = layout::program_in_sandbox(interpreter);
        for part in [self.requirements, self.imports, &interpreter.version.to_string(), &program.to_string_lossy()] {
            hash.update(part.as_bytes());
            hash.update([0]);
        }
        let digest = hash.finalize().iter().take(8).fold(0_u64, |number, &byte| number << 8 | u64::from(byte));
        format!("{}-{}-{digest:016x}", self.id, interpreter.id())
    }

    /// Pinned packages, of which some are for other versions of Python.
    pub fn pins(&self) -> usize {
        self.requirements.lines().filter(|line| line.starts_with(|first: char| first.is_ascii_alphanumeric())).count()
    }
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::super::interpreter::Version;
    use super::*;

    fn interpreter(minor: u16, pip: bool) -> Interpreter {
        let version = Version { major: 3, minor, patch: 1 };
        let prefix = PathBuf::from("/opt/p");
        Interpreter { version, executable: prefix.join("bin/python3"), prefix, library: None, site_packages: vec![], pip }
    }

    #[test]
    fn every_pin_is_exact_and_hashed() {
        for recipe in &RECIPES {
            let entries: Vec<_> = recipe.requirements.lines().filter(|line| !line.trim_start().starts_with('#')).collect();
            let text = entries.join("\n").replace("\\\n", " ");
            let pins: Vec<_> = text.lines().filter(|line| !line.trim().is_empty()).collect();
            assert_eq!(pins.len(), recipe.pins());
            for pin in pins {
                assert!(pin.contains("==") && pin.contains("--hash=sha256:"), "{pin}");
            }
        }
    }

    #[test]
    fn the_newest_with_pip_is_chosen_and_a_lack_is_named() {
        let found = [interpreter(15, true), interpreter(13, false), interpreter(12, true), interpreter(6, true)];
        assert_eq!(Recipe::choose(&found).unwrap().version.minor, 12);
        assert!(Recipe::choose(&found[..2]).unwrap_err().contains("no pip"));
        assert!(Recipe::choose(&found[3..]).unwrap_err().contains("no Python 3.10 to 3.14"));
    }

    #[test]
    fn keys_tell_interpreters_and_recipes_apart() {
        let (twelve, thirteen) = (interpreter(12, true), interpreter(13, true));
        let [base, ml] = &RECIPES;
        assert_ne!(base.key(&twelve), base.key(&thirteen));
        assert_ne!(base.key(&twelve), ml.key(&twelve));
    }
}
