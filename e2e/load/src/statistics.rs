//! Durations as people compare them.

use std::time::Duration;

/// Measured durations, at least one.
pub struct Sample(Vec<Duration>);

impl Sample {
    pub fn new(mut durations: Vec<Duration>) -> anyhow::Result<Self> {
        anyhow::ensure!(!durations.is_empty(), "nothing was measured");
        durations.sort_unstable();
        Ok(Self(durations))
    }

    /// The smallest measured duration that `percent` of them do not exceed, in milliseconds.
    pub fn percentile_ms(&self, percent: usize) -> f64 {
        let rank = (self.0.len() * percent).div_ceil(100).max(1);
        self.0.get(rank - 1).map_or(f64::NAN, |duration| duration.as_secs_f64() * 1000.0)
    }

    pub fn count(&self) -> usize {
        self.0.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_measured_values() {
        let sample = Sample::new((1..=200).rev().map(Duration::from_millis).collect()).unwrap();
        let figures = [1, 50, 95, 99, 100].map(|percent| sample.percentile_ms(percent).round().to_string());
        assert_eq!(figures, ["2", "100", "190", "198", "200"]);
        assert!(Sample::new(Vec::new()).is_err());
    }
}
