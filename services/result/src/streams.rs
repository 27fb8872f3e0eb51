//! How many live streams each user holds open.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use kiln_http::Problem;
use uuid::Uuid;

/// Counts the streams of each user or API key in this process.
#[derive(Clone)]
pub struct StreamSlots {
    open: Arc<Mutex<HashMap<Uuid, usize>>>,
    most: usize,
}

/// One open stream; given back when dropped.
pub struct StreamSlot {
    slots: StreamSlots,
    user: Uuid,
}

impl StreamSlots {
    pub fn new(most: usize) -> Self {
        Self { open: Arc::default(), most }
    }

    /// 429 when the user holds as many as allowed.
    pub fn take(&self, user: Uuid) -> Result<StreamSlot, Problem> {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        let count = open.entry(user).or_default();
        if *count >= self.most {
            return Err(Problem::too_many("streams", format!("{} streams are open already; close some.", self.most), 1));
        }
        *count += 1;
        Ok(StreamSlot { slots: self.clone(), user })
    }

    /// Whether anybody reads along here.
    pub fn is_any_open(&self) -> bool {
        !self.open.lock().unwrap_or_else(PoisonError::into_inner).is_empty()
    }
}

impl Drop for StreamSlot {
    fn drop(&mut self) {
        let mut open = self.slots.open.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = open.get_mut(&self.user) {
            *count -= 1;
            if *count == 0 {
                open.remove(&self.user);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slots_come_back() {
        let (slots, user) = (StreamSlots::new(1), Uuid::now_v7());
        assert!(!slots.is_any_open());
        let held = slots.take(user).ok();
        assert!(slots.is_any_open());
        assert!(slots.take(user).is_err());
        assert!(slots.take(Uuid::now_v7()).is_ok());
        drop(held);
        assert!(slots.take(user).is_ok());
    }
}
