//! The text of an API key: `kiln_`, the key's id, its secret, and a checksum, so that a secret scanner can tell a real
//! key from a look-alike without asking anybody. All parts are base62 of fixed width.

use std::fmt;

use kiln_domain::ApiKeyId;
use sha2::{Digest as _, Sha256};
use uuid::Uuid;

const MARK: &str = "kiln_";
/// base62 digits that hold any u128.
const WORD: usize = 22;
/// base62 digits that hold any u32.
const CHECKSUM: usize = 6;
const LENGTH: usize = MARK.len() + 3 * WORD + CHECKSUM;
/// The visible part: the mark and the id.
const PREFIX: usize = MARK.len() + WORD;

/// A whole API key, whose checksum holds. Its `Debug` shows the prefix only.
#[derive(Clone, PartialEq, Eq)]
pub struct ApiKeyText(String);

/// The text is no API key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not an API key")]
pub struct InvalidApiKey;

impl ApiKeyText {
    /// The key of this id with 256 bits of secret.
    pub fn new(id: ApiKeyId, secret: [u128; 2]) -> Self {
        let [high, low] = secret;
        let body = format!("{MARK}{}{}{}", word(id.0.as_u128()), word(high), word(low));
        let checksum = checksum(&body);
        Self(body + &checksum)
    }

    /// Whether the text claims to be an API key, well formed or not.
    pub fn is_marked(text: &str) -> bool {
        text.starts_with(MARK)
    }

    /// Parses the text; its checksum must hold.
    pub fn parse(text: &str) -> Result<Self, InvalidApiKey> {
        let (body, given) = text.split_at_checked(LENGTH - CHECKSUM).ok_or(InvalidApiKey)?;
        if text.len() == LENGTH && Self::is_marked(text) && checksum(body) == given {
            Ok(Self(text.to_owned()))
        } else {
            Err(InvalidApiKey)
        }
    }

    pub fn id(&self) -> Option<ApiKeyId> {
        let digits = self.0.get(MARK.len()..PREFIX)?;
        base62::decode(digits).ok().map(|id| ApiKeyId(Uuid::from_u128(id)))
    }

    /// What people may see, to tell their keys apart.
    pub fn prefix(&self) -> &str {
        self.0.get(..PREFIX).unwrap_or_default()
    }

    /// What is stored and looked up.
    pub fn sha256(&self) -> [u8; 32] {
        Sha256::digest(self.0.as_bytes()).into()
    }

    /// The whole key, to be shown once.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for ApiKeyText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ApiKeyText({}…)", self.prefix())
    }
}

fn word(value: u128) -> String {
    format!("{:0>WORD$}", base62::encode(value))
}

fn checksum(body: &str) -> String {
    format!("{:0>CHECKSUM$}", base62::encode(crc32fast::hash(body.as_bytes())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_read_back() {
        for secret in [[0, 0], [u128::MAX, 1], [7, u128::MAX]] {
            let id = ApiKeyId::generate();
            let key = ApiKeyText::new(id, secret);
            assert_eq!(key.expose().len(), LENGTH);
            assert_eq!(ApiKeyText::parse(key.expose()).as_ref(), Ok(&key));
            assert_eq!(key.id(), Some(id));
            assert!(key.expose().starts_with(key.prefix()));
        }
    }

    #[test]
    fn any_changed_character_breaks_the_checksum() {
        let key = ApiKeyText::new(ApiKeyId::generate(), [1, 2]);
        for at in 0..LENGTH {
            let mut text = key.expose().as_bytes().to_vec();
            text[at] = if text[at] == b'x' { b'y' } else { b'x' };
            assert_eq!(ApiKeyText::parse(std::str::from_utf8(&text).unwrap()), Err(InvalidApiKey), "at {at}");
        }
    }

    #[test]
    fn other_texts_are_refused_without_a_panic() {
        let long = "k".repeat(100_000);
        for text in ["", "kiln_", "kiln_é", "é".repeat(40).as_str(), "kiln_0000000000000000000000", long.as_str()] {
            assert_eq!(ApiKeyText::parse(text), Err(InvalidApiKey));
        }
    }

    #[test]
    fn the_secret_is_not_in_the_debug_text() {
        let key = ApiKeyText::new(ApiKeyId::generate(), [12345, 67890]);
        assert!(!format!("{key:?}").contains(&word(67890)));
    }
}
