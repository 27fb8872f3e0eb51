//! The browser's refresh cookie, and the check that a request made with it came from our own pages.

use axum::http::header::{HOST, ORIGIN};
use axum::http::{HeaderMap, Method, Uri};
use axum_extra::extract::CookieJar;
use axum_extra::extract::cookie::{Cookie, SameSite};

use crate::Problem;

/// The name under TLS: browsers take it only with `Secure`, for this host and the whole path.
const SECURE_NAME: &str = "__Host-kiln_refresh";
/// The name on loopback http, where browsers refuse `Secure`.
const LOOPBACK_NAME: &str = "kiln_refresh";

/// The refresh cookie as this request's host needs it.
#[derive(Debug, Clone, Copy)]
pub struct RefreshCookie {
    secure: bool,
}

impl RefreshCookie {
    /// Plain only when the browser itself speaks to a loopback address.
    pub fn of(headers: &HeaderMap) -> Self {
        Self { secure: !host(headers).is_some_and(|authority| is_loopback(&authority)) }
    }

    fn name(self) -> &'static str {
        if self.secure { SECURE_NAME } else { LOOPBACK_NAME }
    }

    /// The refresh token that the browser sent.
    pub fn read(self, headers: &HeaderMap) -> Option<String> {
        CookieJar::from_headers(headers).get(self.name()).map(|cookie| cookie.value().to_owned())
    }

    /// A cookie that holds the token for so many seconds.
    pub fn set(self, token: &str, max_age_s: u64) -> String {
        self.build(token.to_owned(), max_age_s)
    }

    /// A cookie that makes the browser forget the token.
    pub fn clear(self) -> String {
        self.build(String::new(), 0)
    }

    fn build(self, value: String, max_age_s: u64) -> String {
        let cookie =
            Cookie::build((self.name(), value)).path("/").http_only(true).same_site(SameSite::Strict).secure(self.secure);
        // The builder's own Max-Age wants another crate's duration.
        format!("{}; Max-Age={max_age_s}", cookie.build())
    }
}

/// Refuses a request that a page of another site made with the browser's cookie. Browsers send `Origin` with every POST
/// and every WebSocket; with a plain GET to the page's own site they send `Sec-Fetch-Site` in its place.
pub fn check_origin(method: &Method, headers: &HeaderMap) -> Result<(), Problem> {
    let foreign = || Problem::forbidden("A cookie is accepted only from this server's own pages (Origin).");
    if let Some(origin) = headers.get(ORIGIN) {
        let origin: Uri = origin.to_str().ok().and_then(|text| text.parse().ok()).ok_or_else(foreign)?;
        let same = origin.authority().is_some() && origin.authority().map(ToString::to_string) == host(headers);
        return if same { Ok(()) } else { Err(foreign()) };
    }
    let same_origin = headers.get("sec-fetch-site").is_some_and(|site| site == "same-origin");
    if *method == Method::GET && same_origin { Ok(()) } else { Err(foreign()) }
}

fn host(headers: &HeaderMap) -> Option<String> {
    headers.get(HOST).and_then(|host| host.to_str().ok()).map(str::to_ascii_lowercase)
}

fn is_loopback(authority: &str) -> bool {
    let Ok(uri) = authority.parse::<Uri>() else { return false };
    let Some(host) = uri.host() else { return false };
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    bare == "localhost"
        || bare.ends_with(".localhost")
        || bare.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
        pairs.iter().map(|(name, value)| (axum::http::HeaderName::from_static(name), value.parse().unwrap())).collect()
    }

    #[test]
    fn the_cookie_is_secure_but_on_loopback() {
        let public = RefreshCookie::of(&headers(&[("host", "kiln.example.com")]));
        assert_eq!(public.set("t", 60), "__Host-kiln_refresh=t; HttpOnly; SameSite=Strict; Secure; Path=/; Max-Age=60");
        for host in ["127.0.0.1:8080", "localhost:1", "[::1]:8080"] {
            let local = RefreshCookie::of(&headers(&[("host", host)]));
            assert_eq!(local.set("t", 60), "kiln_refresh=t; HttpOnly; SameSite=Strict; Path=/; Max-Age=60");
        }
        assert!(RefreshCookie::of(&HeaderMap::new()).secure);
        assert!(RefreshCookie::of(&headers(&[("host", "localhost.example.com")])).secure);
    }

    #[test]
    fn a_cookie_of_the_other_name_is_not_read() {
        let tossed = headers(&[("host", "kiln.example.com"), ("cookie", "kiln_refresh=evil")]);
        assert_eq!(RefreshCookie::of(&tossed).read(&tossed), None);
    }

    #[test]
    fn only_the_own_origin_passes() {
        let ours = headers(&[("host", "kiln.example.com"), ("origin", "https://kiln.example.com")]);
        assert!(check_origin(&Method::POST, &ours).is_ok());
        for origin in
            ["https://evil.example.com", "null", "https://kiln.example.com.evil.com", "https://kiln.example.com:444", ""]
        {
            let theirs = headers(&[("host", "kiln.example.com"), ("origin", origin)]);
            assert!(check_origin(&Method::POST, &theirs).is_err(), "{origin}");
        }
    }

    #[test]
    fn without_origin_only_a_get_from_the_own_site_passes() {
        let same = headers(&[("host", "k"), ("sec-fetch-site", "same-origin")]);
        assert!(check_origin(&Method::GET, &same).is_ok());
        assert!(check_origin(&Method::POST, &same).is_err());
        assert!(check_origin(&Method::GET, &headers(&[("host", "k"), ("sec-fetch-site", "cross-site")])).is_err());
        assert!(check_origin(&Method::GET, &headers(&[("host", "k")])).is_err());
    }
}
