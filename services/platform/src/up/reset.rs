//! `kiln reset --yes`: removes a data directory, and only one of Kiln's that nothing runs in.

use std::path::PathBuf;

use anyhow::Context;

use super::instance::{Held, is_ours};
use super::postgres;
use crate::output::say;
use crate::paths;

/// Removes all data: accounts, executions, results, secrets.
#[derive(Debug, clap::Args)]
pub struct Reset {
    /// The data directory
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    /// Confirms
    #[arg(long)]
    yes: bool,
}

impl Reset {
    pub fn run(self) -> anyhow::Result<()> {
        let home = paths::data_dir(self.data.as_deref())?;
        if !home.exists() {
            say(&format!("There is nothing in {}", home.display()));
            return Ok(());
        }
        anyhow::ensure!(is_ours(&home), "{} is no data directory of Kiln; nothing was removed", home.display());
        anyhow::ensure!(self.yes, "this removes everything in {}; confirm with: kiln reset --yes", home.display());
        let held = Held::take(&home)?;
        postgres::remove_outside(&home)?;
        std::fs::remove_dir_all(&home).with_context(|| format!("cannot remove {}", home.display()))?;
        drop(held);
        say(&format!("Removed {}", home.display()));
        Ok(())
    }
}
