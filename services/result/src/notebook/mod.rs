//! Notebooks as documents: nbformat 4.5, whatever else is in its metadata kept as it came.
//!
//! Only what Kiln understands is taken apart; metadata and outputs stay the JSON text that they were, so that no number and
//! no key changes by being stored. The format is that of <https://nbformat.readthedocs.io/en/latest/format_description.html>.

mod check;
mod compact;
mod diff;
mod export;
mod legacy;
mod parameters;
mod read;
mod write;

use std::collections::BTreeMap;

use kiln_http::Problem;
use serde_json::value::RawValue;

pub use diff::{NotebookDiff, diff, unified};
pub use export::{html, ipynb, python};
pub use parameters::Parameters;
pub use read::{Ids, Source, read};
pub use write::{Ran, raw};

/// A JSON object of which only the names are taken apart.
pub type Fields = BTreeMap<String, Box<RawValue>>;

/// A notebook that is valid.
#[derive(Debug, Clone)]
pub struct Notebook {
    pub metadata: Fields,
    /// The minor number of nbformat 4, at least 5.
    pub minor: u64,
    pub cells: Vec<Cell>,
}

#[derive(Debug, Clone)]
pub struct Cell {
    pub id: String,
    pub kind: CellKind,
    pub source: String,
    pub metadata: Fields,
    /// By name of the attached file; code has none.
    pub attachments: Option<Fields>,
    /// Of code.
    pub outputs: Vec<Fields>,
    pub execution_count: Option<u64>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CellKind {
    Code,
    Markdown,
    Raw,
}

impl CellKind {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Code => "code",
            Self::Markdown => "markdown",
            Self::Raw => "raw",
        }
    }
}

impl Notebook {
    /// One without cells, for Python.
    pub fn empty() -> Self {
        let mut notebook = Self { metadata: Fields::new(), minor: 5, cells: Vec::new() };
        notebook.name_kernel();
        notebook
    }

    /// Says that it is for Python, where it does not say what it is for.
    pub fn name_kernel(&mut self) {
        if self.metadata.contains_key("kernelspec") {
            return;
        }
        let kernel = serde_json::json!({ "name": "python3", "display_name": "Python 3", "language": "python" });
        self.metadata.insert("kernelspec".to_owned(), raw(&kernel));
        let language = || raw(&serde_json::json!({ "name": "python", "file_extension": ".py", "mimetype": "text/x-python" }));
        self.metadata.entry("language_info".to_owned()).or_insert_with(language);
    }

    pub fn cell_mut(&mut self, id: &str) -> Option<&mut Cell> {
        self.cells.iter_mut().find(|cell| cell.id == id)
    }
}

impl Cell {
    /// A cell of code that has not run.
    pub fn code(id: String, source: String) -> Self {
        let (metadata, outputs) = (Fields::new(), Vec::new());
        Self { id, kind: CellKind::Code, source, metadata, attachments: None, outputs, execution_count: None }
    }

    pub fn tags(&self) -> Vec<String> {
        self.metadata.get("tags").and_then(|tags| serde_json::from_str(tags.get()).ok()).unwrap_or_default()
    }

    pub fn has_tag(&self, tag: &str) -> bool {
        self.tags().iter().any(|own| own == tag)
    }
}

/// The JSON that was stored.
pub fn stored(content: Vec<u8>) -> Result<Box<RawValue>, Problem> {
    RawValue::from_string(String::from_utf8(content).map_err(Problem::internal)?).map_err(Problem::internal)
}

/// A stored notebook, taken apart.
pub fn parsed(content: Vec<u8>) -> Result<Notebook, Problem> {
    read(&stored(content)?, Source { pointer: "", ids: Ids::Mended }).map_err(Problem::internal)
}

/// A new cell's id: eight hexadecimal digits, as Jupyter's own. The caller looks that it is the only one.
pub fn cell_id() -> String {
    // The end of a UUIDv7 is random.
    uuid::Uuid::now_v7().simple().to_string().split_off(24)
}
