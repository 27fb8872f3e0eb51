//! Which modules a Python program imports, as far as a quick look tells.
//!
//! A wrong guess costs time, never correctness: what is not there ahead is imported by the program itself.

use super::runtime::Tier;

/// As much of a program is looked at.
const MAX_BYTES: usize = 256 * 1024;

/// The heaviest tier that something in the program asks for; the first when nothing does.
pub fn tier_for(tiers: &[Tier], code: &str) -> usize {
    let wanted = |module: &str| tiers.iter().rposition(|tier| tier.serves.iter().any(|served| served == module));
    imported(code).filter_map(wanted).max().unwrap_or(0)
}

/// Top-level names after `import` and `from`, at any depth of indentation. Text within strings may be taken for code.
fn imported(code: &str) -> impl Iterator<Item = &str> {
    let end = code.floor_char_boundary(MAX_BYTES);
    let text = code.get(..end).unwrap_or_default();
    let statements = text.lines().flat_map(|line| line.split(';')).map(str::trim_start);
    statements.flat_map(|statement| {
        let names = statement.strip_prefix("import ").map(|names| names.split(','));
        let module = statement.strip_prefix("from ").map(|module| module.split(" import "));
        let modules = names.into_iter().flatten().chain(module.into_iter().filter_map(|mut parts| parts.next()));
        modules.map(top_level)
    })
}

fn top_level(module: &str) -> &str {
    let module = module.trim_start();
    let end = module.find(|c: char| !(c.is_alphanumeric() || c == '_')).unwrap_or(module.len());
    module.get(..end).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_found_in_the_forms_that_programs_use() {
        let code = "import os, numpy as np;import sys\n  from pandas.core import frame\nfrom . import x\nimportant = 1\nimport a.b # c\n";
        assert_eq!(imported(code).collect::<Vec<_>>(), ["os", "numpy", "sys", "pandas", "", "a"]);
    }

    #[test]
    fn the_heaviest_tier_asked_for_is_taken() {
        let tier = |names: &[&str]| Tier { imports: Vec::new(), serves: names.iter().map(|&name| name.to_owned()).collect() };
        let tiers = [tier(&[]), tier(&["numpy"]), tier(&["pandas", "matplotlib"])];
        for (code, index) in [("print(1)", 0), ("import numpy", 1), ("import numpy\nimport pandas", 2), ("import pandas2", 0)] {
            assert_eq!(tier_for(&tiers, code), index, "{code}");
        }
        assert_eq!(tier_for(&[], "import numpy"), 0);
    }
}
