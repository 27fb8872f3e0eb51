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
        let known = self.revoked_at.entry(subject).or_insert(Timestamp::MIN);
        let news = *known < revoked_at;
        *known = revoked_at.max(*known);
        news
    }

    pub fn contains(&self, subject: RevokedSubject) -> bool {
        self.revoked_at.contains_key(&subject)
    }

    /// Whether it was revoked at that time or later.
    pub fn since(&self, subject: RevokedSubject, known_at: Timestamp) -> bool {
        self.revoked_at.get(&subject).is_some_and(|revoked_at| known_at <= *revoked_at)
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
    fn what_was_learnt_of_a_person_later_stays_good() {
        let user = RevokedSubject::User(kiln_domain::UserId::generate());
        let (before, changed, after) = (at(10), at(20), at(30));
        let mut revocations = Revocations::default();
        revocations.add(user, changed);
        assert!(revocations.since(user, before) && revocations.since(user, changed));
        assert!(!revocations.since(user, after));
        // The next change ends that too, and the first one coming again changes nothing.
        assert!(revocations.add(user, at(40)));
        assert!(!revocations.add(user, changed));
        assert!(revocations.since(user, after));
    }

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(1_000_000 + second).unwrap()
    }

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
