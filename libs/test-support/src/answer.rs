//! An HTTP answer, and what a test may expect of it.

use reqwest::header::HeaderMap;
use serde_json::Value;

use crate::assert_like;

/// A whole answer, with the request that it answers.
#[derive(Debug, Clone)]
pub struct Answer {
    /// Method and URL, for messages.
    pub request: String,
    pub status: u16,
    pub headers: HeaderMap,
    pub body: Vec<u8>,
}

/// An answer that is an RFC 9457 problem document.
#[derive(Debug, Clone)]
pub struct Problem {
    pub request: String,
    pub headers: HeaderMap,
    pub body: Value,
}

impl Answer {
    /// This answer, if it has the status.
    #[track_caller]
    pub fn expect(self, status: u16) -> Self {
        assert!(self.status == status, "{}: expected {status}, answered {} {}", self.request, self.status, self.text());
        self
    }

    /// The body as JSON.
    #[track_caller]
    pub fn json(&self) -> Value {
        match serde_json::from_slice(&self.body) {
            Ok(value) => value,
            Err(error) => panic!("{}: answered {} with no JSON ({error}): {}", self.request, self.status, self.text()),
        }
    }

    /// The body as text, for comparison or a message.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The header's value, or an empty text.
    pub fn header(&self, name: &str) -> &str {
        header(&self.headers, name)
    }

    /// The answer as a problem document of that status, which has every member that the contract asks for.
    #[track_caller]
    pub fn problem(self, status: u16) -> Problem {
        let answer = self.expect(status);
        let kind = answer.header("content-type");
        assert!(kind.starts_with("application/problem+json"), "{}: a {status} of type {kind:?}", answer.request);
        let body = answer.json();
        assert_like(
            &body,
            serde_json::json!({
                "type": "<string>", "title": "<string>", "status": status, "detail": "<string>", "code": "<string>", "request_id": "<string>",
            }),
        );
        let text = answer.text();
        for leak in ["sqlx", "SELECT ", "INSERT ", "panicked", "src/", ".rs:", "/tmp/"] {
            assert!(!text.contains(leak), "{}: the problem shows internals ({leak}): {text}", answer.request);
        }
        Problem { request: answer.request, headers: answer.headers, body }
    }
}

impl Problem {
    /// The machine-readable code.
    pub fn code(&self) -> &str {
        self.body["code"].as_str().unwrap_or_default()
    }

    /// The problem, if one of its errors points there or to something inside.
    #[track_caller]
    pub fn within(self, pointer: &str) -> Self {
        let inside = |error: &Value| error["pointer"].as_str().is_some_and(|found| found.starts_with(pointer));
        assert!(
            self.body["errors"].as_array().is_some_and(|errors| errors.iter().any(inside)),
            "{}: no error within {pointer:?} in {}",
            self.request,
            self.body
        );
        self
    }

    /// The problem, if one of its errors points exactly there.
    #[track_caller]
    pub fn at(self, pointer: &str) -> Self {
        let pointers: Vec<_> =
            self.body["errors"].as_array().into_iter().flatten().filter_map(|e| e["pointer"].as_str()).collect();
        assert!(pointers.contains(&pointer), "{}: no error at {pointer:?} in {}", self.request, self.body);
        self
    }

    pub fn header(&self, name: &str) -> &str {
        header(&self.headers, name)
    }

    /// What two problems for different reasons must have in common, if they must not tell those reasons apart.
    pub fn without_request_id(&self) -> Value {
        let mut body = self.body.clone();
        if let Some(members) = body.as_object_mut() {
            members.remove("request_id");
            members.remove("instance");
        }
        body
    }
}

fn header<'a>(headers: &'a HeaderMap, name: &str) -> &'a str {
    headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
}
