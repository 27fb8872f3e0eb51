//! What every service says of its connections, as metrics.

use std::time::{Duration, Instant};

use kiln_bus::Bus;
use kiln_db::Database;
use metrics::{counter, gauge, histogram};
use tokio_util::sync::CancellationToken;

/// Between two looks; each costs one empty statement.
const EVERY: Duration = Duration::from_secs(5);
/// A statement that takes longer counts as unanswered.
const PING_WITHIN: Duration = Duration::from_secs(5);

/// Looks at a service's connections again and again until `stop`.
pub async fn watch(service: &'static str, database: Option<Database>, bus: Bus, stop: CancellationToken) {
    counter!("kiln_database_ping_failures_total", "service" => service).increment(0);
    let mut every = tokio::time::interval(EVERY);
    every.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            _ = every.tick() => {}
        }
        gauge!("kiln_bus_connected", "service" => service).set(f64::from(u8::from(bus.is_connected())));
        if let Some(database) = &database {
            look(service, database).await;
        }
    }
}

async fn look(service: &'static str, database: &Database) {
    let connections = database.connections();
    gauge!("kiln_database_connections", "service" => service, "state" => "used").set(connections.used);
    gauge!("kiln_database_connections", "service" => service, "state" => "idle").set(connections.idle);
    gauge!("kiln_database_connections_limit", "service" => service).set(connections.most);
    let begun = Instant::now();
    let answered = tokio::time::timeout(PING_WITHIN, database.ping()).await.is_ok_and(|answer| answer.is_ok());
    histogram!("kiln_database_ping_duration_seconds", "service" => service).record(begun.elapsed());
    if !answered {
        counter!("kiln_database_ping_failures_total", "service" => service).increment(1);
    }
}
