//! /scripts: programs that are kept, in versions.

mod read;
mod versions;
mod write;

pub use read::*;
pub use versions::*;
pub use write::*;

use axum::response::Response;
use jiff::Timestamp;
use kiln_http::{FieldError, Problem};
use serde::Serialize;
use utoipa::ToSchema;
use uuid::Uuid;

use super::library;
use crate::library::{Entry, MAX_DESCRIPTION_BYTES, name_fault};

/// Largest code of a script, as of an execution.
const MAX_CODE_BYTES: usize = 1_000_000;

/// A script, without its code.
#[derive(Debug, Serialize, ToSchema)]
pub struct ScriptSummary {
    pub id: Uuid,
    pub name: String,
    pub description: String,
    /// As given: an id, or an alias such as `python`.
    pub runtime: String,
    /// Grows with every change; the entity tag.
    pub revision: i64,
    /// Number of its present version.
    pub version: i32,
    pub size_bytes: i64,
    /// User or API key.
    pub created_by: Uuid,
    pub updated_by: Uuid,
    #[schema(value_type = String, format = DateTime)]
    pub created_at: Timestamp,
    #[schema(value_type = String, format = DateTime)]
    pub updated_at: Timestamp,
}

/// A script.
#[derive(Debug, Serialize, ToSchema)]
pub struct Script {
    #[serde(flatten)]
    pub summary: ScriptSummary,
    pub code: String,
}

impl From<Entry> for ScriptSummary {
    fn from(entry: Entry) -> Self {
        Self {
            id: entry.id,
            name: entry.name,
            description: entry.description,
            runtime: entry.runtime,
            revision: entry.revision,
            version: entry.version,
            size_bytes: entry.size_bytes,
            created_by: entry.created_by,
            updated_by: entry.updated_by,
            created_at: entry.created_at.to_jiff(),
            updated_at: entry.updated_at.to_jiff(),
        }
    }
}

impl Script {
    pub fn new(entry: Entry, content: Vec<u8>) -> Result<Self, Problem> {
        Ok(Self { summary: entry.into(), code: text(content)? })
    }
}

/// The code that was stored.
pub fn text(content: Vec<u8>) -> Result<String, Problem> {
    String::from_utf8(content).map_err(Problem::internal)
}

fn created(entry: Entry, content: Vec<u8>) -> Result<Response, Problem> {
    library::created("scripts", &entry.clone(), Script::new(entry, content)?)
}

/// What is wrong with a script's fields; those that are not given are fine.
fn faults(name: Option<&str>, description: Option<&str>, code: Option<&str>) -> Vec<FieldError> {
    let mut faults = Vec::new();
    faults.extend(name.and_then(name_fault).map(|detail| FieldError::new("/name", detail)));
    if description.is_some_and(|text| text.len() > MAX_DESCRIPTION_BYTES) {
        faults.push(FieldError::new("/description", format!("must be at most {MAX_DESCRIPTION_BYTES} bytes")));
    }
    if description.is_some_and(|text| text.contains('\0')) {
        faults.push(FieldError::new("/description", "must not contain NUL"));
    }
    if code.is_some_and(|code| code.len() > MAX_CODE_BYTES) {
        faults.push(FieldError::new("/code", format!("must be at most {MAX_CODE_BYTES} bytes")));
    }
    faults
}
