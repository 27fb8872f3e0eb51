//! Fair order between tenants: deficit round robin, and within a tenant priority, then time.
//! Pure, so that the simulation of a large installation drives the same code.

use std::collections::BTreeMap;

/// One tenant's waiting work, best first, cut to what it may start now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Waiting<T, E> {
    pub tenant: T,
    /// Share relative to other tenants, at least 1.
    pub weight: u32,
    pub executions: Vec<E>,
}

/// Whose turn it is; kept between rounds so that a round cut short continues where it stopped.
#[derive(Debug, Clone)]
pub struct RoundRobin<T> {
    /// Starts that a tenant is still owed in this round.
    deficit: BTreeMap<T, u32>,
    /// The tenant that was served last.
    last: Option<T>,
}

impl<T> Default for RoundRobin<T> {
    fn default() -> Self {
        Self { deficit: BTreeMap::new(), last: None }
    }
}

impl<T: Ord + Copy> RoundRobin<T> {
    /// Chooses at most `capacity` executions. Each round gives a tenant as many starts as its weight.
    pub fn choose<E>(&mut self, waiting: Vec<Waiting<T, E>>, capacity: usize) -> Vec<E> {
        let mut queues: BTreeMap<T, (u32, std::vec::IntoIter<E>)> = waiting
            .into_iter()
            .filter(|queue| !queue.executions.is_empty())
            .map(|queue| (queue.tenant, (queue.weight.max(1), queue.executions.into_iter())))
            .collect();
        // A tenant that waits for nothing is owed nothing.
        self.deficit.retain(|tenant, _| queues.contains_key(tenant));
        let mut chosen = Vec::with_capacity(capacity);
        while chosen.len() < capacity {
            let Some(tenant) = self.turn(&queues) else { break };
            let Some((weight, queue)) = queues.get_mut(&tenant) else { break };
            let owed = self.deficit.remove(&tenant).unwrap_or(*weight);
            let Some(execution) = queue.next() else {
                queues.remove(&tenant);
                self.last = Some(tenant);
                continue;
            };
            chosen.push(execution);
            if owed > 1 {
                self.deficit.insert(tenant, owed - 1);
            } else {
                self.last = Some(tenant);
            }
        }
        chosen
    }

    /// The tenant in the middle of its turn, else the next one round the ring.
    fn turn<V>(&self, queues: &BTreeMap<T, V>) -> Option<T> {
        use std::ops::Bound::{Excluded, Unbounded};
        if let Some((tenant, _)) = self.deficit.first_key_value() {
            return Some(*tenant);
        }
        let after = self.last.and_then(|last| queues.range((Excluded(last), Unbounded)).next());
        after.or_else(|| queues.first_key_value()).map(|(tenant, _)| *tenant)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn queue(tenant: u32, weight: u32, count: u32) -> Waiting<u32, (u32, u32)> {
        Waiting { tenant, weight, executions: (0..count).map(|n| (tenant, n)).collect() }
    }

    #[test]
    fn a_long_queue_does_not_delay_a_short_one() {
        let chosen = RoundRobin::default().choose(vec![queue(1, 1, 1000), queue(2, 1, 1)], 4);
        assert_eq!(chosen, [(1, 0), (2, 0), (1, 1), (1, 2)]);
    }

    #[test]
    fn a_round_cut_short_continues() {
        let mut order = RoundRobin::default();
        assert_eq!(order.choose(vec![queue(1, 1, 2), queue(2, 1, 2), queue(3, 1, 2)], 2), [(1, 0), (2, 0)]);
        assert_eq!(order.choose(vec![queue(1, 1, 2), queue(2, 1, 2), queue(3, 1, 2)], 2), [(3, 0), (1, 0)]);
    }

    #[test]
    fn weights_share() {
        let chosen = RoundRobin::default().choose(vec![queue(1, 3, 100), queue(2, 1, 100)], 40);
        assert_eq!(chosen.iter().filter(|(tenant, _)| *tenant == 1).count(), 30);
    }

    proptest! {
        #[test]
        fn nothing_is_doubled_invented_or_reordered(counts in proptest::collection::vec(0_u32..20, 1..20), capacity in 0_usize..100) {
            let waiting: Vec<_> = (0_u32..).zip(&counts).map(|(tenant, count)| queue(tenant, 1, *count)).collect();
            let total: u32 = counts.iter().sum();
            let chosen = RoundRobin::default().choose(waiting, capacity);
            prop_assert_eq!(chosen.len(), capacity.min(total as usize));
            for (tenant, _) in (0_u32..).zip(&counts) {
                let of_tenant: Vec<u32> = chosen.iter().filter(|(owner, _)| *owner == tenant).map(|(_, n)| *n).collect();
                let in_order: Vec<u32> = (0_u32..).take(of_tenant.len()).collect();
                prop_assert_eq!(of_tenant, in_order);
            }
            // Equal weights: tenants that still wait have had the same number of starts, give or take one.
            let served = |tenant: usize| chosen.iter().filter(|(owner, _)| *owner as usize == tenant).count();
            let backlogged: Vec<usize> = (0..counts.len()).filter(|t| served(*t) < counts[*t] as usize).map(served).collect();
            if let (Some(most), Some(least)) = (backlogged.iter().max(), backlogged.iter().min()) {
                prop_assert!(most - least <= 1);
            }
        }
    }
}
