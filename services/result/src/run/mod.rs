//! Notebooks that run by themselves: their cells are given to the scheduler together, and what each leaves is written into
//! the notebook as it ends, whoever is there.
//!
//! A run's cells and the ids of their executions are written down before the scheduler hears of them, so that every crash
//! leaves a run that can be gone on with or told to be over: nothing runs twice.

mod abandon;
mod begin;
mod plan;
mod store;
mod submit;
mod write;

pub use begin::{Asked, refused_session};
pub use store::{Run, RunCell};
pub use write::task;

use tokio::sync::Notify;

/// What those who run notebooks tell each other in this process.
#[derive(Default)]
pub struct Runs {
    /// An execution of a notebook has ended, or a run has begun.
    pub wake: Notify,
    /// A run has ended.
    pub ended: Notify,
}

/// The label of executions that are a notebook's, whose value is its id; and of the cell.
pub const NOTEBOOK_LABEL: &str = "notebook";
pub const CELL_LABEL: &str = "cell";

/// What became of a cell that did not come to run.
pub const NOT_RUN: &str = "not_run";
