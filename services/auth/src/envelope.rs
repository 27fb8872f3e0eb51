//! Encryption of what tenants entrust to us: each value under a key of its own, and that key under the operator's. Turning
//! the operator's key over means wrapping the small keys anew; the values stay as they are.

use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};

use anyhow::Context as _;
use aws_lc_rs::aead::{AES_256_GCM, Aad, NONCE_LEN, Nonce, RandomizedNonceKey};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use secrecy::{ExposeSecret as _, SecretString};
use sha2::{Digest as _, Sha256};

const KEY_BYTES: usize = 32;

/// The operator's keys; the first encrypts, all decrypt. Those of a file come before those of the settings, and may change
/// while the service runs.
pub struct Keyring {
    file: Option<PathBuf>,
    /// In base64, of the settings.
    configured: Vec<SecretString>,
    keys: RwLock<Arc<[OperatorKey]>>,
}

struct OperatorKey {
    id: String,
    key: RandomizedNonceKey,
}

/// A value as it is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sealed {
    /// Which of the operator's keys wraps the value's.
    pub key_id: String,
    pub wrapped_key: Vec<u8>,
    pub value: Vec<u8>,
}

impl Keyring {
    /// From keys in base64, 32 bytes each, one a line in the file; the present one first.
    pub fn new<'a>(file: Option<PathBuf>, configured: impl IntoIterator<Item = &'a SecretString>) -> anyhow::Result<Self> {
        let configured: Vec<_> = configured.into_iter().cloned().collect();
        let keys = RwLock::new(read(file.as_deref(), &configured)?);
        Ok(Self { file, configured, keys })
    }

    /// Reads the file again; true when another key encrypts from now on. What cannot be read changes nothing.
    pub fn reload(&self) -> anyhow::Result<bool> {
        let keys = read(self.file.as_deref(), &self.configured)?;
        let before = self.present();
        *self.keys.write().unwrap_or_else(PoisonError::into_inner) = keys;
        Ok(self.present() != before)
    }

    /// The id of the key that encrypts now; none when the operator has given none.
    pub fn present(&self) -> Option<String> {
        self.keys().first().map(|key| key.id.clone())
    }

    /// Whether what is under this key can be opened.
    pub fn knows(&self, id: &str) -> bool {
        self.keys().iter().any(|key| key.id == id)
    }

    fn keys(&self) -> Arc<[OperatorKey]> {
        Arc::clone(&self.keys.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Encrypts a value that belongs to `context`, in which alone it can be opened.
    pub fn seal(&self, context: &str, value: &str) -> anyhow::Result<Sealed> {
        let keys = self.keys();
        let operator = keys.first().context("the operator has given no key for secrets")?;
        let mut own = [0; KEY_BYTES];
        aws_lc_rs::rand::fill(&mut own).context("no randomness")?;
        Ok(Sealed {
            key_id: operator.id.clone(),
            wrapped_key: encrypt(&operator.key, context, &own)?,
            value: encrypt(&aes(&own)?, context, value.as_bytes())?,
        })
    }

    pub fn open(&self, context: &str, sealed: &Sealed) -> anyhow::Result<String> {
        let own = self.unwrap(context, sealed)?;
        let value = decrypt(&aes(&own)?, context, &sealed.value)?;
        String::from_utf8(value).context("an opened value is no text")
    }

    /// The same value with its key under the operator's present one.
    pub fn rewrap(&self, context: &str, sealed: &Sealed) -> anyhow::Result<Sealed> {
        let keys = self.keys();
        let operator = keys.first().context("the operator has given no key for secrets")?;
        let own = self.unwrap(context, sealed)?;
        let wrapped_key = encrypt(&operator.key, context, &own)?;
        Ok(Sealed { key_id: operator.id.clone(), wrapped_key, value: sealed.value.clone() })
    }

    fn unwrap(&self, context: &str, sealed: &Sealed) -> anyhow::Result<Vec<u8>> {
        let keys = self.keys();
        let operator = keys.iter().find(|key| key.id == sealed.key_id);
        let operator = operator.with_context(|| format!("the operator's key {} is not configured", sealed.key_id))?;
        decrypt(&operator.key, context, &sealed.wrapped_key)
    }
}

/// The keys of the file, then those of the settings.
fn read(file: Option<&Path>, configured: &[SecretString]) -> anyhow::Result<Arc<[OperatorKey]>> {
    let text = match file {
        Some(file) => {
            let text = std::fs::read_to_string(file);
            SecretString::from(text.with_context(|| format!("cannot read the operator's keys in {}", file.display()))?)
        }
        None => SecretString::default(),
    };
    let lines = text.expose_secret().lines().map(str::trim).filter(|line| !line.is_empty());
    lines.chain(configured.iter().map(|key| key.expose_secret().trim())).map(OperatorKey::parse).collect()
}

impl OperatorKey {
    fn parse(text: &str) -> anyhow::Result<Self> {
        let bytes = decode(text)?;
        Ok(Self { id: id(&bytes), key: aes(&bytes)? })
    }
}

/// By what an operator's key, in base64, is known; it tells nothing of the key.
pub fn secret_key_id(key: &str) -> anyhow::Result<String> {
    decode(key).map(|bytes| id(&bytes))
}

fn id(key: &[u8]) -> String {
    hex::encode(Sha256::digest([b"kiln.secrets.key".as_slice(), key].concat())).chars().take(16).collect()
}

fn decode(text: &str) -> anyhow::Result<Vec<u8>> {
    let bytes = STANDARD.decode(text).ok().filter(|bytes| bytes.len() == KEY_BYTES);
    bytes.context("an operator's key for secrets must be 32 bytes in base64: openssl rand -base64 32")
}

fn aes(key: &[u8]) -> anyhow::Result<RandomizedNonceKey> {
    RandomizedNonceKey::new(&AES_256_GCM, key).context("no AES-256 key")
}

/// The nonce, then the ciphertext with its tag.
fn encrypt(key: &RandomizedNonceKey, context: &str, plain: &[u8]) -> anyhow::Result<Vec<u8>> {
    let mut sealed = plain.to_vec();
    let nonce = key.seal_in_place_append_tag(Aad::from(context.as_bytes()), &mut sealed).context("cannot encrypt")?;
    Ok([nonce.as_ref().as_slice(), &sealed].concat())
}

fn decrypt(key: &RandomizedNonceKey, context: &str, sealed: &[u8]) -> anyhow::Result<Vec<u8>> {
    let (nonce, rest) = sealed.split_at_checked(NONCE_LEN).context("a sealed value is too short")?;
    let nonce = Nonce::try_assume_unique_for_key(nonce).context("a sealed value has no nonce")?;
    let mut rest = rest.to_vec();
    let plain = key.open_in_place(nonce, Aad::from(context.as_bytes()), &mut rest).context("a sealed value cannot be opened")?;
    Ok(plain.to_vec())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(byte: u8) -> SecretString {
        STANDARD.encode([byte; KEY_BYTES]).into()
    }

    #[test]
    fn a_value_opens_in_its_own_place_alone() {
        let ring = Keyring::new(None, [&key(1)]).unwrap();
        let sealed = ring.seal("tenant/NAME", "hunter2").unwrap();
        assert!(!sealed.value.windows(7).any(|part| part == b"hunter2"));
        assert_eq!(ring.open("tenant/NAME", &sealed).unwrap(), "hunter2");
        assert!(ring.open("tenant/OTHER", &sealed).is_err());
        let mut torn = sealed.clone();
        torn.value.pop();
        assert!(ring.open("tenant/NAME", &torn).is_err());
        assert_ne!(ring.seal("tenant/NAME", "hunter2").unwrap(), sealed);
    }

    #[test]
    fn keys_turn_over() {
        let (old, new) = (Keyring::new(None, [&key(1)]).unwrap(), Keyring::new(None, [&key(2), &key(1)]).unwrap());
        let sealed = old.seal("c", "v").unwrap();
        assert_eq!(new.open("c", &sealed).unwrap(), "v");
        let again = new.rewrap("c", &sealed).unwrap();
        assert_eq!((again.key_id.as_str(), &again.value), (new.present().unwrap().as_str(), &sealed.value));
        assert_eq!(Keyring::new(None, [&key(2)]).unwrap().open("c", &again).unwrap(), "v");
        assert!(old.open("c", &again).is_err());
    }

    #[test]
    fn a_file_is_read_again_and_a_broken_one_changes_nothing() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("keys");
        let write = |keys: &[SecretString]| {
            let lines: Vec<_> = keys.iter().map(SecretString::expose_secret).collect();
            std::fs::write(&file, lines.join("\n") + "\n").unwrap();
        };
        assert!(Keyring::new(Some(file.clone()), []).is_err(), "it must be there");
        write(&[key(1)]);
        let ring = Keyring::new(Some(file.clone()), []).unwrap();
        let sealed = ring.seal("c", "v").unwrap();
        assert!(!ring.reload().unwrap());
        write(&[key(2), key(1)]);
        assert!(ring.reload().unwrap());
        assert_eq!(ring.open("c", &sealed).unwrap(), "v");
        let again = ring.rewrap("c", &sealed).unwrap();
        std::fs::write(&file, "nonsense").unwrap();
        assert!(ring.reload().is_err());
        assert_eq!(ring.open("c", &again).unwrap(), "v");
        write(&[key(2)]);
        assert!(!ring.reload().unwrap() && !ring.knows(&sealed.key_id) && ring.knows(&again.key_id));
        assert!(ring.open("c", &sealed).is_err());
    }

    #[test]
    fn only_whole_keys_are_taken() {
        for bad in ["", "short", "bm90IDMyIGJ5dGVz"] {
            assert!(Keyring::new(None, [&SecretString::from(bad)]).is_err());
        }
        assert!(Keyring::new(None, []).unwrap().seal("c", "v").is_err());
    }
}
