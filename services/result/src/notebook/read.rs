//! Reading a notebook: valid by nbformat 4.5, or what is wrong and where. Older ones become 4.5 as nbformat makes them.

use std::collections::BTreeSet;

use kiln_http::FieldError;
use serde_json::value::RawValue;

use super::check::{Faults, Place};
use super::{Cell, CellKind, Fields, Notebook, cell_id, compact, legacy, raw};

/// What becomes of cells that have the same id.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ids {
    /// They are a fault.
    Unique,
    /// All but the first get another, as nbformat does.
    Mended,
}

/// Where the notebook comes from: pointers begin there.
#[derive(Debug, Clone, Copy)]
pub struct Source<'a> {
    pub pointer: &'a str,
    pub ids: Ids,
}

/// A field that nbformat keeps in memory and not in files.
const TRANSIENT: [&str; 3] = ["orig_nbformat", "orig_nbformat_minor", "signature"];
const CELL_TRANSIENT: &str = "trusted";

/// Reads a notebook of any version that nbformat reads. The text is JSON.
pub fn read(json: &RawValue, source: Source) -> Result<Notebook, Vec<FieldError>> {
    let place = Place(source.pointer.to_owned());
    let mut faults = Faults::default();
    let Ok(text) = compact::compact(json.get()) else {
        faults.add(&place, "is nested too deeply");
        return Err(faults.0);
    };
    let notebook = document(&mut faults, &place, &text, source.ids);
    match notebook {
        Some(notebook) if faults.0.is_empty() => Ok(notebook),
        _ => Err(faults.0),
    }
}

fn document(faults: &mut Faults, place: &Place, text: &str, ids: Ids) -> Option<Notebook> {
    let Ok(mut fields) = serde_json::from_str::<Fields>(text) else {
        faults.add(place, "must be a notebook: a JSON object");
        return None;
    };
    let major_place = place.at("nbformat");
    let major = faults.take(place, &mut fields, "nbformat")?;
    let major: u64 = faults.parse(&major_place, &major, "a whole number")?;
    match major {
        4 => current(faults, place, fields, ids),
        1..=3 => {
            let upgraded = legacy::upgrade(major, text, place, faults)?;
            let mut fields: Fields = serde_json::from_str(&upgraded).ok()?;
            fields.remove("nbformat");
            current(faults, place, fields, Ids::Mended)
        }
        _ => {
            faults.add(&major_place, format!("is {major}: nbformat has the versions 1 to 4"));
            None
        }
    }
}

/// What is left of nbformat 4 once its number is read.
fn current(faults: &mut Faults, place: &Place, mut fields: Fields, ids: Ids) -> Option<Notebook> {
    let minor = faults.take(place, &mut fields, "nbformat_minor");
    let minor: Option<u64> = minor.and_then(|minor| faults.parse(&place.at("nbformat_minor"), &minor, "a whole number from 0"));
    let minor = minor.unwrap_or(5);
    let metadata_place = place.at("metadata");
    let metadata = faults.take(place, &mut fields, "metadata").and_then(|value| faults.object(&metadata_place, &value));
    let mut metadata = metadata.unwrap_or_default();
    for name in TRANSIENT {
        metadata.remove(name);
    }
    faults.notebook_metadata(&metadata_place, &metadata);
    let cells = faults.take(place, &mut fields, "cells");
    let cells: Option<Vec<Box<RawValue>>> = cells.and_then(|cells| faults.parse(&place.at("cells"), &cells, "a list"));
    faults.nothing_else(place, &fields, "a notebook");
    let mut used = BTreeSet::new();
    let mut read = Vec::new();
    for (index, value) in cells?.iter().enumerate() {
        let place = place.at("cells").at(index);
        if let Some((id, cell)) = cell(faults, &place, value) {
            // Before 4.5 an id meant nothing.
            let ids = if minor < 5 { Ids::Mended } else { ids };
            let id = own_id(faults, &place, id, ids, &mut used);
            read.push(Cell { id, ..cell });
        }
    }
    Some(Notebook { metadata, minor: minor.max(5), cells: read })
}

/// The id that the cell has or gets.
fn own_id(faults: &mut Faults, place: &Place, id: Option<String>, ids: Ids, used: &mut BTreeSet<String>) -> String {
    let place = place.at("id");
    match id {
        Some(id) if !is_id(&id) && ids == Ids::Unique => {
            faults.add(&place, "must be 1 to 64 letters, digits, - and _");
        }
        Some(id) if is_id(&id) => {
            if used.insert(id.clone()) {
                return id;
            }
            if ids == Ids::Unique {
                faults.add(&place, format!("is {id}, as that of a cell before it"));
            }
        }
        Some(_) | None => {}
    }
    loop {
        let made = cell_id();
        if used.insert(made.clone()) {
            return made;
        }
    }
}

fn is_id(id: &str) -> bool {
    (1..=64).contains(&id.len()) && id.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_')
}

/// A cell, and its id where it has one.
fn cell(faults: &mut Faults, place: &Place, value: &RawValue) -> Option<(Option<String>, Cell)> {
    let mut fields = faults.object(place, value)?;
    let kind_place = place.at("cell_type");
    let kind = faults.take(place, &mut fields, "cell_type")?;
    let kind = match faults.parse::<String>(&kind_place, &kind, "text")?.as_str() {
        "code" => CellKind::Code,
        "markdown" => CellKind::Markdown,
        "raw" => CellKind::Raw,
        _ => {
            faults.add(&kind_place, "must be code, markdown or raw");
            return None;
        }
    };
    let is_code = kind == CellKind::Code;
    let id = fields.remove("id").and_then(|id| faults.parse(&place.at("id"), &id, "text"));
    let metadata_place = place.at("metadata");
    let metadata = faults.take(place, &mut fields, "metadata").and_then(|value| faults.object(&metadata_place, &value));
    let mut metadata = metadata.unwrap_or_default();
    metadata.remove(CELL_TRANSIENT);
    faults.cell_metadata(&metadata_place, &metadata, is_code, kind == CellKind::Raw);
    let source = faults.take(place, &mut fields, "source").and_then(|value| faults.text(&place.at("source"), &value));
    let (mut outputs, mut execution_count, mut attached) = (Vec::new(), None, None);
    if is_code {
        let outputs_place = place.at("outputs");
        let listed = faults.take(place, &mut fields, "outputs");
        let listed: Option<Vec<Box<RawValue>>> = listed.and_then(|listed| faults.parse(&outputs_place, &listed, "a list"));
        for (index, value) in listed.unwrap_or_default().iter().enumerate() {
            outputs.extend(output(faults, &outputs_place.at(index), value));
        }
        let count = faults.take(place, &mut fields, "execution_count");
        execution_count = count.and_then(|count| faults.count(&place.at("execution_count"), &count));
    } else if let Some(value) = fields.remove("attachments") {
        attached = Some(attachments(faults, &place.at("attachments"), &value));
    }
    faults.nothing_else(place, &fields, &format!("a {} cell", kind.as_str()));
    let source = source.unwrap_or_default();
    Some((id, Cell { id: String::new(), kind, source, metadata, attachments: attached, outputs, execution_count }))
}

fn attachments(faults: &mut Faults, place: &Place, value: &RawValue) -> Fields {
    let mut attachments = faults.object(place, value).unwrap_or_default();
    for (name, bundle) in &mut attachments {
        if let Some(joined) = faults.bundle(&place.at(name), bundle) {
            *bundle = raw(&joined);
        }
    }
    attachments
}

/// One output of a cell of code; none when it is not acceptable.
pub fn output(faults: &mut Faults, place: &Place, value: &RawValue) -> Option<Fields> {
    let fields = faults.object(place, value)?;
    let mut left = fields.clone();
    let kind = faults.take(place, &mut left, "output_type")?;
    let kind: String = faults.parse(&place.at("output_type"), &kind, "text")?;
    let mut read = fields;
    match kind.as_str() {
        "execute_result" | "display_data" => {
            if let Some(data) = faults.take(place, &mut left, "data")
                && let Some(bundle) = faults.bundle(&place.at("data"), &data)
            {
                read.insert("data".to_owned(), raw(&bundle));
            }
            if let Some(metadata) = faults.take(place, &mut left, "metadata") {
                faults.object(&place.at("metadata"), &metadata);
            }
            if kind == "execute_result"
                && let Some(count) = faults.take(place, &mut left, "execution_count")
            {
                faults.count(&place.at("execution_count"), &count);
            }
        }
        "stream" => {
            if let Some(name) = faults.take(place, &mut left, "name") {
                faults.parse::<String>(&place.at("name"), &name, "text");
            }
            if let Some(text) = faults.take(place, &mut left, "text")
                && let Some(text) = faults.text(&place.at("text"), &text)
            {
                read.insert("text".to_owned(), raw(&text));
            }
        }
        "error" => {
            for name in ["ename", "evalue"] {
                if let Some(value) = faults.take(place, &mut left, name) {
                    faults.parse::<String>(&place.at(name), &value, "text");
                }
            }
            if let Some(traceback) = faults.take(place, &mut left, "traceback") {
                faults.parse::<Vec<String>>(&place.at("traceback"), &traceback, "a list of texts");
            }
        }
        _ => {
            faults.add(&place.at("output_type"), "must be stream, display_data, execute_result or error");
            return None;
        }
    }
    faults.nothing_else(place, &left, &format!("a {kind} output"));
    Some(read)
}
