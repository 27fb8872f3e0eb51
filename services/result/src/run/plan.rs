//! Which cells of a notebook run.

use kiln_http::{FieldError, Problem};

use crate::notebook::{CellKind, Notebook};

/// Cells of one run.
const MAX_CELLS: usize = 2_000;
/// Code of one cell, as of any execution.
const MAX_CODE_BYTES: usize = 1_000_000;
/// An exception of a cell with the first of these tags stops nothing; one with the other does not run. As nbclient has them.
const MAY_RAISE_TAG: &str = "raises-exception";
const SKIP_TAG: &str = "skip-execution";

/// A cell that is to run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Planned {
    pub cell_id: String,
    pub code: String,
    pub may_raise: bool,
}

/// The cells of code from `from` to `to`, both included, that are not blank. The cell at `always` runs wherever it stands.
pub fn plan(notebook: &Notebook, from: Option<&str>, to: Option<&str>, always: Option<usize>) -> Result<Vec<Planned>, Problem> {
    let place = |field: &str, id: &str| {
        let found = notebook.cells.iter().position(|cell| cell.id == id);
        found.ok_or_else(|| Problem::invalid_field(field, "names no cell of the notebook"))
    };
    let from = from.map_or(Ok(0), |id| place("/from", id))?;
    let to = to.map_or(Ok(usize::MAX), |id| place("/to", id))?;
    if to < from {
        return Err(Problem::invalid_field("/to", "stands before the cell that `from` names"));
    }
    let mut planned = Vec::new();
    for (index, cell) in notebook.cells.iter().enumerate() {
        let runs = (from..=to).contains(&index) || always == Some(index);
        if !runs || cell.kind != CellKind::Code || cell.source.trim().is_empty() || cell.has_tag(SKIP_TAG) {
            continue;
        }
        if cell.source.len() > MAX_CODE_BYTES {
            let fault = FieldError::new(
                format!("/content/cells/{index}/source"),
                format!("must be at most {MAX_CODE_BYTES} bytes to run"),
            );
            return Err(Problem::invalid(vec![fault]));
        }
        planned.push(Planned { cell_id: cell.id.clone(), code: cell.source.clone(), may_raise: cell.has_tag(MAY_RAISE_TAG) });
    }
    if planned.len() > MAX_CELLS {
        return Err(Problem::conflict("too_many_cells", format!("A run may have {MAX_CELLS} cells; run the notebook in parts.")));
    }
    Ok(planned)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::notebook::{Cell, raw};

    fn notebook() -> Notebook {
        let mut notebook = Notebook::empty();
        for (id, source, tags) in [
            ("a", "1", vec![]),
            ("b", " \n", vec![]),
            ("c", "2", vec![MAY_RAISE_TAG]),
            ("d", "3", vec![SKIP_TAG]),
            ("e", "4", vec![]),
        ] {
            let mut cell = Cell::code(id.to_owned(), source.to_owned());
            cell.metadata.insert("tags".to_owned(), raw(&tags));
            notebook.cells.push(cell);
        }
        notebook.cells.push(Cell { kind: CellKind::Markdown, ..Cell::code("f".to_owned(), "text".to_owned()) });
        notebook
    }

    fn ids(from: Option<&str>, to: Option<&str>, always: Option<usize>) -> Vec<String> {
        plan(&notebook(), from, to, always).unwrap().into_iter().map(|planned| planned.cell_id).collect()
    }

    #[test]
    fn code_that_is_there_runs() {
        assert_eq!(ids(None, None, None), ["a", "c", "e"]);
        assert_eq!(ids(Some("b"), None, None), ["c", "e"]);
        assert_eq!(ids(Some("c"), Some("c"), None), ["c"]);
        assert_eq!(ids(Some("c"), Some("d"), Some(0)), ["a", "c"]);
        assert!(plan(&notebook(), None, None, None).unwrap()[1].may_raise);
    }

    #[test]
    fn cells_that_are_not_there_are_refused() {
        assert!(plan(&notebook(), Some("x"), None, None).is_err());
        assert!(plan(&notebook(), Some("c"), Some("a"), None).is_err());
    }
}
