//! /notebooks: documents in nbformat, kept, run and exported.

mod create;
mod export;
mod read;
mod run;
mod versions;
mod write;

pub use create::*;
pub use export::*;
pub use read::*;
pub use run::*;
pub use versions::*;
pub use write::*;

use axum::response::Response;
use jiff::Timestamp;
use kiln_http::Problem;
use serde::Serialize;
use serde_json::value::RawValue;
use utoipa::ToSchema;
use uuid::Uuid;

use super::library;
use crate::Results;
use crate::library::Entry;
use crate::notebook::{self, Source, stored};

/// A notebook, without its content.
#[derive(Debug, Serialize, ToSchema)]
pub struct NotebookSummary {
    pub id: Uuid,
    pub name: String,
    /// As given: an id, or an alias such as `python`.
    pub runtime: String,
    /// The working directory of its runs.
    pub workspace_id: Option<Uuid>,
    /// Grows with every change; the entity tag.
    pub revision: i64,
    /// Number of its present version.
    pub version: i32,
    pub size_bytes: i64,
    /// Of its latest run, whose whole is at …/run: `starting`, `running` or `ended`.
    pub run_state: Option<String>,
    /// User or API key.
    pub created_by: Uuid,
    pub updated_by: Uuid,
    #[schema(value_type = String, format = DateTime)]
    pub created_at: Timestamp,
    #[schema(value_type = String, format = DateTime)]
    pub updated_at: Timestamp,
}

/// A notebook.
#[derive(Debug, Serialize, ToSchema)]
pub struct Notebook {
    #[serde(flatten)]
    pub summary: NotebookSummary,
    /// nbformat 4.5.
    #[schema(value_type = Object)]
    pub content: Box<RawValue>,
}

impl From<Entry> for NotebookSummary {
    fn from(entry: Entry) -> Self {
        Self {
            id: entry.id,
            name: entry.name,
            runtime: entry.runtime,
            workspace_id: entry.workspace_id,
            revision: entry.revision,
            version: entry.version,
            size_bytes: entry.size_bytes,
            run_state: entry.run_state,
            created_by: entry.created_by,
            updated_by: entry.updated_by,
            created_at: entry.created_at.to_jiff(),
            updated_at: entry.updated_at.to_jiff(),
        }
    }
}

impl Notebook {
    pub fn new(entry: Entry, content: Vec<u8>) -> Result<Self, Problem> {
        Ok(Self { summary: entry.into(), content: stored(content)? })
    }
}

fn created(entry: Entry, content: Vec<u8>) -> Result<Response, Problem> {
    library::created("notebooks", &entry.clone(), Notebook::new(entry, content)?)
}

impl Results {
    /// Reads what a client sent as a notebook, as it will be stored; 422 with each fault's place, 413 when it is too large.
    fn accepted(&self, json: &RawValue, source: Source) -> Result<Vec<u8>, Problem> {
        let mut notebook = notebook::read(json, source).map_err(Problem::invalid)?;
        notebook.name_kernel();
        self.bounded(&notebook)
    }

    /// The notebook as it is stored, unless it is too large.
    pub fn bounded(&self, notebook: &notebook::Notebook) -> Result<Vec<u8>, Problem> {
        let bytes = serde_json::to_vec(notebook).map_err(Problem::internal)?;
        if bytes.len() > self.notebook_bytes {
            return Err(Problem::too_large(format!(
                "A notebook may have {} bytes; this one has {}.",
                self.notebook_bytes,
                bytes.len()
            )));
        }
        Ok(bytes)
    }
}
