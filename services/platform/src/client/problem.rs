//! The server's refusals, in plain words.

use std::fmt;

use reqwest::StatusCode;
use serde::Deserialize;
use serde_json::Value;

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
    /// What the request said there, when that is short.
    #[serde(skip)]
    given: Option<String>,
}

/// Longest text of the request that a message repeats.
const GIVEN_CHARACTERS: usize = 60;

impl Problem {
    /// What the answer says, or what its status alone tells when it is no problem document, as from a proxy.
    pub fn parse(status: StatusCode, body: &[u8]) -> Self {
        let mut problem: Self = serde_json::from_slice(body).unwrap_or_default();
        problem.status = status.as_u16();
        if problem.title.is_empty() {
            status.canonical_reason().unwrap_or("an answer without a reason").clone_into(&mut problem.title);
        }
        problem
    }

    /// Adds to each field what the request said in it.
    pub fn about(mut self, request: &Value) -> Self {
        for error in &mut self.errors {
            let given = match request.pointer(&error.pointer) {
                Some(Value::String(text)) => Some(text.clone()),
                Some(value @ (Value::Number(_) | Value::Bool(_))) => Some(value.to_string()),
                _ => None,
            };
            error.given = given.filter(|text| !text.contains('\n') && text.chars().count() <= GIVEN_CHARACTERS);
        }
        self
    }
}

impl std::error::Error for Problem {}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.errors.is_empty() {
            write!(f, "{}", self.detail.as_deref().unwrap_or(&self.title))?;
        }
        for (index, FieldError { pointer, detail, given }) in self.errors.iter().enumerate() {
            let separator = if index == 0 { "" } else { "; " };
            write!(f, "{separator}{}", pointer.trim_start_matches('/').replace('/', "."))?;
            match given {
                Some(given) => write!(f, " {given}: {detail}")?,
                None => write!(f, ": {detail}")?,
            }
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
        assert_eq!(problem.to_string(), "limits.timeout_ms: must be between 100 and 300000");
        let problem = problem.about(&serde_json::json!({ "limits": { "timeout_ms": 7 } }));
        assert_eq!(problem.to_string(), "limits.timeout_ms 7: must be between 100 and 300000");
        assert_eq!(Problem::parse(StatusCode::BAD_GATEWAY, b"<html>").to_string(), "Bad Gateway");
    }
}
