//! Reads how many tests ran from what cargo's test programs, Vitest and Playwright print.

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
    output.lines().filter_map(summary).for_each(|count| total += count);
    total
}

/// `13 passed (48.3s)` and `2 failed` of Playwright, `Tests  1 failed | 51 passed (52)` of Vitest; nothing else.
fn summary(line: &str) -> Option<Count> {
    let line = line.trim();
    let line = line.strip_prefix("Tests ").unwrap_or(line).trim();
    let line = line.split_once(" (").filter(|(_, rest)| rest.ends_with(')')).map_or(line, |(before, _)| before);
    let mut count = Count::default();
    for part in line.split(" | ") {
        let (number, word) = part.split_once(' ')?;
        let number: u64 = number.parse().ok()?;
        match word {
            "passed" => count.passed += number,
            "failed" | "flaky" => count.failed += number,
            "skipped" | "did not run" => count.skipped += number,
            _ => return None,
        }
    }
    Some(count)
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

    #[test]
    fn summaries_of_the_web_apps_tests_are_read() {
        let playwright = "Running 15 tests using 2 workers\n\n  2 failed\n    tests/a.spec.ts:3:1 › x 4 passed\n  1 skipped\n  13 passed (48.3s)\n";
        assert_eq!(tests(playwright), Count { passed: 13, failed: 2, skipped: 1 });
        let vitest = " Test Files  1 failed | 6 passed (7)\n      Tests  1 failed | 51 passed (52)\n   Start at  12:00:05\n";
        assert_eq!(tests(vitest), Count { passed: 51, failed: 1, skipped: 0 });
        assert_eq!(tests("3 passed, 1 failed, 0 skipped"), Count::default());
    }
}
