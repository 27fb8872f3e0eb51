//! A thousand submissions at once, with cancels and a scheduler that is killed

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use futures::StreamExt as _;
use kiln_test_support::{Api, Split, Tenant, eventually};
use reqwest::Method;
use serde_json::json;
use sqlx::{PgConnection, Row as _};

use crate::{SOON, admin, database, holds, reserved};

const SUBMISSIONS: usize = 1_000;
const MAX_CONCURRENT: i32 = 10;
/// More than may run at once, so that the quota is what holds them back.
const SLOTS: (&str, &str) = ("KILN_EXECUTOR__SLOTS", "16");
/// By when all have ended, with two starts of the scheduler and beside other tests.
const SETTLED_WITHIN: Duration = Duration::from_mins(6);

/// Submits under a key of its own until it is accepted, whatever dies meanwhile.
async fn submit(api: &Api, number: usize) -> String {
    let accepted = async || {
        let call = api.post("/executions", &json!({"code": "import time\ntime.sleep(0.02)"}));
        let answer = call.header("idempotency-key", &format!("run-{number}")).attempt().await.ok()?;
        match answer.status {
            202 => Some(answer.json()["id"].as_str().unwrap().to_owned()),
            // Not ready yet, or the first request with the key still holds it.
            409 | 500..=599 => None,
            status => panic!("{status}: {}", answer.text()),
        }
    };
    let id = eventually(SETTLED_WITHIN, "it is accepted", accepted).await;
    if number.is_multiple_of(10) {
        // Refused when it has ended, and not answered by a scheduler that is dead.
        let cancelled = api.call(Method::POST, &format!("/executions/{id}/cancel")).attempt().await;
        assert!(cancelled.is_ok_and(|answer| [202, 409, 503].contains(&answer.status)));
    }
    id
}

/// The most that the database held as running or on its way at any look, until told to stop.
async fn sample(mut database: PgConnection, tenant: uuid::Uuid, stop: Arc<AtomicBool>) -> (i64, usize) {
    let (mut most, mut samples) = (0, 0);
    while !stop.load(Ordering::Relaxed) {
        let query = "SELECT count(*) FROM scheduler.execution WHERE tenant_id = $1 AND state IN ('dispatched', 'running')";
        let now: i64 = sqlx::query(query).bind(tenant).fetch_one(&mut database).await.unwrap().get(0);
        most = most.max(now);
        samples += 1;
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    (most, samples)
}

/// `kill -9` of the scheduler when a quarter has been accepted, and again at the half.
fn kill_after(kiln: &mut Split, accepted: &AtomicUsize) {
    let begun = Instant::now();
    for share in [SUBMISSIONS / 4, SUBMISSIONS / 2] {
        while accepted.load(Ordering::Relaxed) < share {
            assert!(begun.elapsed() < SETTLED_WITHIN, "too few are accepted");
            std::thread::sleep(Duration::from_millis(5));
        }
        kiln.kill_and_restart("scheduler");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_a_thousand_at_once_never_an_eleventh_runs_whatever_dies() {
    let mut kiln = Split::with_settings(&[SLOTS]);
    let (tenant, admin) = (Tenant::sign_up(&kiln.api()).await, admin(&kiln).await);
    let id: uuid::Uuid = tenant.tenant_id().parse().unwrap();
    admin.administer(&tenant, &json!({"quota": {"max_concurrent": MAX_CONCURRENT}})).await;
    let known = "SELECT EXISTS (SELECT FROM scheduler.tenant WHERE tenant_id = $1 AND max_concurrent = 10)";
    holds(&kiln, "the limit is known", SOON, id, known).await;

    let stop = Arc::new(AtomicBool::new(false));
    let samples = tokio::spawn(sample(database(&kiln).await, id, Arc::clone(&stop)));
    let accepted = Arc::new(AtomicUsize::new(0));
    let api = tenant.with_bearer(tenant.access_token());
    let submissions = futures::stream::iter(0..SUBMISSIONS).map(async |number| {
        let id = submit(&api, number).await;
        accepted.fetch_add(1, Ordering::Relaxed);
        id
    });
    let submissions = submissions.buffer_unordered(64).collect::<BTreeSet<String>>();
    let killing = tokio::task::spawn_blocking({
        let accepted = Arc::clone(&accepted);
        move || {
            kill_after(&mut kiln, &accepted);
            kiln
        }
    });
    let (ids, kiln) = tokio::join!(submissions, killing);
    let kiln = kiln.unwrap();
    assert_eq!(ids.len(), SUBMISSIONS, "each key made one execution");
    let ended = "SELECT NOT EXISTS (SELECT FROM scheduler.execution
                 WHERE tenant_id = $1 AND state IN ('queued', 'dispatched', 'running'))";
    holds(&kiln, "all have ended", SETTLED_WITHIN, id, ended).await;
    stop.store(true, Ordering::Relaxed);
    let (most_seen, samples) = samples.await.unwrap();
    assert!(samples > 100 && (2..=i64::from(MAX_CONCURRENT)).contains(&most_seen), "{most_seen} at once in {samples} looks");

    let mut database = database(&kiln).await;
    let states = sqlx::query("SELECT state, count(*) FROM scheduler.execution WHERE tenant_id = $1 GROUP BY 1").bind(id);
    let states: Vec<(String, i64)> =
        states.fetch_all(&mut database).await.unwrap().iter().map(|row| (row.get(0), row.get(1))).collect();
    assert_eq!(states.iter().map(|(_, count)| count).sum::<i64>(), 1_000, "{states:?}");
    assert!(states.iter().all(|(state, _)| state == "succeeded" || state == "cancelled"), "{states:?}");
    // At each start: how many had started by then and not ended before. An end at the same microsecond comes first.
    let most = "SELECT max((SELECT count(*) FROM scheduler.execution AS other
                            WHERE other.tenant_id = $1 AND other.started_at <= one.started_at AND other.finished_at > one.started_at))
                FROM scheduler.execution AS one WHERE one.tenant_id = $1 AND one.started_at IS NOT NULL";
    let most_ran: i64 = sqlx::query(most).bind(id).fetch_one(&mut database).await.unwrap().get(0);
    assert!((2..=i64::from(MAX_CONCURRENT)).contains(&most_ran), "{most_ran} ran at once");
    assert_eq!(reserved(&mut database, id).await, (0, 0));
    holds(&kiln, "every message is out", SOON, id, "SELECT $1::uuid IS NOT NULL AND NOT EXISTS (SELECT FROM scheduler.outbox)")
        .await;
    println!("at most {most_seen} in {samples} looks, {most_ran} by their times; {states:?}");
}
