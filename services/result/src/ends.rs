//! Who waits in this process for an execution's end is told from what has just been stored, without reading it back.
//!
//! That holds for an end whose whole output came in the same batch, as it does for most short runs. Whoever waits for another,
//! or in another process, hears of it over the bus and reads the store.

use std::collections::{HashMap, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use kiln_domain::{ExecutionId, TenantId};
use tokio::sync::oneshot;

/// The newest are kept, so that one which comes before the wait for it is found, each up to so many bytes.
const KEPT: usize = 256;
const KEPT_BYTES: usize = 16 * 1024;

pub type Key = (TenantId, ExecutionId);

/// Ends as documents in JSON.
#[derive(Default)]
pub struct Ends(Mutex<State>);

#[derive(Default)]
struct State {
    waiting: HashMap<Key, Vec<oneshot::Sender<Bytes>>>,
    newest: VecDeque<(Key, Bytes)>,
}

impl Ends {
    /// Waits until the execution's end is told here, which may be never. Cancel-safe.
    pub async fn wait(&self, key: Key) -> Bytes {
        let told = {
            let mut state = self.state();
            if let Some((_, document)) = state.newest.iter().find(|(known, _)| *known == key) {
                return document.clone();
            }
            let (teller, told) = oneshot::channel();
            state.waiting.entry(key).or_default().push(teller);
            told
        };
        let _waiting = Waiting { ends: self, key };
        match told.await {
            Ok(document) => document,
            Err(_) => std::future::pending().await,
        }
    }

    pub fn tell(&self, key: Key, document: Bytes) {
        let mut state = self.state();
        for waiting in state.waiting.remove(&key).unwrap_or_default() {
            // Who has gone needs no answer.
            let _ = waiting.send(document.clone());
        }
        if document.len() <= KEPT_BYTES {
            if state.newest.len() == KEPT {
                state.newest.pop_front();
            }
            state.newest.push_back((key, document));
        }
    }

    /// A deleted execution is told to nobody.
    pub fn forget(&self, key: Key) {
        self.state().newest.retain(|(known, _)| *known != key);
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Takes the place among those who wait away again.
struct Waiting<'a> {
    ends: &'a Ends,
    key: Key,
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        let mut state = self.ends.state();
        if let Some(waiting) = state.waiting.get_mut(&self.key) {
            // Its own receiver is dropped before this.
            waiting.retain(|teller| !teller.is_closed());
            if waiting.is_empty() {
                state.waiting.remove(&self.key);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key() -> Key {
        (TenantId::generate(), ExecutionId::generate())
    }

    #[tokio::test]
    async fn an_end_is_told_to_all_who_wait_and_to_who_comes_late() {
        let (ends, key) = (Ends::default(), key());
        let document = Bytes::from_static(b"{}");
        let tell = async { ends.tell(key, document.clone()) };
        let (first, second, ()) = tokio::join!(ends.wait(key), ends.wait(key), tell);
        assert_eq!((first, second), (document.clone(), document.clone()));
        assert_eq!(ends.wait(key).await, document);
        assert!(ends.state().waiting.is_empty());
    }

    #[tokio::test]
    async fn nothing_stays_of_who_gave_up_nor_of_what_was_forgotten() {
        let (ends, key, other) = (Ends::default(), key(), key());
        let given_up = tokio::time::timeout(std::time::Duration::from_millis(1), ends.wait(key)).await;
        assert!(given_up.is_err());
        assert!(ends.state().waiting.is_empty());
        for key in [key, other] {
            ends.tell(key, Bytes::new());
        }
        ends.forget(key);
        assert_eq!(ends.state().newest.len(), 1);
        ends.tell(key, vec![b' '; KEPT_BYTES + 1].into());
        assert_eq!(ends.state().newest.len(), 1);
    }
}
