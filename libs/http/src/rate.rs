//! A rate by key, and the headers that tell a caller where they stand (draft-ietf-httpapi-ratelimit-headers).

use std::hash::Hash;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use axum::http::{HeaderMap, HeaderName, HeaderValue};
use governor::clock::{Clock as _, DefaultClock};
use governor::middleware::StateInformationMiddleware;
use governor::{DefaultKeyedRateLimiter, Quota, RateLimiter};

use crate::Problem;

const WINDOW_S: u64 = 60;
/// Every so many requests the keys whose rate has recovered are forgotten, which bounds the memory.
const FORGET_EVERY: u64 = 16_384;

pub(crate) type Limiter<K> = DefaultKeyedRateLimiter<K, StateInformationMiddleware>;

/// At most so many a minute under one key, all at once if they like. Each process counts for itself.
pub struct RateLimit<K: Hash + Eq + Clone> {
    name: &'static str,
    quota: NonZeroU32,
    limiter: Arc<Limiter<K>>,
    clock: DefaultClock,
    taken: AtomicU64,
}

/// Where a caller stands with one limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Standing {
    /// The policy's name.
    pub name: &'static str,
    /// So many in a window of so many seconds.
    pub quota: u32,
    pub window_s: u64,
    pub remaining: u32,
    /// Seconds until all of the quota is there again; of a refused request, until one more is.
    pub reset_s: u64,
}

impl<K: Hash + Eq + Clone> RateLimit<K> {
    pub fn per_minute(name: &'static str, quota: NonZeroU32) -> Self {
        Self::sharing(name, quota, Arc::new(RateLimiter::keyed(Quota::per_minute(quota)).with_middleware()))
    }

    /// Counts together with whoever else has this limiter, which must be one of so many a minute.
    pub(crate) fn sharing(name: &'static str, quota: NonZeroU32, limiter: Arc<Limiter<K>>) -> Self {
        Self { name, quota, limiter, clock: DefaultClock::default(), taken: AtomicU64::new(0) }
    }

    /// Counts one request, or refuses it.
    pub fn take(&self, key: &K) -> Result<Standing, Standing> {
        self.forget_now_and_then();
        match self.limiter.check_key(key) {
            Ok(left) => Ok(self.left(left.remaining_burst_capacity())),
            Err(until) => Err(self.refused(until.wait_time_from(self.clock.now()).as_secs())),
        }
    }

    /// To be called with each request that is counted.
    pub(crate) fn forget_now_and_then(&self) {
        if self.taken.fetch_add(1, Ordering::Relaxed) % FORGET_EVERY == FORGET_EVERY - 1 {
            self.limiter.retain_recent();
            self.limiter.shrink_to_fit();
        }
    }

    /// Where a caller stands who was let through.
    pub(crate) fn left(&self, remaining: u32) -> Standing {
        let quota = self.quota.get();
        let reset_s = (u64::from(quota - remaining.min(quota)) * WINDOW_S).div_ceil(u64::from(quota));
        self.standing(remaining, reset_s)
    }

    /// Where a caller stands who was refused and must wait for so many whole seconds.
    pub(crate) fn refused(&self, wait_s: u64) -> Standing {
        self.standing(0, wait_s + 1)
    }

    fn standing(&self, remaining: u32, reset_s: u64) -> Standing {
        Standing { name: self.name, quota: self.quota.get(), window_s: WINDOW_S, remaining, reset_s }
    }
}

impl Standing {
    /// `RateLimit-Policy` and `RateLimit`: so many in a window, so many left until it resets.
    pub fn headers(&self) -> HeaderMap {
        let Self { name, quota, window_s, remaining, reset_s } = self;
        let policy = (HeaderName::from_static("ratelimit-policy"), format!("\"{name}\";q={quota};w={window_s}"));
        let state = (HeaderName::from_static("ratelimit"), format!("\"{name}\";r={remaining};t={reset_s}"));
        [policy, state].into_iter().filter_map(|(name, text)| Some((name, HeaderValue::try_from(text).ok()?))).collect()
    }

    /// 429 with `Retry-After` and the headers.
    pub fn refusal(&self, code: &'static str, detail: &str) -> Problem {
        self.tell(Problem::too_many(code, detail, self.reset_s))
    }

    /// The problem with the headers.
    pub fn tell(&self, problem: Problem) -> Problem {
        self.headers().iter().fold(problem, |problem, (name, value)| problem.header(name.clone(), value.clone()))
    }

    /// Whether less is left of this limit than of the other, as a share.
    pub(crate) fn is_tighter_than(&self, other: &Self) -> bool {
        u64::from(self.remaining) * u64::from(other.quota) < u64::from(other.remaining) * u64::from(self.quota)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_next_one_is_refused_and_others_are_not() {
        let limit = RateLimit::per_minute("signup", NonZeroU32::new(2).unwrap());
        let headers = limit.take(&1).unwrap().headers();
        assert_eq!(headers["ratelimit"], "\"signup\";r=1;t=30");
        assert_eq!(headers["ratelimit-policy"], "\"signup\";q=2;w=60");
        assert!(limit.take(&1).is_ok());
        let refused = limit.take(&1).unwrap_err();
        assert!((1..=30).contains(&refused.reset_s), "{refused:?}");
        assert_eq!(refused.refusal("rate_limited", "wait").status(), 429);
        assert!(limit.take(&2).is_ok());
    }

    #[test]
    fn the_tighter_limit_is_the_one_with_the_smaller_share_left() {
        let standing = |quota, remaining| Standing { name: "", quota, window_s: 60, remaining, reset_s: 1 };
        assert!(standing(10, 1).is_tighter_than(&standing(1000, 500)));
        assert!(!standing(1000, 999).is_tighter_than(&standing(10, 5)));
    }
}
