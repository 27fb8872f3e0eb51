//! `kiln down`: asks the Kiln of a data directory to stop, and waits until it has.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::Context;
use nix::errno::Errno;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::instance::{Running, running};
use super::leftover::wait_gone;
use crate::output::say;
use crate::paths;

/// Longer than all drains of `kiln up` together.
const STOPS_WITHIN: Duration = Duration::from_secs(90);

/// Stops the Kiln that `kiln up` started.
#[derive(Debug, clap::Args)]
pub struct Down {
    /// Its data directory
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
}

impl Down {
    pub fn run(self) -> anyhow::Result<()> {
        let home = paths::data_dir(self.data.as_deref())?;
        let state = match running(&home)? {
            Running::No => {
                say(&format!("Kiln does not run in {}", home.display()));
                return Ok(());
            }
            Running::Starting => anyhow::bail!("Kiln is just starting or stopping in {}: try again", home.display()),
            Running::Serving(state) => state,
        };
        match kill(Pid::from_raw(state.pid), Signal::SIGTERM) {
            Ok(()) | Err(Errno::ESRCH) => {}
            Err(error) => return Err(error).with_context(|| format!("cannot signal Kiln (pid {})", state.pid)),
        }
        let gone = wait_gone(state.pid, STOPS_WITHIN)?;
        anyhow::ensure!(gone, "Kiln (pid {}) still runs after {STOPS_WITHIN:?}: kill -9 {}", state.pid, state.pid);
        say(&format!("Kiln has stopped; its data stays in {}", home.display()));
        Ok(())
    }
}
