//! The app's files, and how they are sent.

use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};

use crate::{accepts, policy};

pub const INDEX: &str = "index.html";

/// One file, as built into the program.
pub struct Asset {
    pub path: &'static str,
    media_type: &'static str,
    /// Weak: the compressed form has it too.
    etag: &'static str,
    bytes: &'static [u8],
    gzip: Option<&'static [u8]>,
}

/// In the order of their paths.
static ASSETS: &[Asset] = include!(concat!(env!("OUT_DIR"), "/assets.rs"));

pub fn find(path: &str) -> Option<&'static Asset> {
    ASSETS.iter().find(|asset| asset.path == path)
}

/// The page that starts the app.
pub fn index() -> &'static Asset {
    find(INDEX).expect("dist/ has an index.html")
}

impl Asset {
    pub fn answer(&self, status: StatusCode, request: &HeaderMap) -> Response {
        let mut headers = HeaderMap::new();
        let mut set = |name, value| headers.insert(name, HeaderValue::from_static(value));
        set(header::CONTENT_TYPE, self.media_type);
        set(header::ETAG, self.etag);
        set(header::VARY, "accept-encoding");
        set(header::CACHE_CONTROL, if self.is_hashed() { "public, max-age=31536000, immutable" } else { "no-cache" });
        policy::add(&mut headers, self.path);
        if status == StatusCode::OK && request.get(header::IF_NONE_MATCH).is_some_and(|known| self.is_known(known)) {
            return (StatusCode::NOT_MODIFIED, headers).into_response();
        }
        match self.gzip.filter(|_| accepts(request, &header::ACCEPT_ENCODING, "gzip")) {
            Some(packed) => {
                headers.insert(header::CONTENT_ENCODING, HeaderValue::from_static("gzip"));
                (status, headers, packed).into_response()
            }
            None => (status, headers, self.bytes).into_response(),
        }
    }

    /// Its name changes with its content.
    fn is_hashed(&self) -> bool {
        self.path.starts_with("assets/")
    }

    fn is_known(&self, tags: &HeaderValue) -> bool {
        tags.to_str().is_ok_and(|tags| tags.split(',').any(|tag| tag.trim() == self.etag || tag.trim() == "*"))
    }
}
