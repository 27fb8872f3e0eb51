//! Reads how many tests ran from what cargo's test programs print.

use std::ops::AddAssign;

/// Numbers of tests.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Count {
    pub passed: u64,
    pub failed: u64,
    pub skipped: u64,
}

impl AddAssign for Count {
    fn add_assign(&mut self, other: Self) {
        self.passed += other.passed;
        self.failed += other.failed;
        self.skipped += other.skipped;
    }
}

/// Adds up the lines `test result: ok. 3 passed; 0 failed; 1 ignored; …`.
pub fn tests(output: &str) -> Count {
    let mut total = Count::default();
    for line in output.lines().filter_map(|line| line.trim().strip_prefix("test result: ")) {
        let figure = |word: &str| {
            let before = line.split(';').find_map(|part| part.trim().strip_suffix(word))?;
            before.split_whitespace().last()?.parse().ok()
        };
        total += Count {
            passed: figure(" passed").unwrap_or(0),
            failed: figure(" failed").unwrap_or(0),
            skipped: figure(" ignored").unwrap_or(0),
        };
    }
    total
}

#[cfg(test)]
mod self_tests {
    use super::*;

    #[test]
    fn all_result_lines_are_added() {
        let output = "running 3 tests\n\
            test result: ok. 3 passed; 0 failed; 1 ignored; 0 measured; 0 filtered out; finished in 0.00s\n\
            test result: FAILED. 10 passed; 2 failed; 0 ignored; 0 measured; 4 filtered out; finished in 1.25s\n";
        assert_eq!(tests(output), Count { passed: 13, failed: 2, skipped: 1 });
        assert_eq!(tests("no tests here"), Count::default());
    }
}
