//! RFC 9457 problem documents. A handler returns a [`Problem`]; the outermost layer writes it with the request's id.

use std::fmt;

use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use utoipa::ToSchema;

/// One field that was refused.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct FieldError {
    /// JSON pointer into the body, such as `/limits/timeout_ms`; a query parameter or header by its name.
    pub pointer: String,
    pub detail: String,
}

impl FieldError {
    pub fn new(pointer: impl Into<String>, detail: impl Into<String>) -> Self {
        Self { pointer: pointer.into(), detail: detail.into() }
    }
}

/// An answer that is not a success. Details are for the caller; causes go to the log.
#[derive(Debug, Clone)]
pub struct Problem {
    pub(crate) status: StatusCode,
    pub(crate) code: &'static str,
    pub(crate) detail: String,
    pub(crate) errors: Vec<FieldError>,
    pub(crate) headers: HeaderMap,
}

/// The document as sent.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Problem)]
pub struct ProblemDocument {
    #[serde(rename = "type")]
    pub kind: String,
    pub title: String,
    pub status: u16,
    pub detail: String,
    /// Stable name of the problem, for programs.
    pub code: String,
    pub request_id: String,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schema(required = false)]
    pub errors: Vec<FieldError>,
}

impl Problem {
    /// A problem of this status; `code` is its stable name for programs.
    pub fn new(status: StatusCode, code: &'static str, detail: impl Into<String>) -> Self {
        Self { status, code, detail: detail.into(), errors: Vec::new(), headers: HeaderMap::new() }
    }

    pub fn bad_request(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "bad_request", detail)
    }

    pub fn unauthorized(detail: impl Into<String>) -> Self {
        let challenge = HeaderValue::from_static("Bearer realm=\"kiln\"");
        Self::new(StatusCode::UNAUTHORIZED, "unauthorized", detail).header(axum::http::header::WWW_AUTHENTICATE, challenge)
    }

    pub fn forbidden(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::FORBIDDEN, "forbidden", detail)
    }

    /// Unknown, or another tenant's: the caller cannot tell which.
    pub fn not_found() -> Self {
        Self::new(StatusCode::NOT_FOUND, "not_found", "There is nothing here by that name.")
    }

    pub fn conflict(code: &'static str, detail: impl Into<String>) -> Self {
        Self::new(StatusCode::CONFLICT, code, detail)
    }

    /// Fields of the body that are understood but not acceptable.
    pub fn invalid(errors: Vec<FieldError>) -> Self {
        let detail = match errors.as_slice() {
            [only] => format!("{} {}", only.pointer, only.detail),
            many => format!("{} fields are not acceptable.", many.len()),
        };
        Self { errors, ..Self::new(StatusCode::UNPROCESSABLE_ENTITY, "invalid", detail) }
    }

    /// A single field that is not acceptable.
    pub fn invalid_field(pointer: impl Into<String>, detail: impl Into<String>) -> Self {
        Self::invalid(vec![FieldError::new(pointer, detail)])
    }

    pub fn too_large(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::PAYLOAD_TOO_LARGE, "too_large", detail)
    }

    /// Over a rate or quota; `code` says which. The caller may try again after so many seconds.
    pub fn too_many(code: &'static str, detail: impl Into<String>, retry_after_s: u64) -> Self {
        Self::new(StatusCode::TOO_MANY_REQUESTS, code, detail)
            .header(axum::http::header::RETRY_AFTER, HeaderValue::from(retry_after_s))
    }

    /// A tenant's quota that another service found spent.
    pub fn over_quota(code: &str, detail: impl Into<String>) -> Self {
        match code {
            "max_queued" => Self::too_many("max_queued", detail, 1),
            "executions_per_minute" => Self::too_many("executions_per_minute", detail, 60),
            "cpu_ms_per_day" => {
                const DAY_S: i64 = 24 * 3600;
                let left_s = DAY_S - jiff::Timestamp::now().as_second().rem_euclid(DAY_S);
                Self::too_many("cpu_ms_per_day", detail, left_s.unsigned_abs())
            }
            "tenant_suspended" => Self::new(StatusCode::FORBIDDEN, "tenant_suspended", detail),
            _ => Self::forbidden(detail),
        }
    }

    /// Cannot be served now through no fault of the caller.
    pub fn unavailable(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "unavailable", detail)
            .header(axum::http::header::RETRY_AFTER, HeaderValue::from_static("1"))
    }

    /// Our own failure: the cause is logged here, once, and not told.
    pub fn internal(error: impl fmt::Debug) -> Self {
        tracing::error!(?error, "request failed");
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "internal", "Something failed on our side; it has been logged.")
    }

    #[must_use]
    pub fn header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.headers.insert(name, value);
        self
    }

    pub fn status(&self) -> StatusCode {
        self.status
    }

    pub fn code(&self) -> &'static str {
        self.code
    }

    pub fn detail(&self) -> &str {
        &self.detail
    }

    pub fn errors(&self) -> &[FieldError] {
        &self.errors
    }

    pub(crate) fn document(&self, request_id: &str) -> ProblemDocument {
        ProblemDocument {
            kind: "about:blank".to_owned(),
            title: self.status.canonical_reason().unwrap_or("Error").to_owned(),
            status: self.status.as_u16(),
            detail: self.detail.clone(),
            code: self.code.to_owned(),
            request_id: request_id.to_owned(),
            errors: self.errors.clone(),
        }
    }
}

impl IntoResponse for Problem {
    /// The body is written by the outermost layer, which knows the request's id.
    fn into_response(self) -> Response {
        let mut response = self.status.into_response();
        response.headers_mut().extend(self.headers.clone());
        response.extensions_mut().insert(self);
        response
    }
}

impl From<sqlx::Error> for Problem {
    fn from(error: sqlx::Error) -> Self {
        if matches!(error, sqlx::Error::PoolTimedOut | sqlx::Error::Io(_) | sqlx::Error::PoolClosed) {
            tracing::warn!(%error, "database is not reachable");
            return Self::unavailable("The database cannot be reached; try again.");
        }
        Self::internal(error)
    }
}

impl From<kiln_bus::RequestError> for Problem {
    fn from(error: kiln_bus::RequestError) -> Self {
        match error {
            kiln_bus::RequestError::Malformed { .. } | kiln_bus::RequestError::Fault { .. } => Self::internal(error),
            kiln_bus::RequestError::NoResponders { .. }
            | kiln_bus::RequestError::TimedOut { .. }
            | kiln_bus::RequestError::Bus { .. } => {
                tracing::warn!(%error, "an internal request was not answered");
                Self::unavailable("A part of the service is not reachable; try again.")
            }
        }
    }
}
