//! The command-line client: speaks to a Kiln, here or elsewhere, by the public API alone.

mod api;
mod cancel;
mod credentials;
mod drill;
mod execution;
mod files;
mod follow;
mod history;
mod interact;
mod login;
mod logs;
mod notebooks;
mod problem;
mod program;
mod run;
mod save;
mod server;
mod sessions;
mod told;

pub use api::Api;

use std::process::ExitCode;

#[derive(Debug, clap::Subcommand)]
pub enum Command {
    /// Signs in to a Kiln and remembers it
    Login(login::Login),
    /// Runs a program and shows its output as it comes
    Run(Box<run::Run>),
    /// Shows the output of a run
    Logs(logs::Logs),
    /// Stops a run
    Cancel(cancel::Cancel),
    /// Lists the latest runs
    Runs(history::Runs),
    /// Lists the open sessions, or interrupts, restarts or closes one
    Sessions(sessions::Sessions),
    /// Lists, puts, gets and removes files of a workspace
    Files(files::Files),
    /// Lists, puts, gets and runs notebooks
    Notebooks(notebooks::Notebooks),
    /// Tries to break out of the sandboxes, and reports what was held
    Drill(Box<drill::RunDrill>),
}

/// Which Kiln to speak to.
#[derive(Debug, Clone, clap::Args)]
pub struct Target {
    /// Address of the Kiln [default: the one last signed in to by --server, else the one that `kiln up` runs here]
    #[arg(long, alias = "url", value_name = "URL", env = "KILN_SERVER")]
    server: Option<String>,
    /// API key (or access token) to use instead of the remembered sign-in
    #[arg(long, alias = "token", value_name = "KEY", env = "KILN_API_KEY", hide_env_values = true)]
    api_key: Option<String>,
}

/// Does what the command says; the exit code is the command's, or the program's where one was followed.
pub async fn run(command: Command) -> anyhow::Result<ExitCode> {
    match command {
        Command::Login(login) => login.run().await,
        Command::Run(run) => Box::pin(run.run()).await,
        Command::Logs(logs) => logs.run().await,
        Command::Cancel(cancel) => cancel.run().await,
        Command::Runs(runs) => runs.run().await,
        Command::Sessions(sessions) => sessions.run().await,
        Command::Files(files) => Box::pin(files.run()).await,
        Command::Notebooks(notebooks) => Box::pin(notebooks.run()).await,
        Command::Drill(drill) => Box::pin(drill.run()).await,
    }
}
