//! The command line.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context;
use clap::Parser;
use kiln_runtime::logging;

use crate::admin::Admin;
use crate::output::say;
use crate::serve::Serve;
use crate::settings::Settings;
use crate::up::doctor::Doctor;
use crate::up::down::Down;
use crate::up::reset::Reset;
use crate::up::status::Status;
use crate::up::{ExecChild, Up};
use crate::wait::Wait;
use crate::{api_document, client, migrate, up};

/// Runs other people's Python, safely and at once.
#[derive(Debug, Parser)]
#[command(name = "kiln", version, arg_required_else_help = true)]
struct Kiln {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    Up(Box<Up>),
    Down(Down),
    Status(Status),
    Reset(Reset),
    Doctor(Doctor),
    Serve(Serve),
    /// Brings the database and the streams up to date
    Migrate {
        /// Settings file (TOML)
        #[arg(long, value_name = "FILE")]
        config: Option<PathBuf>,
    },
    /// Gets the servers that `kiln up` needs, where they are missing, and prints where they are, as variables
    Fetch,
    Wait(Wait),
    /// Prints the accounts that an external NATS must have, with what each may publish and subscribe to
    NatsConfig,
    /// Prints the table of all metrics
    Metrics,
    Admin(Admin),
    /// Prints the OpenAPI document
    Openapi,
    #[command(flatten)]
    Client(client::Command),
    #[command(hide = true)]
    ExecChild(ExecChild),
}

/// Parses the arguments and does what they say.
pub fn run() -> ExitCode {
    let kiln = Kiln::parse();
    run_logged(kiln.command).unwrap_or_else(|error| {
        eprintln!("kiln: {error:#}");
        ExitCode::FAILURE
    })
}

fn run_logged(command: Command) -> anyhow::Result<ExitCode> {
    if let Command::ExecChild(child) = command {
        return child.run().map(|never| match never {});
    }
    logging::init(if matches!(command, Command::Serve(_)) { "info" } else { "warn" })?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().context("the async runtime")?;
    // On the main thread: `up` starts its children from here, see `up::child`.
    runtime.block_on(run_async(command))
}

async fn run_async(command: Command) -> anyhow::Result<ExitCode> {
    match command {
        Command::Up(up) => Box::pin(up.run()).await?,
        Command::Serve(serve) => Box::pin(serve.run()).await?,
        Command::Status(status) => return status.run().await,
        Command::Doctor(doctor) => return doctor.run().await,
        Command::Down(down) => down.run()?,
        Command::Reset(reset) => reset.run()?,
        Command::Migrate { config } => {
            let settings = Settings::load(config)?;
            tokio::try_join!(migrate::database(&settings), migrate::streams(&settings))?;
        }
        Command::Fetch => up::fetch()?,
        Command::Client(command) => return Box::pin(client::run(command)).await,
        Command::Admin(admin) => return Box::pin(admin.run()).await,
        Command::Wait(wait) => Box::pin(wait.run()).await?,
        Command::NatsConfig => say(&up::nats_config()?),
        Command::Metrics => say(kiln_runtime::metrics::table().trim_end()),
        Command::Openapi => say(&api_document::text()?),
        Command::ExecChild(child) => return child.run().map(|never| match never {}),
    }
    Ok(ExitCode::SUCCESS)
}
