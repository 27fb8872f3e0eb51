//! Whether a tenant's execution is accepted, and whether it may start at once. Pure: `(load, quota, now) -> decision`.

use jiff::{SignedDuration, Timestamp};
use kiln_domain::{LimitError, LimitRange, Limits, LimitsPatch};

/// What a tenant may hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Quota {
    pub max_concurrent: u32,
    pub max_queued: u32,
    pub executions_per_minute: u32,
    /// CPU time of a day (UTC).
    pub cpu_ms_per_day: u64,
    pub ceilings: Ceilings,
}

/// What the tenant's plan lets one run ask for; none leaves the installation's range.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Ceilings {
    pub timeout_ms: Option<u64>,
    pub memory_bytes: Option<u64>,
    pub cpu_millis: Option<u64>,
}

/// What a tenant holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Load {
    pub suspended: bool,
    pub queued: u32,
    /// Dispatched and running.
    pub active: u32,
    pub minute: Timestamp,
    pub minute_count: u32,
    /// Of executions that ended today (UTC).
    pub cpu_ms_spent: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    Suspended,
    QueueFull {
        max_queued: u32,
    },
    /// The rate is spent until the minute ends.
    Rate {
        per_minute: u32,
        retry_after_s: u64,
    },
    /// The day's CPU time is spent until midnight (UTC).
    CpuTime {
        per_day_ms: u64,
        retry_after_s: u64,
    },
}

/// What becomes of an accepted execution.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Admitted {
    /// It may be dispatched in the same transaction, since nothing of its tenant waits before it.
    pub may_start: bool,
    /// The minute that it is counted in, and the count with it.
    pub minute: Timestamp,
    pub minute_count: u32,
}

/// Decides for one more execution.
pub fn admit(load: Load, quota: Quota, now: Timestamp) -> Result<Admitted, Refusal> {
    if load.suspended {
        return Err(Refusal::Suspended);
    }
    if load.cpu_ms_spent >= quota.cpu_ms_per_day {
        return Err(Refusal::CpuTime { per_day_ms: quota.cpu_ms_per_day, retry_after_s: until_midnight_s(now) });
    }
    let elapsed = now.duration_since(load.minute);
    let (minute, counted) = if (SignedDuration::ZERO..SignedDuration::from_mins(1)).contains(&elapsed) {
        (load.minute, load.minute_count)
    } else {
        (now, 0)
    };
    if counted >= quota.executions_per_minute {
        let left = SignedDuration::from_mins(1) - elapsed;
        let retry_after_s = u64::try_from(left.as_secs()).unwrap_or(0) + 1;
        return Err(Refusal::Rate { per_minute: quota.executions_per_minute, retry_after_s });
    }
    let may_start = load.queued == 0 && load.active < quota.max_concurrent;
    if !may_start && load.queued >= quota.max_queued {
        return Err(Refusal::QueueFull { max_queued: quota.max_queued });
    }
    Ok(Admitted { may_start, minute, minute_count: counted + 1 })
}

/// Seconds until the next day begins in UTC.
pub fn until_midnight_s(now: Timestamp) -> u64 {
    const DAY_S: i64 = 24 * 3600;
    u64::try_from(DAY_S - now.as_second().rem_euclid(DAY_S)).unwrap_or(1)
}

impl Ceilings {
    /// These limits, none above the plan's. No plan goes below what a run needs at least.
    pub fn lower(self, limits: Limits) -> Limits {
        let minimum = LimitRange::DEFAULT.minimum;
        let lower = |value: u64, ceiling: Option<u64>, minimum: u64| ceiling.map_or(value, |most| value.min(most.max(minimum)));
        Limits {
            timeout_ms: lower(limits.timeout_ms, self.timeout_ms, minimum.timeout_ms),
            memory_bytes: lower(limits.memory_bytes, self.memory_bytes, minimum.memory_bytes),
            cpu_millis: lower(limits.cpu_millis, self.cpu_millis, minimum.cpu_millis),
            ..limits
        }
    }

    /// The limits of a run under the plan: what was asked for must fit, what was left to the default is lowered.
    pub fn apply(self, limits: Limits, asked: LimitsPatch) -> Result<Limits, Vec<LimitError>> {
        let (lowered, minimum) = (self.lower(limits), LimitRange::DEFAULT.minimum);
        let fields = [
            ("timeout_ms", asked.timeout_ms, lowered.timeout_ms, minimum.timeout_ms),
            ("memory_bytes", asked.memory_bytes, lowered.memory_bytes, minimum.memory_bytes),
            ("cpu_millis", asked.cpu_millis, lowered.cpu_millis, minimum.cpu_millis),
        ];
        let above = fields.into_iter().filter(|(_, asked, lowered, _)| asked.is_some_and(|asked| asked > *lowered));
        let errors: Vec<_> = above.map(|(field, _, maximum, minimum)| LimitError { field, minimum, maximum }).collect();
        if errors.is_empty() { Ok(lowered) } else { Err(errors) }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const CEILINGS: Ceilings = Ceilings { timeout_ms: Some(1000), memory_bytes: None, cpu_millis: Some(1) };
    const QUOTA: Quota =
        Quota { max_concurrent: 2, max_queued: 3, executions_per_minute: 10, cpu_ms_per_day: 5000, ceilings: CEILINGS };

    fn idle() -> Load {
        Load { suspended: false, queued: 0, active: 0, minute: Timestamp::UNIX_EPOCH, minute_count: 0, cpu_ms_spent: 0 }
    }

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_second(1_000_000 + seconds).unwrap()
    }

    #[test]
    fn an_idle_tenant_starts_at_once() {
        assert!(admit(idle(), QUOTA, at(0)).unwrap().may_start);
    }

    #[test]
    fn what_waits_is_not_overtaken() {
        assert!(!admit(Load { queued: 1, active: 0, ..idle() }, QUOTA, at(0)).unwrap().may_start);
    }

    #[test]
    fn a_full_queue_refuses() {
        let full = Load { queued: 3, active: 2, ..idle() };
        assert_eq!(admit(full, QUOTA, at(0)), Err(Refusal::QueueFull { max_queued: 3 }));
    }

    #[test]
    fn the_rate_says_when_it_is_free_again() {
        let spent = Load { minute: at(0), minute_count: 10, ..idle() };
        assert_eq!(admit(spent, QUOTA, at(20)), Err(Refusal::Rate { per_minute: 10, retry_after_s: 41 }));
        assert_eq!(admit(spent, QUOTA, at(60)).unwrap().minute_count, 1);
    }

    #[test]
    fn a_spent_budget_says_when_the_day_ends() {
        let now: Timestamp = "2026-03-01T23:59:50Z".parse().unwrap();
        let spent = Load { cpu_ms_spent: 5000, ..idle() };
        assert_eq!(admit(spent, QUOTA, now), Err(Refusal::CpuTime { per_day_ms: 5000, retry_after_s: 10 }));
        assert!(admit(Load { cpu_ms_spent: 4999, ..idle() }, QUOTA, now).is_ok());
    }

    #[test]
    fn a_plan_lowers_defaults_and_refuses_wishes() {
        let default = CEILINGS.apply(Limits::DEFAULT, LimitsPatch::default()).unwrap();
        // No plan goes below what a run needs at least.
        assert_eq!((default.timeout_ms, default.cpu_millis, default.memory_bytes), (1000, 100, Limits::DEFAULT.memory_bytes));
        let asked = LimitsPatch { timeout_ms: Some(2000), ..LimitsPatch::default() };
        let refused = CEILINGS.apply(Limits { timeout_ms: 2000, ..Limits::DEFAULT }, asked).unwrap_err();
        assert_eq!(refused, [LimitError { field: "timeout_ms", minimum: 100, maximum: 1000 }]);
    }

    proptest! {
        #[test]
        fn quotas_hold_whatever_comes(steps in proptest::collection::vec((0_u8..4, 0_i64..30), 1..200)) {
            let (mut load, mut clock, mut in_minute) = (idle(), 0, 0);
            for (step, wait) in steps {
                clock += wait;
                match step {
                    0 if load.active > 0 => load.active -= 1,
                    1 if load.queued > 0 && load.active < QUOTA.max_concurrent => { load.queued -= 1; load.active += 1; }
                    _ => if let Ok(admitted) = admit(load, QUOTA, at(clock)) {
                        in_minute = if admitted.minute == load.minute { in_minute + 1 } else { 1 };
                        load.minute = admitted.minute;
                        load.minute_count = admitted.minute_count;
                        if admitted.may_start { load.active += 1 } else { load.queued += 1 }
                    },
                }
                prop_assert!(load.active <= QUOTA.max_concurrent && load.queued <= QUOTA.max_queued);
                prop_assert!(in_minute <= QUOTA.executions_per_minute);
            }
        }
    }
}
