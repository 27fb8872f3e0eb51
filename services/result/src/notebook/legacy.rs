//! Notebooks of nbformat 1 to 3 as nbformat 4.5, by the rules of nbformat's own converters (`nbformat.v2.convert`,
//! `nbformat.v3.convert`, `nbformat.v4.convert`).

use serde_json::{Map, Value, json};

use super::check::{Faults, Place};

type Object = Map<String, Value>;

/// Names of mime types before nbformat 4.
const MIME_TYPES: [(&str, &str); 8] = [
    ("text", "text/plain"),
    ("html", "text/html"),
    ("svg", "image/svg+xml"),
    ("png", "image/png"),
    ("jpeg", "image/jpeg"),
    ("latex", "text/latex"),
    ("json", "application/json"),
    ("javascript", "application/javascript"),
];

/// The notebook in JSON of nbformat 4.5; whether that is valid is for the reader of 4.5 to say.
pub fn upgrade(major: u64, text: &str, place: &Place, faults: &mut Faults) -> Option<String> {
    let Ok(mut notebook) = serde_json::from_str::<Object>(text) else {
        faults.add(place, "cannot be read");
        return None;
    };
    let mut metadata = match notebook.remove("metadata") {
        Some(Value::Object(metadata)) => metadata,
        _ => Object::new(),
    };
    metadata.remove("name");
    let cells = if major == 1 { of_version_1(notebook, place, faults) } else { of_worksheets(notebook, place, faults) }?;
    Some(json!({ "nbformat": 4, "nbformat_minor": 5, "metadata": metadata, "cells": cells }).to_string())
}

fn of_version_1(mut notebook: Object, place: &Place, faults: &mut Faults) -> Option<Vec<Value>> {
    let Some(Value::Array(cells)) = notebook.remove("cells") else {
        faults.add(&place.at("cells"), "is required, and must be a list");
        return None;
    };
    let upgraded = cells.into_iter().map(|cell| {
        let Value::Object(mut cell) = cell else { return cell };
        if cell.get("cell_type") == Some(&"code".into()) {
            let source = cell.remove("code").unwrap_or_else(|| "".into());
            let count = cell.remove("prompt_number").unwrap_or_default();
            let metadata = json!({ "collapsed": false });
            json!({ "cell_type": "code", "metadata": metadata, "source": source, "execution_count": count, "outputs": [] })
        } else {
            json!({ "cell_type": "markdown", "metadata": {}, "source": cell.remove("text").unwrap_or_else(|| "".into()) })
        }
    });
    Some(upgraded.collect())
}

fn of_worksheets(mut notebook: Object, place: &Place, faults: &mut Faults) -> Option<Vec<Value>> {
    let place = place.at("worksheets");
    let Some(Value::Array(worksheets)) = notebook.remove("worksheets") else {
        faults.add(&place, "is required, and must be a list");
        return None;
    };
    let mut cells = Vec::new();
    for (index, mut worksheet) in worksheets.into_iter().enumerate() {
        match worksheet.as_object_mut().and_then(|worksheet| worksheet.remove("cells")) {
            Some(Value::Array(of_sheet)) => cells.extend(of_sheet.into_iter().map(cell)),
            _ => faults.add(&place.at(index).at("cells"), "is required, and must be a list"),
        }
    }
    Some(cells)
}

fn cell(cell: Value) -> Value {
    let Value::Object(mut cell) = cell else { return cell };
    let metadata = cell.entry("metadata").or_insert_with(|| json!({}));
    if let Some(metadata) = metadata.as_object_mut() {
        metadata.remove("trusted");
    }
    cell.remove("trusted");
    cell.remove("rendered");
    match cell.get("cell_type").and_then(Value::as_str) {
        Some("code") => code(&mut cell),
        Some("heading") => {
            let level = cell.remove("level").and_then(|level| level.as_u64()).unwrap_or(1).clamp(1, 6);
            let text = joined(cell.remove("source"));
            let line: Vec<&str> = text.as_str().unwrap_or_default().lines().collect();
            let hashes = "#".repeat(usize::try_from(level).unwrap_or(1));
            cell.insert("source".to_owned(), format!("{hashes} {}", line.join(" ")).into());
            cell.insert("cell_type".to_owned(), "markdown".into());
        }
        Some("html") => {
            let source = joined(cell.remove("source"));
            cell.insert("source".to_owned(), source);
            cell.insert("cell_type".to_owned(), "markdown".into());
        }
        _ => {
            let source = joined(cell.remove("source"));
            cell.insert("source".to_owned(), source);
        }
    }
    Value::Object(cell)
}

fn code(cell: &mut Object) {
    cell.remove("language");
    if let Some(collapsed) = cell.remove("collapsed")
        && let Some(metadata) = cell.get_mut("metadata").and_then(Value::as_object_mut)
    {
        metadata.insert("collapsed".to_owned(), collapsed);
    }
    let source = joined(cell.remove("input"));
    cell.insert("source".to_owned(), source);
    let count = cell.remove("prompt_number").unwrap_or_default();
    cell.insert("execution_count".to_owned(), count);
    let outputs = match cell.remove("outputs") {
        Some(Value::Array(outputs)) => Value::Array(outputs.into_iter().map(output).collect()),
        Some(other) => other,
        None => json!([]),
    };
    cell.insert("outputs".to_owned(), outputs);
}

fn output(output: Value) -> Value {
    let Value::Object(mut output) = output else { return output };
    match output.get("output_type").and_then(Value::as_str) {
        Some("pyout") => {
            output.insert("output_type".to_owned(), "execute_result".into());
            let count = output.remove("prompt_number").unwrap_or_default();
            output.insert("execution_count".to_owned(), count);
            shown(output)
        }
        Some("display_data") => {
            output.remove("prompt_number");
            shown(output)
        }
        Some("pyerr") => {
            output.insert("output_type".to_owned(), "error".into());
            Value::Object(output)
        }
        Some("stream") => {
            let name = output.remove("stream").unwrap_or_else(|| "stdout".into());
            let text = joined(output.remove("text"));
            output.insert("name".to_owned(), name);
            output.insert("text".to_owned(), text);
            Value::Object(output)
        }
        _ => Value::Object(output),
    }
}

/// What was shown moves into `data`, under its mime types.
fn shown(output: Object) -> Value {
    let (mut upgraded, mut data) = (Object::new(), Object::new());
    upgraded.insert("metadata".to_owned(), json!({}));
    for (name, value) in output {
        match name.as_str() {
            "output_type" | "execution_count" => drop(upgraded.insert(name, value)),
            "metadata" => {
                let renamed = |metadata: Object| metadata.into_iter().map(|(name, value)| (mime(&name), value)).collect();
                let value = if let Value::Object(metadata) = value { Value::Object(renamed(metadata)) } else { value };
                upgraded.insert(name, value);
            }
            _ => {
                let text = joined(Some(value));
                let value = if name == "json" { parsed(text) } else { text };
                data.insert(mime(&name), value);
            }
        }
    }
    upgraded.insert("data".to_owned(), Value::Object(data));
    Value::Object(upgraded)
}

fn mime(name: &str) -> String {
    MIME_TYPES.iter().find(|(old, _)| *old == name).map_or(name, |(_, mime)| mime).to_owned()
}

/// JSON was kept as text.
fn parsed(text: Value) -> Value {
    text.as_str().and_then(|text| serde_json::from_str(text).ok()).unwrap_or(text)
}

/// The lines of a text, which some wrote with their ends and some without.
fn joined(text: Option<Value>) -> Value {
    let Some(Value::Array(lines)) = &text else { return text.unwrap_or_else(|| "".into()) };
    let Some(lines) = lines.iter().map(Value::as_str).collect::<Option<Vec<&str>>>() else { return text.unwrap_or_default() };
    let with_ends = lines.first().is_some_and(|line| line.ends_with(['\n', '\r']));
    lines.join(if with_ends { "" } else { "\n" }).into()
}
