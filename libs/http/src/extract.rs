//! Extractors whose refusals are problems with a pointer to what is wrong.

use std::fmt;
use std::marker::PhantomData;

use axum::extract::{FromRequest, FromRequestParts, Path, Query, Request};
use axum::http::request::Parts;
use axum::http::{HeaderMap, StatusCode, header};
use bytes::Bytes;
use serde::de::value::MapAccessDeserializer;
use serde::de::{DeserializeOwned, MapAccess, Visitor};
use serde::{Deserialize, Deserializer};

use crate::Problem;

/// A JSON body. 415 for another type, 400 when it is not JSON, 422 with a pointer when it does not fit `T`.
#[derive(Debug, Clone)]
pub struct ApiJson<T>(pub T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequest<S> for ApiJson<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        let Body(bytes) = Body::from_request(request, state).await?;
        parse(&bytes).map(Self)
    }
}

/// The bytes of a JSON body, its type checked, not yet parsed; for routes that also need them as they came.
#[derive(Debug, Clone)]
pub struct Body(pub Bytes);

impl<S: Send + Sync> FromRequest<S> for Body {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        if !is_json(request.headers()) {
            return Err(not_json());
        }
        let bytes = Bytes::from_request(request, state).await.map_err(|rejection| match rejection.status() {
            StatusCode::PAYLOAD_TOO_LARGE => Problem::too_large("The body is larger than this route accepts."),
            _ => Problem::bad_request("The body could not be read."),
        })?;
        Ok(Self(bytes))
    }
}

impl Body {
    /// For routes whose body may be left out: checks the type of one that is there.
    pub fn checked(headers: &HeaderMap, bytes: Bytes) -> Result<Self, Problem> {
        if is_json(headers) { Ok(Self(bytes)) } else { Err(not_json()) }
    }

    /// Parses the body; the same refusals as [`ApiJson`].
    pub fn json<T: DeserializeOwned>(&self) -> Result<T, Problem> {
        parse(&self.0)
    }
}

fn not_json() -> Problem {
    Problem::new(
        StatusCode::UNSUPPORTED_MEDIA_TYPE,
        "unsupported_media_type",
        "The body must be JSON, with Content-Type: application/json.",
    )
}

fn is_json(headers: &HeaderMap) -> bool {
    let Some(value) = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()) else { return false };
    let essence = value.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    essence == "application/json" || (essence.starts_with("application/") && essence.ends_with("+json"))
}

fn parse<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Problem> {
    // Serde would also read an object from a JSON array, field by field.
    if bytes.trim_ascii_start().first() != Some(&b'{') && serde_json::from_slice::<serde::de::IgnoredAny>(bytes).is_ok() {
        return Err(Problem::invalid_field("", "must be an object"));
    }
    let mut deserializer = serde_json::Deserializer::from_slice(bytes);
    let value = serde_path_to_error::deserialize(&mut deserializer).map_err(|error| {
        let pointer = pointer(error.path());
        let inner = error.into_inner();
        match inner.classify() {
            serde_json::error::Category::Data => match missing_field(&inner.to_string()) {
                Some(field) => Problem::invalid_field(format!("{pointer}/{field}"), "is required"),
                None => Problem::invalid_field(pointer, plain(&inner.to_string())),
            },
            serde_json::error::Category::Syntax | serde_json::error::Category::Eof | serde_json::error::Category::Io => {
                Problem::bad_request(format!("The body is not valid JSON: {inner}."))
            }
        }
    })?;
    deserializer.end().map_err(|_| Problem::bad_request("The body has text after its JSON value."))?;
    Ok(value)
}

/// Serde's message without its position, which the pointer says better.
fn plain(message: &str) -> String {
    message.split(" at line ").next().unwrap_or_default().to_owned()
}

/// Serde reports a missing field at its parent; the pointer names the field itself.
fn missing_field(message: &str) -> Option<&str> {
    message.strip_prefix("missing field `")?.split('`').next()
}

fn pointer(path: &serde_path_to_error::Path) -> String {
    use serde_path_to_error::Segment;
    path.iter()
        .map(|segment| match segment {
            Segment::Seq { index } => format!("/{index}"),
            Segment::Map { key } => format!("/{}", key.replace('~', "~0").replace('/', "~1")),
            Segment::Enum { variant } => format!("/{variant}"),
            Segment::Unknown => String::new(),
        })
        .collect()
}

/// A JSON object inside a body, read as `T`: an array of its fields in order, which serde would accept, is refused.
#[derive(Debug, Clone, Copy, Default)]
pub struct Object<T>(pub T);

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Object<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct MapOnly<T>(PhantomData<T>);
        impl<'de, T: Deserialize<'de>> Visitor<'de> for MapOnly<T> {
            type Value = T;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }
            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<T, A::Error> {
                T::deserialize(MapAccessDeserializer::new(map))
            }
        }
        deserializer.deserialize_map(MapOnly(PhantomData)).map(Self)
    }
}

/// Query parameters; 400 when they do not fit.
#[derive(Debug, Clone)]
pub struct ApiQuery<T>(pub T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequestParts<S> for ApiQuery<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        match Query::<T>::from_request_parts(parts, state).await {
            Ok(Query(query)) => Ok(Self(query)),
            Err(_) => Err(Problem::bad_request("A query parameter is unknown or has no acceptable value.")),
        }
    }
}

/// Path parameters; an id that is no UUID names nothing, so 404.
#[derive(Debug, Clone)]
pub struct ApiPath<T>(pub T);

impl<S: Send + Sync, T: DeserializeOwned + Send> FromRequestParts<S> for ApiPath<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        match Path::<T>::from_request_parts(parts, state).await {
            Ok(Path(path)) => Ok(Self(path)),
            Err(_) => Err(Problem::not_found()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, serde::Deserialize)]
    #[serde(deny_unknown_fields)]
    #[expect(dead_code, reason = "only whether it parses matters")]
    struct Sample {
        limits: Inner,
    }

    #[derive(Debug, serde::Deserialize)]
    #[serde(deny_unknown_fields)]
    #[expect(dead_code, reason = "only whether it parses matters")]
    struct Inner {
        timeout_ms: u64,
    }

    fn refused(body: &str) -> Problem {
        parse::<Sample>(body.as_bytes()).unwrap_err()
    }

    #[test]
    fn a_wrong_value_is_pointed_at() {
        let problem = refused(r#"{"limits":{"timeout_ms":"soon"}}"#);
        assert_eq!(problem.status(), StatusCode::UNPROCESSABLE_ENTITY);
        assert_eq!(problem.errors[0].pointer, "/limits/timeout_ms");
    }

    #[test]
    fn an_unknown_field_is_pointed_at() {
        assert_eq!(refused(r#"{"limits":{"timeout_ms":1,"x":2}}"#).errors[0].pointer, "/limits/x");
    }

    #[test]
    fn a_missing_field_is_pointed_at() {
        assert_eq!(refused(r#"{"limits":{}}"#).errors[0].pointer, "/limits/timeout_ms");
    }

    #[test]
    fn an_array_is_no_object() {
        assert_eq!(refused(r#"[{"timeout_ms":1}]"#).status(), StatusCode::UNPROCESSABLE_ENTITY);
        let nested = serde_json::from_str::<Object<Inner>>("[1]");
        assert!(nested.is_err());
        assert!(serde_json::from_str::<Object<Inner>>(r#"{"timeout_ms":1}"#).is_ok());
    }

    #[test]
    fn what_is_not_json_is_a_bad_request() {
        for body in ["", "{", "{\"limits\":}", "{\"limits\":{\"timeout_ms\":1}} x"] {
            assert_eq!(refused(body).status(), StatusCode::BAD_REQUEST, "{body}");
        }
    }
}
