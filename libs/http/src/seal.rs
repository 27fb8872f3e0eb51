//! Kept answers that hold a secret: encrypted under a key that only the client's Idempotency-Key yields, so that the
//! database alone does not tell them. A client that wants this to hold sends a key that cannot be guessed.

use aws_lc_rs::aead::{AES_256_GCM, Aad, NONCE_LEN, Nonce, RandomizedNonceKey};
use aws_lc_rs::hkdf::{HKDF_SHA256, Salt};

use crate::Problem;

/// Encrypts and decrypts answers kept under one Idempotency-Key.
pub struct Seal(RandomizedNonceKey);

impl Seal {
    pub fn new(idempotency_key: &str) -> Result<Self, Problem> {
        let derived = Salt::new(HKDF_SHA256, b"kiln.idempotency.v1").extract(idempotency_key.as_bytes());
        let mut key = [0; 32];
        derived.expand(&[b"answer"], HKDF_SHA256).and_then(|okm| okm.fill(&mut key)).map_err(Problem::internal)?;
        RandomizedNonceKey::new(&AES_256_GCM, &key).map(Self).map_err(Problem::internal)
    }

    /// The nonce, then the ciphertext with its tag.
    pub fn seal(&self, mut plain: Vec<u8>) -> Result<Vec<u8>, Problem> {
        let nonce = self.0.seal_in_place_append_tag(Aad::empty(), &mut plain).map_err(Problem::internal)?;
        Ok([nonce.as_ref().as_slice(), &plain].concat())
    }

    pub fn open(&self, sealed: &[u8]) -> Result<Vec<u8>, Problem> {
        let unreadable = || Problem::internal("a kept answer cannot be opened");
        let (nonce, rest) = sealed.split_at_checked(NONCE_LEN).ok_or_else(unreadable)?;
        let nonce = Nonce::try_assume_unique_for_key(nonce).map_err(|_| unreadable())?;
        let mut rest = rest.to_vec();
        let plain = self.0.open_in_place(nonce, Aad::empty(), &mut rest).map_err(|_| unreadable())?;
        Ok(plain.to_vec())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_same_key_opens_an_answer() {
        let sealed = Seal::new("one").unwrap().seal(b"secret".to_vec()).unwrap();
        assert!(!sealed.windows(6).any(|part| part == b"secret"));
        assert_eq!(Seal::new("one").unwrap().open(&sealed).unwrap(), b"secret");
        assert!(Seal::new("other").unwrap().open(&sealed).is_err());
        assert!(Seal::new("one").unwrap().open(&sealed[..5]).is_err());
    }
}
