//! What differs between two versions of a notebook: cells by their ids, and the lines of those that changed.

use std::collections::{BTreeSet, HashMap};
use std::time::Duration;

use serde::Serialize;
use similar::{Algorithm, DiffOp, TextDiff};
use utoipa::ToSchema;

use super::{Cell, Notebook, raw};

/// A comparison takes no longer; what it finds by then is right, if not the shortest.
const TIMEOUT: Duration = Duration::from_secs(1);

/// From one version of a notebook to another.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct NotebookDiff {
    /// The notebook's own metadata differ.
    pub metadata_changed: bool,
    /// Cells that differ, in the order of the newer version; those removed come last.
    pub cells: Vec<CellDiff>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct CellDiff {
    pub cell_id: String,
    pub change: CellChange,
    /// Its places, from 0.
    pub from_index: Option<usize>,
    pub to_index: Option<usize>,
    /// Which of its fields differ.
    pub fields: Vec<&'static str>,
    /// Its source as a unified diff, where that differs.
    pub source: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum CellChange {
    Added,
    Removed,
    /// Some of its fields differ; it may have moved as well.
    Changed,
    /// The same, at another place among the others.
    Moved,
}

pub fn diff(from: &Notebook, to: &Notebook) -> NotebookDiff {
    let old: HashMap<&str, (usize, &Cell)> = indexed(from);
    let new: HashMap<&str, (usize, &Cell)> = indexed(to);
    let moved = moved(from, to);
    let mut cells = Vec::new();
    for (index, cell) in to.cells.iter().enumerate() {
        let id = cell.id.as_str();
        let Some((old_index, before)) = old.get(id) else {
            cells.push(whole(cell, CellChange::Added, index));
            continue;
        };
        let fields = differing(before, cell);
        let change = match (fields.is_empty(), moved.contains(id)) {
            (false, _) => CellChange::Changed,
            (true, true) => CellChange::Moved,
            (true, false) => continue,
        };
        cells.push(CellDiff {
            cell_id: cell.id.clone(),
            change,
            from_index: Some(*old_index),
            to_index: Some(index),
            source: fields.contains(&"source").then(|| unified(&before.source, &cell.source)),
            fields,
        });
    }
    let removed = from.cells.iter().enumerate().filter(|(_, cell)| !new.contains_key(cell.id.as_str()));
    cells.extend(removed.map(|(index, cell)| whole(cell, CellChange::Removed, index)));
    NotebookDiff { metadata_changed: raw(&from.metadata).get() != raw(&to.metadata).get(), cells }
}

/// The lines of a text that differ, with three around them.
pub fn unified(from: &str, to: &str) -> String {
    TextDiff::configure().timeout(TIMEOUT).diff_lines(from, to).unified_diff().context_radius(3).to_string()
}

fn indexed(notebook: &Notebook) -> HashMap<&str, (usize, &Cell)> {
    notebook.cells.iter().enumerate().map(|(index, cell)| (cell.id.as_str(), (index, cell))).collect()
}

fn whole(cell: &Cell, change: CellChange, index: usize) -> CellDiff {
    let is_added = change == CellChange::Added;
    let (from, to) = if is_added { ("", cell.source.as_str()) } else { (cell.source.as_str(), "") };
    CellDiff {
        cell_id: cell.id.clone(),
        change,
        from_index: (!is_added).then_some(index),
        to_index: is_added.then_some(index),
        fields: Vec::new(),
        source: Some(unified(from, to)),
    }
}

fn differing(before: &Cell, after: &Cell) -> Vec<&'static str> {
    let fields = [
        ("cell_type", before.kind == after.kind),
        ("source", before.source == after.source),
        ("metadata", raw(&before.metadata).get() == raw(&after.metadata).get()),
        ("attachments", raw(&before.attachments).get() == raw(&after.attachments).get()),
        ("outputs", raw(&before.outputs).get() == raw(&after.outputs).get()),
        ("execution_count", before.execution_count == after.execution_count),
    ];
    fields.into_iter().filter(|(_, is_same)| !is_same).map(|(name, _)| name).collect()
}

/// Cells that are in both and have passed others.
fn moved<'a>(from: &'a Notebook, to: &'a Notebook) -> BTreeSet<&'a str> {
    let ids = |notebook: &'a Notebook| notebook.cells.iter().map(|cell| cell.id.as_str()).collect::<Vec<_>>();
    let (old, new) = (ids(from), ids(to));
    let ops = similar::capture_diff_slices_deadline(Algorithm::Myers, &old, &new, Some(std::time::Instant::now() + TIMEOUT));
    let (mut left, mut came) = (BTreeSet::new(), BTreeSet::new());
    for op in ops {
        if !matches!(op, DiffOp::Equal { .. }) {
            left.extend(old.get(op.old_range()).unwrap_or_default());
            came.extend(new.get(op.new_range()).unwrap_or_default());
        }
    }
    left.intersection(&came).copied().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn notebook(cells: &[(&str, &str)]) -> Notebook {
        let cells = cells.iter().map(|(id, source)| Cell::code((*id).to_owned(), (*source).to_owned()));
        Notebook { cells: cells.collect(), ..Notebook::empty() }
    }

    #[test]
    fn each_cell_is_told_once() {
        let from = notebook(&[("a", "1"), ("b", "2\n3"), ("c", "4"), ("d", "5")]);
        let to = notebook(&[("d", "5"), ("a", "1"), ("b", "2\n4"), ("e", "6")]);
        let told = diff(&from, &to);
        let short: Vec<_> = told.cells.iter().map(|cell| (cell.cell_id.as_str(), cell.change)).collect();
        use CellChange::{Added, Changed, Moved, Removed};
        assert_eq!(short, [("d", Moved), ("b", Changed), ("e", Added), ("c", Removed)]);
        assert_eq!(told.cells[1].fields, ["source"]);
        assert!(told.cells[1].source.as_deref().unwrap().contains("-3\n"));
        assert!(!told.metadata_changed);
        assert_eq!(diff(&from, &from).cells, []);
    }
}
