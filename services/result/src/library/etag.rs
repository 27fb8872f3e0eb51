//! Entity tags: the revision of an entry, and what a client says it knows.

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use kiln_http::Problem;

/// The tag of a revision.
pub fn tag(revision: i64) -> HeaderValue {
    HeaderValue::try_from(format!("\"{revision}\"")).expect("digits and quotes are a header's value")
}

/// `If-Match`, where the request has one.
#[derive(Debug, Clone)]
pub struct IfMatch(Option<String>);

impl<S: Send + Sync> FromRequestParts<S> for IfMatch {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        Ok(Self(given(&parts.headers, &header::IF_MATCH)))
    }
}

impl IfMatch {
    /// 428 for a change that must not be made unseen.
    pub fn required(self) -> Result<Self, Problem> {
        if self.0.is_some() {
            return Ok(self);
        }
        Err(Problem::new(
            StatusCode::PRECONDITION_REQUIRED,
            "if_match_required",
            "Say by If-Match which state you have seen: the ETag that its last answer had.",
        ))
    }

    /// 412 when the entry has gone on since the client has seen it.
    pub fn check(&self, revision: i64) -> Result<(), Problem> {
        let Some(known) = &self.0 else { return Ok(()) };
        if names(known, revision) {
            return Ok(());
        }
        let problem = Problem::new(StatusCode::PRECONDITION_FAILED, "stale", "It was changed since you read it; read it again.");
        Err(problem.header(header::ETAG, tag(revision)))
    }
}

/// Whether the client has this revision already, by `If-None-Match`.
pub fn is_known(headers: &HeaderMap, revision: i64) -> bool {
    given(headers, &header::IF_NONE_MATCH).is_some_and(|known| names(&known, revision))
}

fn given(headers: &HeaderMap, name: &header::HeaderName) -> Option<String> {
    let values: Vec<&str> = headers.get_all(name).iter().map(|value| value.to_str().unwrap_or_default()).collect();
    (!values.is_empty()).then(|| values.join(","))
}

/// Proxies that compress make tags weak; a revision says as much either way.
fn names(known: &str, revision: i64) -> bool {
    let own = format!("\"{revision}\"");
    known.split(',').map(|known| known.trim().trim_start_matches("W/")).any(|known| known == "*" || known == own)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stale_tag_is_refused_and_told_the_present_one() {
        let known = |text: &str| IfMatch(Some(text.to_owned()));
        for fine in ["\"7\"", "W/\"7\"", "\"1\", \"7\"", "*"] {
            assert!(known(fine).check(7).is_ok(), "{fine}");
        }
        for stale in ["\"6\"", "7", "", "\"77\""] {
            assert_eq!(known(stale).check(7).unwrap_err().status(), StatusCode::PRECONDITION_FAILED, "{stale}");
        }
        assert!(IfMatch(None).check(7).is_ok());
        assert!(IfMatch(None).required().is_err());
    }
}
