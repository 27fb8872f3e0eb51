//! The server's refusals, in plain words.

use std::fmt;

use reqwest::StatusCode;
use serde::Deserialize;

/// A problem document, as far as a person needs it.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct Problem {
    pub status: u16,
    pub title: String,
    pub detail: Option<String>,
    pub code: String,
    pub request_id: Option<String>,
    pub errors: Vec<FieldError>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct FieldError {
    pointer: String,
    detail: String,
}

impl Problem {
    /// What the answer says, or what its status alone tells when it is no problem document, as from a proxy.
    pub fn parse(status: StatusCode, body: &[u8]) -> Self {
        let mut problem: Self = serde_json::from_slice(body).unwrap_or_default();
        problem.status = status.as_u16();
        if problem.title.is_empty() {
            problem.title = status.canonical_reason().unwrap_or("an answer without a reason").to_owned();
        }
        problem
    }
}

impl std::error::Error for Problem {}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.detail.as_deref().unwrap_or(&self.title))?;
        for error in &self.errors {
            write!(f, "; {}: {}", error.pointer.trim_start_matches('/').replace('/', "."), error.detail)?;
        }
        match (self.status, &self.request_id) {
            (401, _) => f.write_str("; sign in with `kiln login`"),
            (500.., Some(id)) => write!(f, " (request {id})"),
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_named_and_other_answers_survive() {
        let body = br#"{"title":"Unprocessable","status":422,"detail":"a field is wrong","code":"validation",
            "errors":[{"pointer":"/limits/timeout_ms","detail":"must be between 100 and 300000"}]}"#;
        let problem = Problem::parse(StatusCode::UNPROCESSABLE_ENTITY, body);
        assert_eq!(problem.to_string(), "a field is wrong; limits.timeout_ms: must be between 100 and 300000");
        assert_eq!(Problem::parse(StatusCode::BAD_GATEWAY, b"<html>").to_string(), "Bad Gateway");
    }
}
