//! The address a request came from, for throttles and the audit log.

use std::net::{IpAddr, Ipv6Addr};

use axum::extract::FromRequestParts;
use axum::http::request::Parts;

use crate::{Problem, RequestContext};

/// The client's address: the peer's, unless that is a proxy which the operator trusts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct ClientAddress(pub IpAddr);

impl ClientAddress {
    /// What throttles count by: the address, or the /64 network of an IPv6 address, which is one subscriber's.
    pub fn network(self) -> IpAddr {
        match self.0 {
            IpAddr::V4(_) => self.0,
            IpAddr::V6(address) => {
                let [a, b, c, d, ..] = address.segments();
                IpAddr::V6(Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0))
            }
        }
    }
}

impl<S: Send + Sync> FromRequestParts<S> for ClientAddress {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        RequestContext::of(&parts.extensions).map(RequestContext::address)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_ipv6_subscriber_is_counted_once() {
        let one = ClientAddress("2001:db8:1:2:3::4".parse().unwrap());
        let other = ClientAddress("2001:db8:1:2:ffff::9".parse().unwrap());
        assert_eq!(one.network(), other.network());
        assert_ne!(one.network(), ClientAddress("2001:db8:1:3::4".parse().unwrap()).network());
    }
}
