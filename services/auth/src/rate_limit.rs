//! A rate by client address, with the headers that tell it (draft-ietf-httpapi-ratelimit-headers).

use std::net::IpAddr;
use std::num::NonZeroU32;

use anyhow::Context as _;
use axum::http::{HeaderMap, HeaderName, HeaderValue};
use governor::clock::{Clock as _, DefaultClock};
use governor::middleware::StateInformationMiddleware;
use governor::{DefaultKeyedRateLimiter, Quota, RateLimiter};
use kiln_http::Problem;
use kiln_http::auth::ClientAddress;

const WINDOW_S: u64 = 60;

/// At most so many a minute from one address, all at once if they like.
pub struct RateLimit {
    name: &'static str,
    quota: NonZeroU32,
    limiter: DefaultKeyedRateLimiter<IpAddr, StateInformationMiddleware>,
    clock: DefaultClock,
}

impl RateLimit {
    pub fn per_minute(name: &'static str, quota: u32) -> anyhow::Result<Self> {
        let quota = NonZeroU32::new(quota).context("a rate limit must be at least 1 a minute")?;
        let limiter = RateLimiter::keyed(Quota::per_minute(quota)).with_middleware();
        Ok(Self { name, quota, limiter, clock: DefaultClock::default() })
    }

    /// Counts one request, or refuses it with 429; the headers are for the answer.
    pub fn take(&self, address: ClientAddress) -> Result<HeaderMap, Problem> {
        match self.limiter.check_key(&address.network()) {
            Ok(left) => Ok(headers(self.name, self.quota.get(), WINDOW_S, left.remaining_burst_capacity(), WINDOW_S)),
            Err(until) => {
                let wait_s = until.wait_time_from(self.clock.now()).as_secs() + 1;
                let problem =
                    Problem::too_many("rate_limited", "Too many requests from this address; wait and try again.", wait_s);
                Err(with_headers(problem, &headers(self.name, self.quota.get(), WINDOW_S, 0, wait_s)))
            }
        }
    }

    /// Forgets addresses whose rate has recovered.
    pub fn forget_idle(&self) {
        self.limiter.retain_recent();
        self.limiter.shrink_to_fit();
    }
}

/// `RateLimit-Policy` and `RateLimit`: so many in a window, so many left until it resets.
pub fn headers(name: &str, quota: u32, window_s: u64, remaining: u32, reset_s: u64) -> HeaderMap {
    let policy = (HeaderName::from_static("ratelimit-policy"), format!("\"{name}\";q={quota};w={window_s}"));
    let state = (HeaderName::from_static("ratelimit"), format!("\"{name}\";r={remaining};t={reset_s}"));
    [policy, state].into_iter().filter_map(|(name, text)| Some((name, HeaderValue::try_from(text).ok()?))).collect()
}

pub fn with_headers(problem: Problem, headers: &HeaderMap) -> Problem {
    headers.iter().fold(problem, |problem, (name, value)| problem.header(name.clone(), value.clone()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_next_one_is_refused_and_others_are_not() {
        let limit = RateLimit::per_minute("signup", 2).unwrap();
        let (one, other) = (ClientAddress("192.0.2.1".parse().unwrap()), ClientAddress("192.0.2.2".parse().unwrap()));
        let headers = limit.take(one).unwrap();
        assert_eq!(headers["ratelimit"], "\"signup\";r=1;t=60");
        assert_eq!(headers["ratelimit-policy"], "\"signup\";q=2;w=60");
        assert!(limit.take(one).is_ok());
        assert_eq!(limit.take(one).unwrap_err().status(), 429);
        assert!(limit.take(other).is_ok());
    }
}
