//! What was revoked lately: as long as an access token can outlive its sign-in, and no longer.

use std::collections::HashMap;

use jiff::{SignedDuration, Timestamp};

use super::RevokedSubject;

/// Longer than any access token lives.
const KEPT: SignedDuration = SignedDuration::from_mins(20);

#[derive(Debug, Default)]
pub struct Revocations {
    revoked_at: HashMap<RevokedSubject, Timestamp>,
}

impl Revocations {
    /// Returns whether it was news.
    pub fn add(&mut self, subject: RevokedSubject, revoked_at: Timestamp) -> bool {
        self.revoked_at.insert(subject, revoked_at).is_none()
    }

    pub fn contains(&self, subject: RevokedSubject) -> bool {
        self.revoked_at.contains_key(&subject)
    }

    /// Forgets what no living token can come from.
    pub fn prune(&mut self, now: Timestamp) {
        self.revoked_at.retain(|_, revoked_at| now.duration_since(*revoked_at) < KEPT);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use kiln_domain::SignInId;

    #[test]
    fn a_revocation_outlives_every_token_and_is_then_forgotten() {
        let subject = RevokedSubject::SignIn(SignInId::generate());
        let start = Timestamp::from_second(1_000_000).unwrap();
        let mut revocations = Revocations::default();
        assert!(revocations.add(subject, start));
        assert!(!revocations.add(subject, start));
        revocations.prune(start + SignedDuration::from_mins(16));
        assert!(revocations.contains(subject));
        revocations.prune(start + SignedDuration::from_mins(21));
        assert!(!revocations.contains(subject));
    }
}
