//! The executors as they last called, and how much they can still take. In memory: a restarted scheduler hears from each
//! of them within a second.

use std::collections::{BTreeSet, HashMap};
use std::sync::Mutex;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, Instant};

use kiln_domain::{ExecutionId, InstanceId, TenantId};
use kiln_events::Heartbeat;
use serde::Serialize;
use utoipa::ToSchema;
use uuid::Uuid;

/// An executor that has not called for so long is given no more work.
const SILENT_AFTER: Duration = Duration::from_secs(4);

#[derive(Default)]
pub struct Fleet {
    executors: Mutex<HashMap<String, Member>>,
    /// Attempts dispatched or running, over all tenants; brought in line with the database by the reconciler.
    outstanding: AtomicI64,
}

struct Member {
    instance: InstanceId,
    slots: u32,
    draining: bool,
    runtimes: BTreeSet<String>,
    pool: String,
    isolation: String,
    running: usize,
    sessions: usize,
    /// CPU time of its live attempts, in milliseconds.
    cpu_ms: Vec<(TenantId, ExecutionId, u64)>,
    last_call: Instant,
}

/// An executor, as those who run the installation see it.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct ExecutorView {
    pub id: String,
    /// One start of its process.
    pub instance: Uuid,
    pub pool: String,
    /// Runs that it can hold at once.
    pub slots: u32,
    pub running: usize,
    pub sessions: usize,
    /// It takes no new work.
    pub draining: bool,
    /// It has called lately.
    pub live: bool,
    /// Since its last call.
    pub silent_ms: u64,
    /// Tier of its sandboxes.
    pub isolation: String,
    pub runtimes: Vec<String>,
}

impl Fleet {
    /// Notes a call; true when this start of the executor has not called before.
    pub fn heard(&self, call: &Heartbeat, now: Instant) -> bool {
        let runtimes = call.runtimes.iter().filter(|runtime| runtime.available).map(|runtime| runtime.id.clone()).collect();
        let member = Member {
            instance: call.instance,
            slots: call.slots,
            draining: call.draining,
            runtimes,
            pool: call.pool.clone(),
            isolation: call.isolation.clone(),
            running: call.running.len(),
            sessions: call.sessions.len(),
            cpu_ms: call
                .running
                .iter()
                .filter_map(|live| Some((live.tenant_id, live.execution_id, *call.cpu_ms.get(&live.execution_id)?)))
                .collect(),
            last_call: now,
        };
        let before = self.lock().insert(call.executor_id.clone(), member);
        before.is_none_or(|before| before.instance != call.instance)
    }

    /// Runtimes that some live executor offers.
    pub fn runtimes(&self, now: Instant) -> Vec<String> {
        let executors = self.lock();
        let offered: BTreeSet<&String> =
            executors.values().filter(|member| member.is_live(now)).flat_map(|member| &member.runtimes).collect();
        offered.into_iter().cloned().collect()
    }

    /// Attempts that could be dispatched now.
    pub fn free(&self, now: Instant) -> usize {
        let slots: i64 = self.lock().values().filter(|member| member.is_live(now)).map(|member| i64::from(member.slots)).sum();
        usize::try_from(slots - self.outstanding.load(Ordering::Relaxed)).unwrap_or(0)
    }

    /// Whether an attempt of this runtime could be dispatched now.
    pub fn can_start(&self, runtime: &str, now: Instant) -> bool {
        self.free(now) > 0 && self.lock().values().any(|member| member.is_live(now) && member.runtimes.contains(runtime))
    }

    /// The executor for one more session of this runtime: the one with the fewest, but none of those passed over. Noted
    /// until its next call.
    pub fn place_session(&self, runtime: &str, passed_over: &[String], now: Instant) -> Option<String> {
        let mut executors = self.lock();
        let offers = |member: &Member| member.is_live(now) && member.runtimes.contains(runtime);
        let fitting = executors.iter_mut().filter(|(id, member)| offers(member) && !passed_over.contains(id));
        let (id, member) = fitting.min_by_key(|(id, member)| (member.sessions, (*id).clone()))?;
        member.sessions += 1;
        Some(id.clone())
    }

    /// Attempts were dispatched (positive) or ended (negative).
    pub fn changed(&self, by: i64) {
        self.outstanding.fetch_add(by, Ordering::Relaxed);
    }

    /// The database's count.
    pub fn set_outstanding(&self, count: i64) {
        self.outstanding.store(count, Ordering::Relaxed);
    }

    /// Every executor that has called since this scheduler started, by name.
    pub fn view(&self, now: Instant) -> Vec<ExecutorView> {
        let mut executors: Vec<_> = self
            .lock()
            .iter()
            .map(|(id, member)| ExecutorView {
                id: id.clone(),
                instance: member.instance.0,
                pool: member.pool.clone(),
                slots: member.slots,
                running: member.running,
                sessions: member.sessions,
                draining: member.draining,
                live: member.is_live(now),
                silent_ms: u64::try_from(now.duration_since(member.last_call).as_millis()).unwrap_or(u64::MAX),
                isolation: member.isolation.clone(),
                runtimes: member.runtimes.iter().cloned().collect(),
            })
            .collect();
        executors.sort_by(|one, other| one.id.cmp(&other.id));
        executors
    }

    /// What attempts of the tenants that this executor runs had used of the CPU, in milliseconds, when each executor last
    /// called; some may have ended since.
    pub fn live_cpu_of(&self, call: &Heartbeat, now: Instant) -> Vec<(ExecutionId, u64)> {
        let tenants: BTreeSet<TenantId> = call.running.iter().map(|live| live.tenant_id).collect();
        let executors = self.lock();
        // A draining executor's runs use time as well; one that is silent is about to lose them.
        let heard = executors.values().filter(|member| now.duration_since(member.last_call) < SILENT_AFTER);
        let attempts = heard.flat_map(|member| &member.cpu_ms).filter(|(tenant, ..)| tenants.contains(tenant));
        attempts.map(|(_, execution, used)| (*execution, *used)).collect()
    }

    /// Slots of all live executors.
    pub fn slots(&self, now: Instant) -> u64 {
        self.lock().values().filter(|member| member.is_live(now)).map(|member| u64::from(member.slots)).sum()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<String, Member>> {
        self.executors.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

impl Member {
    fn is_live(&self, now: Instant) -> bool {
        !self.draining && now.duration_since(self.last_call) < SILENT_AFTER
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn call(instance: InstanceId, slots: u32) -> Heartbeat {
        let runtime = kiln_domain::Runtime {
            id: "python3.13".to_owned(),
            language: "python".to_owned(),
            version: "3.13.0".to_owned(),
            title: String::new(),
            aliases: Vec::new(),
            packages: Vec::new(),
            default: true,
            available: true,
        };
        Heartbeat {
            executor_id: "one".to_owned(),
            instance,
            pool: "default".to_owned(),
            slots,
            isolation: String::new(),
            runtimes: vec![runtime],
            running: Vec::new(),
            draining: false,
            cpu_ms: std::collections::BTreeMap::new(),
            sessions: Vec::new(),
        }
    }

    #[test]
    fn a_tenants_cpu_time_is_summed_over_all_executors() {
        let (fleet, now, tenant) = (Fleet::default(), Instant::now(), TenantId::generate());
        let runs = |name: &str, cpu_ms: u64| {
            let live =
                kiln_events::LiveAttempt { tenant_id: tenant, execution_id: kiln_domain::ExecutionId::generate(), attempt: 1 };
            let executor_id = name.to_owned();
            let cpu_ms = std::collections::BTreeMap::from([(live.execution_id, cpu_ms)]);
            Heartbeat { executor_id, running: vec![live], cpu_ms, ..call(InstanceId::generate(), 2) }
        };
        let (one, other) = (runs("one", 700), runs("other", 800));
        fleet.heard(&one, now);
        fleet.heard(&other, now + SILENT_AFTER / 2);
        let used = |call: &Heartbeat, now| fleet.live_cpu_of(call, now).iter().map(|(_, used)| used).sum::<u64>();
        assert_eq!(used(&one, now + SILENT_AFTER / 2), 1500);
        assert_eq!(used(&other, now + SILENT_AFTER), 800);
        assert_eq!(used(&Heartbeat { running: Vec::new(), ..one }, now), 0, "tenants that it does not run");
    }

    #[test]
    fn sessions_are_spread_and_none_goes_where_it_was_sent_away() {
        let (fleet, now) = (Fleet::default(), Instant::now());
        for name in ["one", "other"] {
            fleet.heard(&Heartbeat { executor_id: name.to_owned(), ..call(InstanceId::generate(), 2) }, now);
        }
        let place = |passed_over: &[String]| fleet.place_session("python3.13", passed_over, now);
        assert_eq!(place(&[]).as_deref(), Some("one"));
        assert_eq!(place(&[]).as_deref(), Some("other"));
        assert_eq!(place(&["one".to_owned()]).as_deref(), Some("other"));
        assert_eq!(place(&["one".to_owned(), "other".to_owned()]), None);
    }

    #[test]
    fn capacity_is_what_live_executors_have_left() {
        let (fleet, now, instance) = (Fleet::default(), Instant::now(), InstanceId::generate());
        assert!(fleet.heard(&call(instance, 2), now));
        assert!(!fleet.heard(&call(instance, 2), now));
        assert!(fleet.can_start("python3.13", now) && !fleet.can_start("python3.6", now));
        fleet.changed(2);
        assert_eq!(fleet.free(now), 0);
        fleet.changed(-1);
        assert_eq!(fleet.free(now), 1);
        assert_eq!(fleet.free(now + SILENT_AFTER), 0);
        assert!(fleet.heard(&call(InstanceId::generate(), 2), now), "a restart is a new instance");
    }
}
