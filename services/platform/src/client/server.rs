//! Finds out which Kiln to speak to.

use anyhow::Context;
use reqwest::Url;

use super::credentials::Store;
use crate::paths;
use crate::up::instance::{self, Running};

const DEFAULT: &str = "http://127.0.0.1:8080";

/// The one that was named, else the one last signed in to by name, else the one that runs here.
pub fn choose(named: Option<&str>, store: &Store) -> anyhow::Result<Url> {
    match named.or(store.named_server()) {
        Some(address) => parse(address),
        None => parse(&running_here().unwrap_or_else(|| DEFAULT.to_owned())),
    }
}

fn running_here() -> Option<String> {
    match instance::running(&paths::data_dir(None).ok()?).ok()? {
        Running::Serving(state) => Some(state.url),
        Running::No | Running::Starting => None,
    }
}

fn parse(address: &str) -> anyhow::Result<Url> {
    let mut url = Url::parse(address).with_context(|| format!("{address} is no address such as {DEFAULT}"))?;
    anyhow::ensure!(matches!(url.scheme(), "http" | "https"), "{address} must begin with http:// or https://");
    anyhow::ensure!(url.username().is_empty() && url.password().is_none(), "an address cannot hold a password");
    if !url.path().ends_with('/') {
        let path = format!("{}/", url.path());
        url.set_path(&path);
    }
    url.set_query(None);
    url.set_fragment(None);
    Ok(url)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_becomes_a_base_that_paths_join_to() {
        assert_eq!(parse("http://127.0.0.1:9").unwrap().as_str(), "http://127.0.0.1:9/");
        assert_eq!(parse("https://a.example/kiln?x#y").unwrap().as_str(), "https://a.example/kiln/");
        for wrong in ["127.0.0.1:8080", "ftp://a.example", "http://me:secret@a.example", ""] {
            assert!(parse(wrong).is_err(), "{wrong}");
        }
    }
}
