//! Where the programs come from: built in, or an operator's own directory.

use std::path::Path;

use anyhow::Context;

use crate::{HeaderError, Program};

/// Name and text of each program of e2e/attacks.
const BUILT_IN: &[(&str, &str)] = include!(concat!(env!("OUT_DIR"), "/programs.rs"));

/// The corpus that this program was built with, in the order of names.
///
/// # Errors
/// When a header cannot be understood; a test sees to it that none is.
pub fn built_in() -> Result<Vec<Program>, HeaderError> {
    BUILT_IN.iter().map(|(name, code)| Program::parse(name, code)).collect()
}

/// Every `*.py` of a directory.
///
/// # Errors
/// When the directory or a file cannot be read, holds no program, or a header cannot be understood.
pub fn from_directory(directory: &Path) -> anyhow::Result<Vec<Program>> {
    let entries = std::fs::read_dir(directory).with_context(|| format!("cannot read {}", directory.display()))?;
    let mut files = entries.map(|entry| entry.map(|entry| entry.path())).collect::<Result<Vec<_>, _>>()?;
    files.retain(|file| file.extension().is_some_and(|extension| extension == "py"));
    files.sort();
    anyhow::ensure!(!files.is_empty(), "{} holds no *.py", directory.display());
    let parse = |file: &std::path::PathBuf| {
        let code = std::fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()))?;
        Ok(Program::parse(&file.file_stem().unwrap_or_default().to_string_lossy(), &code)?)
    };
    files.iter().map(parse).collect()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::Check;

    #[test]
    fn every_program_is_understood_and_named_like_its_file() {
        let programs = built_in().unwrap();
        assert!(programs.len() >= 104, "{}", programs.len());
        for (program, (name, _)) in programs.iter().zip(BUILT_IN) {
            assert_eq!(program.id, *name);
            assert!(!program.title.is_empty() && program.group != "other", "{name}");
            assert!(program.after.iter().all(Check::is_known), "{name}: {:?}", program.after);
        }
        let groups: BTreeSet<_> = programs.iter().map(|program| program.group.as_str()).collect();
        assert!(groups.len() >= 10, "{groups:?}");
    }
}
