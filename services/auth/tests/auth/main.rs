//! Drives the service's routes over real Postgres and NATS.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test that panics says so at the place")]

mod accounts;
mod admin;
mod api_keys;
mod client;
mod installation;
mod invitations;
mod isolation;
mod listing;
mod members;
mod operator;
mod secrets;
mod sign_ins;
mod signup;
mod tenants;
mod tokens;
