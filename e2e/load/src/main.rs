//! Measures a running Kiln over its public API: `bench` for speed and memory, `row` for many runs that must all end,
//! `soak` for what they leave, `compare` for other sandboxes beside it, `login` for what the time of a refusal tells.

mod bench;
mod client;
mod compare;
mod holdings;
mod login;
mod memory;
mod row;
mod soak;
mod statistics;

use std::process::ExitCode;

use clap::Parser;

#[derive(Debug, Parser)]
#[command(name = "kiln-load", version)]
enum Load {
    /// How long print(1) takes beside a bare interpreter, how many a second, and how much memory Kiln holds
    Bench(bench::Bench),
    /// Many runs from several tenants, of which every one must end well
    Row(row::Row),
    /// Many runs, and what Kiln holds of the machine before and after
    Soak(soak::Soak),
    /// print(1) through Kiln beside the bare interpreter and what else isolates it on this machine
    Compare(compare::Compare),
    /// Whether the time of a refused login tells if the account exists
    Login(login::Login),
}

#[tokio::main]
async fn main() -> anyhow::Result<ExitCode> {
    match Load::parse() {
        Load::Bench(bench) => bench.run().await,
        Load::Row(row) => row.run().await,
        Load::Soak(soak) => soak.run().await,
        Load::Compare(compare) => compare.run().await,
        Load::Login(login) => login.run().await,
    }
}
