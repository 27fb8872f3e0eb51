//! Writing a notebook: whole as JSON, and what an execution leaves in a cell of it.

use jiff::Timestamp;
use serde::ser::{SerializeMap as _, SerializeStruct as _};
use serde::{Serialize, Serializer};
use serde_json::Value;
use serde_json::value::RawValue;

use super::check::{Faults, Place};
use super::{Cell, CellKind, Fields, Notebook, read};

/// A value as JSON text.
///
/// # Panics
/// Never for what this crate gives it: maps with text for keys, and values that are JSON already.
pub fn raw(value: &impl Serialize) -> Box<RawValue> {
    serde_json::value::to_raw_value(value).expect("maps with text for keys can be written")
}

impl Serialize for Notebook {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut fields = serializer.serialize_struct("Notebook", 4)?;
        fields.serialize_field("cells", &self.cells)?;
        fields.serialize_field("metadata", &self.metadata)?;
        fields.serialize_field("nbformat", &4)?;
        fields.serialize_field("nbformat_minor", &self.minor)?;
        fields.end()
    }
}

impl Serialize for Cell {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut fields = serializer.serialize_map(None)?;
        if let Some(attachments) = &self.attachments {
            fields.serialize_entry("attachments", attachments)?;
        }
        fields.serialize_entry("cell_type", self.kind.as_str())?;
        if self.kind == CellKind::Code {
            fields.serialize_entry("execution_count", &self.execution_count)?;
        }
        fields.serialize_entry("id", &self.id)?;
        fields.serialize_entry("metadata", &self.metadata)?;
        if self.kind == CellKind::Code {
            fields.serialize_entry("outputs", &self.outputs)?;
        }
        fields.serialize_entry("source", &self.source)?;
        fields.end()
    }
}

/// How the execution of a cell ended, for the notebook.
#[derive(Debug, Clone)]
pub struct Ran {
    pub id: uuid::Uuid,
    pub outputs: Vec<Value>,
    pub execution_count: Option<u64>,
    pub started_at: Option<Timestamp>,
    pub finished_at: Option<Timestamp>,
    /// Name and words of an end that the program itself did not tell: killed for time or memory, cancelled, lost.
    pub cut_off: Option<(String, String)>,
}

impl Cell {
    /// As before it ran.
    pub fn clear(&mut self) {
        self.outputs.clear();
        self.execution_count = None;
        self.metadata.remove("execution");
    }

    /// Takes over what its execution left. What is no output by nbformat is named instead of kept, as is all of it when it
    /// is more than `most` bytes.
    pub fn ran(&mut self, execution: Ran, most: usize) {
        self.clear();
        self.execution_count = execution.execution_count;
        let mut size = 0;
        for (index, value) in execution.outputs.iter().enumerate() {
            let value = raw(value);
            size += value.get().len();
            let mut faults = Faults::default();
            let output = read::output(&mut faults, &Place(format!("/outputs/{index}")), &value);
            self.outputs.push(match (output, faults.0.first()) {
                (Some(output), None) => output,
                (_, fault) => {
                    let why = fault.map(|fault| format!("{} {}", fault.pointer, fault.detail)).unwrap_or_default();
                    note(&format!("An output is not kept, since it is none by nbformat: {why}\n"))
                }
            });
        }
        if size > most {
            let id = execution.id;
            let told =
                format!("{size} bytes of output are not kept here, since the notebook would be too large: see execution {id}.\n");
            self.outputs = vec![note(&told)];
        }
        if let Some((name, message)) = execution.cut_off {
            let text = format!("{name}: {message}");
            let error = serde_json::json!({ "output_type": "error", "ename": name, "evalue": message, "traceback": [text] });
            self.outputs.extend(serde_json::from_value::<Fields>(error).ok());
        }
        let times = [
            ("iopub.execute_input", execution.started_at),
            ("iopub.status.busy", execution.started_at),
            ("iopub.status.idle", execution.finished_at),
            ("shell.execute_reply", execution.finished_at),
        ];
        let times: std::collections::BTreeMap<_, _> =
            times.into_iter().filter_map(|(name, at)| Some((name, at?.to_string()))).collect();
        if !times.is_empty() {
            self.metadata.insert("execution".to_owned(), raw(&times));
        }
    }
}

/// A line of our own among a cell's outputs.
fn note(text: &str) -> Fields {
    let fields = [("output_type", raw(&"stream")), ("name", raw(&"stderr")), ("text", raw(&text))];
    fields.map(|(name, value)| (name.to_owned(), value)).into()
}
