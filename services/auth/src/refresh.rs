//! Refresh tokens: opaque, single use; what presenting one leads to is decided here, purely.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jiff::Timestamp;
use sha2::{Digest as _, Sha256};

/// A refresh token's text, known to its holder alone; we keep its hash.
#[derive(Clone)]
pub struct RefreshToken(String);

impl RefreshToken {
    /// 256 random bits.
    pub fn generate() -> anyhow::Result<Self> {
        random_text("krt_").map(Self)
    }

    pub fn expose(&self) -> &str {
        &self.0
    }

    pub fn sha256(&self) -> [u8; 32] {
        digest(&self.0)
    }
}

/// A mark and 256 random bits as text.
pub fn random_text(mark: &str) -> anyhow::Result<String> {
    let mut secret = [0; 32];
    aws_lc_rs::rand::fill(&mut secret).map_err(|_| anyhow::anyhow!("no randomness"))?;
    Ok(format!("{mark}{}", URL_SAFE_NO_PAD.encode(secret)))
}

/// What is stored of an opaque credential.
pub fn digest(credential: &str) -> [u8; 32] {
    Sha256::digest(credential.as_bytes()).into()
}

/// A refresh token as stored, with its family.
#[derive(Debug, Clone, Copy)]
pub struct Stored {
    pub expires_at: Timestamp,
    pub used_at: Option<Timestamp>,
    pub family_expires_at: Timestamp,
    pub family_revoked: bool,
    /// The account is enabled and still a member of the tenant that the token is for.
    pub entitled: bool,
}

/// What presenting a refresh token leads to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// A new pair.
    Rotate,
    /// Another request spent the token while this one was under way: refused, and nobody is the worse for it.
    LostRace,
    /// The token had been spent before this request came: somebody has a copy, so the whole family is revoked.
    Reused,
    /// Expired, revoked or no longer entitled.
    Dead,
}

/// Decides by the token as stored and by when the request arrived.
pub fn judge(token: &Stored, arrived_at: Timestamp, now: Timestamp) -> Verdict {
    if token.family_revoked || token.family_expires_at <= now {
        return Verdict::Dead;
    }
    match token.used_at {
        Some(used_at) if arrived_at <= used_at => Verdict::LostRace,
        Some(_) => Verdict::Reused,
        None if token.expires_at <= now || !token.entitled => Verdict::Dead,
        None => Verdict::Rotate,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn fresh() -> Stored {
        Stored { expires_at: at(100), used_at: None, family_expires_at: at(200), family_revoked: false, entitled: true }
    }

    #[test]
    fn a_fresh_token_is_rotated_until_it_expires() {
        assert_eq!(judge(&fresh(), at(99), at(99)), Verdict::Rotate);
        assert_eq!(judge(&fresh(), at(100), at(100)), Verdict::Dead);
        assert_eq!(judge(&Stored { expires_at: at(300), ..fresh() }, at(200), at(200)), Verdict::Dead);
    }

    #[test]
    fn a_spent_token_betrays_a_copy_unless_the_requests_crossed() {
        let spent = Stored { used_at: Some(at(50)), ..fresh() };
        assert_eq!(judge(&spent, at(49), at(51)), Verdict::LostRace);
        assert_eq!(judge(&spent, at(51), at(51)), Verdict::Reused);
        // Also long after it would have expired: a thief's copy is no less a copy.
        assert_eq!(judge(&spent, at(150), at(150)), Verdict::Reused);
    }

    #[test]
    fn a_revoked_family_or_lost_membership_ends_it() {
        assert_eq!(judge(&Stored { family_revoked: true, ..fresh() }, at(1), at(1)), Verdict::Dead);
        assert_eq!(judge(&Stored { family_revoked: true, used_at: Some(at(0)), ..fresh() }, at(1), at(1)), Verdict::Dead);
        assert_eq!(judge(&Stored { entitled: false, ..fresh() }, at(1), at(1)), Verdict::Dead);
    }

    #[test]
    fn tokens_differ_and_are_not_guessable_by_length() {
        let (one, other) = (RefreshToken::generate().unwrap(), RefreshToken::generate().unwrap());
        assert_ne!(one.expose(), other.expose());
        assert_eq!(one.expose().len(), "krt_".len() + 43);
    }
}
