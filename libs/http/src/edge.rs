//! The edge of a process: from where a request comes when proxies stand in between, and how many requests an address,
//! a tenant and a credential may make.

use std::net::{IpAddr, SocketAddr};
use std::num::NonZeroU32;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use axum::Router;
use axum::extract::{ConnectInfo, FromRequestParts};
use axum::http::request::Parts;
use axum::http::{Extensions, HeaderMap, Request, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use governor::middleware::StateInformationMiddleware;
use ipnet::IpNet;
use kiln_domain::{RequestId, TenantId};
use serde::Deserialize;
use tower_governor::governor::{GovernorConfig, GovernorConfigBuilder};
use tower_governor::key_extractor::KeyExtractor;
use tower_governor::{GovernorError, GovernorLayer};
use uuid::Uuid;

use crate::Problem;
use crate::auth::{Caller, ClientAddress};
use crate::rate::{RateLimit, Standing};

/// The settings of the edge. Rates are counted by each process for itself.
#[derive(Debug, Clone, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct EdgeConfig {
    /// Requests a minute from one address that name no caller, or a caller who cannot be verified.
    pub anonymous_per_minute: NonZeroU32,
    /// Requests a minute of one tenant.
    pub tenant_per_minute: NonZeroU32,
    /// Requests a minute of one person or API key in a tenant.
    pub caller_per_minute: NonZeroU32,
    /// Networks of the proxies whose `X-Forwarded-For` is believed; none as delivered.
    pub trusted_proxies: Vec<IpNet>,
}

impl Default for EdgeConfig {
    fn default() -> Self {
        Self {
            anonymous_per_minute: const { NonZeroU32::new(6_000).unwrap() },
            // Room for each of a tenant's 60 000 executions a minute to be asked about.
            tenant_per_minute: const { NonZeroU32::new(240_000).unwrap() },
            caller_per_minute: const { NonZeroU32::new(120_000).unwrap() },
            trusted_proxies: Vec::new(),
        }
    }
}

/// Header in which the governor says what is left.
const GOVERNOR_LEFT: &str = "x-ratelimit-remaining";
const GOVERNOR_LIMIT: &str = "x-ratelimit-limit";
const ADDRESS_SPENT: &str = "Too many requests from this address; wait and try again.";

/// Counts by the network of the client's address.
#[derive(Debug, Clone, Copy)]
struct ByAddress;

impl KeyExtractor for ByAddress {
    type Key = IpAddr;

    fn extract<T>(&self, request: &Request<T>) -> Result<IpAddr, GovernorError> {
        let context = RequestContext::of(request.extensions()).map_err(|_| GovernorError::UnableToExtractKey)?;
        Ok(context.address.network())
    }
}

/// What the edge of a process counts.
pub struct Edge {
    governor: Arc<GovernorConfig<ByAddress, StateInformationMiddleware>>,
    /// The governor's own count, for credentials that turn out to be nobody's.
    anonymous: Arc<RateLimit<IpAddr>>,
    tenants: RateLimit<TenantId>,
    callers: RateLimit<(TenantId, Uuid)>,
    trusted: Vec<IpNet>,
}

impl Edge {
    pub fn new(config: &EdgeConfig) -> Self {
        let quota = config.anonymous_per_minute;
        let mut builder = GovernorConfigBuilder::default().key_extractor(ByAddress).use_headers();
        let governor = builder.period(Duration::from_mins(1) / quota.get()).burst_size(quota.get()).finish();
        let governor = Arc::new(governor.expect("a minute through a number that is not zero is a period"));
        Self {
            anonymous: Arc::new(RateLimit::sharing("address", quota, Arc::clone(governor.limiter()))),
            governor,
            tenants: RateLimit::per_minute("tenant", config.tenant_per_minute),
            callers: RateLimit::per_minute("caller", config.caller_per_minute),
            trusted: config.trusted_proxies.clone(),
        }
    }

    /// The same routes for requests that name no caller: at most so many from one address.
    pub(crate) fn govern(&self, router: Router) -> Router {
        let anonymous = Arc::clone(&self.anonymous);
        let refuse = move |error| match error {
            GovernorError::TooManyRequests { wait_time, .. } => {
                anonymous.refused(wait_time).refusal("rate_limited", ADDRESS_SPENT).into_response()
            }
            error @ (GovernorError::UnableToExtractKey | GovernorError::Other { .. }) => Problem::internal(error).into_response(),
        };
        router.layer(GovernorLayer::new(Arc::clone(&self.governor)).error_handler(refuse))
    }

    /// The client: the peer, or what the last trusted proxy in an unbroken row from the peer says of its own.
    fn client(&self, peer: IpAddr, headers: &HeaderMap) -> IpAddr {
        let trusts = |address: IpAddr| self.trusted.iter().any(|network| network.contains(&address));
        let mut client = peer.to_canonical();
        let forwarded = headers.get_all("x-forwarded-for").iter().filter_map(|value| value.to_str().ok());
        let mut hops: Vec<&str> = forwarded.flat_map(|value| value.split(',')).collect();
        while trusts(client) {
            let Some(Ok(before)) = hops.pop().map(|hop| hop.trim().parse::<IpAddr>()) else { break };
            client = before.to_canonical();
        }
        client
    }
}

/// What is known of a request before any handler runs.
#[derive(Clone)]
pub struct RequestContext {
    pub id: RequestId,
    address: ClientAddress,
    /// Whether it comes with an `Authorization` header, whatever that is worth.
    pub(crate) names_a_caller: bool,
    edge: Arc<Edge>,
    /// Where the caller stands, for the answer.
    standing: Arc<OnceLock<Standing>>,
}

impl RequestContext {
    pub(crate) fn new(edge: Arc<Edge>, extensions: &Extensions, headers: &HeaderMap) -> Result<Self, Problem> {
        let ConnectInfo(peer) = extensions
            .get::<ConnectInfo<SocketAddr>>()
            .ok_or_else(|| Problem::internal("the server does not pass on its peers' addresses"))?;
        let address = ClientAddress(edge.client(peer.ip(), headers));
        let names_a_caller = headers.contains_key(header::AUTHORIZATION);
        Ok(Self { id: RequestId::generate(), address, names_a_caller, edge, standing: Arc::default() })
    }

    /// From where the request came.
    pub fn address(&self) -> ClientAddress {
        self.address
    }

    /// Takes over what the governor says of a request that names no caller.
    pub(crate) fn governed(&self, response: &mut Response) {
        let headers = response.headers_mut();
        headers.remove(GOVERNOR_LIMIT);
        let Some(left) = headers.remove(GOVERNOR_LEFT).and_then(|left| left.to_str().ok()?.parse().ok()) else { return };
        self.edge.anonymous.forget_now_and_then();
        self.standing.get_or_init(|| self.edge.anonymous.left(left));
    }

    /// The caller, counted against their rate; a refused credential counts against the address it came from.
    pub fn counted(&self, caller: Result<Caller, Problem>) -> Result<Caller, Problem> {
        match &caller {
            Ok(caller) => self.count(caller)?,
            // A request that names nobody has been counted already.
            Err(problem) if problem.status() == StatusCode::UNAUTHORIZED && self.names_a_caller => self.count_address()?,
            Err(_) => {}
        }
        caller
    }

    fn count_address(&self) -> Result<(), Problem> {
        let standing = self.edge.anonymous.take(&self.address.network());
        self.note(standing, ADDRESS_SPENT)
    }

    fn count(&self, caller: &Caller) -> Result<(), Problem> {
        let own = self.edge.callers.take(&(caller.tenant_id, caller.actor()));
        let own = own.map_err(|refused| refused.refusal("rate_limited", "You make too many requests; wait and try again."))?;
        let shared = self.edge.tenants.take(&caller.tenant_id);
        let tighter = shared.map(|shared| if shared.is_tighter_than(&own) { shared } else { own });
        self.note(tighter, "Your tenant makes too many requests; wait and try again.")
    }

    fn note(&self, standing: Result<Standing, Standing>, detail: &str) -> Result<(), Problem> {
        let standing = standing.map_err(|refused| refused.refusal("rate_limited", detail))?;
        // The first count of a request is the one that is told.
        self.standing.get_or_init(|| standing);
        Ok(())
    }

    /// The headers for the answer.
    pub(crate) fn headers(&self) -> HeaderMap {
        self.standing.get().map(Standing::headers).unwrap_or_default()
    }
}

impl<S: Send + Sync> FromRequestParts<S> for RequestContext {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        Self::of(&parts.extensions).cloned()
    }
}

impl RequestContext {
    pub(crate) fn of(extensions: &Extensions) -> Result<&Self, Problem> {
        extensions.get::<Self>().ok_or_else(|| Problem::internal("a route stands outside of the common layers"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn client(trusted: &[&str], peer: &str, forwarded: &[&str]) -> String {
        let trusted_proxies = trusted.iter().map(|network| network.parse().unwrap()).collect();
        let edge = Edge::new(&EdgeConfig { trusted_proxies, ..EdgeConfig::default() });
        let headers = forwarded.iter().map(|value| ("x-forwarded-for".parse().unwrap(), value.parse().unwrap())).collect();
        edge.client(peer.parse().unwrap(), &headers).to_string()
    }

    #[test]
    fn only_trusted_hops_are_believed() {
        assert_eq!(client(&[], "192.0.2.9", &["203.0.113.1"]), "192.0.2.9");
        let proxy = &["10.0.0.0/8"];
        assert_eq!(client(proxy, "10.0.0.1", &["203.0.113.1"]), "203.0.113.1");
        // What the client itself wrote before the proxy's entry counts for nothing.
        assert_eq!(client(proxy, "10.0.0.1", &["198.51.100.7, 203.0.113.1, 10.1.1.1"]), "203.0.113.1");
        assert_eq!(client(proxy, "10.0.0.1", &["198.51.100.7", "203.0.113.1"]), "203.0.113.1");
        assert_eq!(client(proxy, "192.0.2.9", &["203.0.113.1"]), "192.0.2.9");
        for broken in [&[][..], &["nonsense"], &[""]] {
            assert_eq!(client(proxy, "10.0.0.1", broken), "10.0.0.1");
        }
        assert_eq!(client(proxy, "::ffff:10.0.0.1", &["::ffff:203.0.113.1"]), "203.0.113.1");
    }
}
