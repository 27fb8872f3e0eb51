//! As an `.ipynb` file, the way that nbformat writes them: texts as lists of lines.

use serde::Serialize;
use serde_json::value::RawValue;

use crate::notebook::{Cell, CellKind, Fields, Notebook, raw};

#[derive(Serialize)]
struct File<'a> {
    cells: Vec<FileCell<'a>>,
    metadata: &'a Fields,
    nbformat: u64,
    nbformat_minor: u64,
}

#[derive(Serialize)]
struct FileCell<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    attachments: Option<&'a Fields>,
    cell_type: &'a str,
    // Of code only, where it may be null.
    #[serde(skip_serializing_if = "Option::is_none")]
    execution_count: Option<serde_json::Value>,
    id: &'a str,
    metadata: &'a Fields,
    #[serde(skip_serializing_if = "Option::is_none")]
    outputs: Option<Vec<Fields>>,
    source: Vec<&'a str>,
}

/// The file's bytes.
pub fn ipynb(notebook: &Notebook) -> Vec<u8> {
    let cells = notebook.cells.iter().map(cell).collect();
    let file = File { cells, metadata: &notebook.metadata, nbformat: 4, nbformat_minor: notebook.minor };
    let mut bytes = Vec::new();
    let format = serde_json::ser::PrettyFormatter::with_indent(b" ");
    let mut serializer = serde_json::Serializer::with_formatter(&mut bytes, format);
    file.serialize(&mut serializer).expect("maps with text for keys can be written");
    bytes.push(b'\n');
    bytes
}

fn cell(cell: &Cell) -> FileCell<'_> {
    let is_code = cell.kind == CellKind::Code;
    FileCell {
        attachments: cell.attachments.as_ref(),
        cell_type: cell.kind.as_str(),
        execution_count: is_code.then(|| cell.execution_count.into()),
        id: &cell.id,
        metadata: &cell.metadata,
        outputs: is_code.then(|| cell.outputs.iter().map(output).collect()),
        source: cell.source.split_inclusive('\n').collect(),
    }
}

fn output(output: &Fields) -> Fields {
    let mut output = output.clone();
    if let Some(text) = output.get_mut("text") {
        *text = lines(text);
    }
    if let Some(data) = output.get_mut("data")
        && let Ok(mut bundle) = serde_json::from_str::<Fields>(data.get())
    {
        for (mime, value) in &mut bundle {
            if mime.starts_with("text/") || mime == "image/svg+xml" || mime == "application/javascript" {
                *value = lines(value);
            }
        }
        *data = raw(&bundle);
    }
    output
}

fn lines(text: &RawValue) -> Box<RawValue> {
    match serde_json::from_str::<String>(text.get()) {
        Ok(text) => raw(&text.split_inclusive('\n').collect::<Vec<_>>()),
        Err(_) => text.to_owned(),
    }
}
