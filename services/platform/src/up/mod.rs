//! `kiln up`: everything on one machine, with a Postgres and a NATS of its own as child processes.

mod account;
mod child;
mod embedded;
mod exec_child;
pub mod instance;
mod isolation;
mod leftover;
mod nats;
mod postgres;
mod prometheus;
pub mod secrets;
mod start;

pub mod doctor;
pub mod down;
pub mod reset;
pub mod status;

pub use exec_child::ExecChild;
pub use start::Up;

/// The accounts that a NATS of somebody else's must have, as JSON for the `users` of its settings; passwords are to be added.
pub fn nats_config() -> anyhow::Result<String> {
    Ok(nats::users::text()?)
}

/// Finds or gets Postgres and NATS, and prints where they are.
pub fn fetch() -> anyhow::Result<()> {
    let postgres = postgres::locate().or_else(postgres::fetch)?;
    let nats = nats::locate().or_else(nats::fetch)?;
    crate::output::say(&format!("KILN_PG_BIN={}\nKILN_NATS_SERVER={}", postgres.bin.display(), nats.program.display()));
    Ok(())
}
