//! `kiln run`.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use reqwest::Method;
use serde::Deserialize;
use serde_json::Value;
use tokio::sync::mpsc;

use super::api::Api;
use super::execution::{Execution, KILN_FAILED};
use super::problem::Problem;
use super::program::Program;
use super::{Target, files, follow, interact, save};

/// Interruptions so close together are one.
const SAME_INTERRUPTION: Duration = Duration::from_millis(300);

#[derive(Debug, clap::Args)]
#[command(
    after_help = "Exit code: the program's own; 128 + n when signal n ended it; 124 when it ran out of time, 137 of memory; \
                        130 when it was cancelled; 125 when Kiln failed or lost it.\n\
                        Ctrl-C cancels the run; with -i the first one is the program's. One more leaves the run to itself."
)]
pub struct Run {
    #[command(flatten)]
    program: Program,
    /// Saves the files and figures that the program leaves into a directory
    #[arg(long, value_name = "DIR")]
    save: Option<PathBuf>,
    /// Says only the run's id, and does not wait
    #[arg(long, conflicts_with_all = ["interactive", "save"])]
    detach: bool,
    #[command(flatten)]
    target: Target,
}

#[derive(Deserialize)]
struct Accepted {
    id: String,
}

impl Run {
    pub async fn run(self) -> anyhow::Result<ExitCode> {
        Ok(Box::pin(self.follow_to_end()).await.unwrap_or_else(|error| {
            eprintln!("kiln: {error:#}");
            ExitCode::from(KILN_FAILED)
        }))
    }

    async fn follow_to_end(self) -> anyhow::Result<ExitCode> {
        let api = Api::open(&self.target)?;
        let interactive = self.program.interactive;
        let workspace = match &self.program.workspace {
            Some(workspace) => Some(files::find(&api, workspace).await?),
            None => None,
        };
        let mut request: Value = self.program.request()?;
        if let (Some(workspace), Some(fields)) = (workspace, request.as_object_mut()) {
            fields.insert("workspace_id".to_owned(), workspace.into());
        }
        let accepted: Accepted =
            api.json(Method::POST, "api/v1/executions", Some(&request)).await.map_err(|error| {
                match error.downcast::<Problem>() {
                    Ok(problem) => problem.about(&request).into(),
                    Err(error) => error,
                }
            })?;
        if self.detach {
            crate::output::say(&accepted.id);
            return Ok(ExitCode::SUCCESS);
        }
        let Some(execution) = Box::pin(watch(&api, &accepted.id, interactive)).await? else {
            eprintln!("kiln: the run goes on; see it with `kiln logs {}`", accepted.id);
            return Ok(ExitCode::from(130));
        };
        if let Some(directory) = self.save {
            save::save(&api, &execution, &directory).await?;
        }
        Ok(finish(&execution))
    }
}

/// Says in one line what went wrong, if something did.
pub fn finish(execution: &Execution) -> ExitCode {
    if execution.stdout_truncated || execution.stderr_truncated {
        eprintln!("kiln: the program printed more than its limit; the first part was kept");
    }
    if let Some(complaint) = execution.complaint() {
        eprintln!("kiln: {complaint}");
    }
    ExitCode::from(execution.exit_code())
}

/// Shows the run to its end; None when the user left it.
async fn watch(api: &Api, id: &str, interactive: bool) -> anyhow::Result<Option<Execution>> {
    let (send, mut interruptions) = mpsc::channel(1);
    let shown =
        async { if interactive { interact::interact(api, id, &mut interruptions).await } else { follow::follow(api, id).await } };
    tokio::select! {
        execution = shown => execution.map(Some),
        left = heed_interruptions(api, id, interactive.then_some(send)) => left.map(|()| None),
    }
}

/// The first Ctrl-C is the program's when it is interactive; the next cancels the run; one more returns.
async fn heed_interruptions(api: &Api, id: &str, program: Option<mpsc::Sender<()>>) -> anyhow::Result<()> {
    if let Some(program) = program {
        tokio::signal::ctrl_c().await?;
        // One that waits to be sent is enough; and a console that has gone needs none.
        let _full_or_gone = program.try_send(());
    }
    tokio::signal::ctrl_c().await?;
    eprintln!("kiln: cancelling; Ctrl-C again leaves the run to itself");
    let cancel = async {
        if let Err(error) = super::cancel::cancel(api, id).await {
            eprintln!("kiln: the run could not be cancelled: {error:#}");
        }
        std::future::pending::<()>().await;
    };
    let leave = async {
        // Some programs that start others pass a signal on that the terminal has sent as well.
        tokio::time::sleep(SAME_INTERRUPTION).await;
        tokio::signal::ctrl_c().await
    };
    tokio::select! {
        () = cancel => Ok(()),
        interrupted = leave => Ok(interrupted?),
    }
}
