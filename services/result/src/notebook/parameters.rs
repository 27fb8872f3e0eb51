//! Parameters of a run, put into the notebook as papermill does (<https://papermill.readthedocs.io/en/latest/usage-parameterize.html>):
//! in a cell of their own behind the one tagged `parameters`, whose defaults they thereby replace.

use kiln_http::FieldError;
use serde_json::{Map, Value};

use super::{Cell, Notebook, cell_id, raw};

/// The tag of the cell that holds the defaults, and of the one that is put in.
const DEFAULTS_TAG: &str = "parameters";
const INJECTED_TAG: &str = "injected-parameters";

const MAX_BYTES: usize = 256 * 1024;

/// Words that Python keeps for itself (3.13, `keyword.kwlist`).
const KEYWORDS: [&str; 35] = [
    "False", "None", "True", "and", "as", "assert", "async", "await", "break", "class", "continue", "def", "del", "elif", "else",
    "except", "finally", "for", "from", "global", "if", "import", "in", "is", "lambda", "nonlocal", "not", "or", "pass", "raise",
    "return", "try", "while", "with", "yield",
];

/// Names that Python takes, with values.
#[derive(Debug, Clone)]
pub struct Parameters(Map<String, Value>);

impl Parameters {
    /// Checks the names, and that it is not too much.
    pub fn new(values: Map<String, Value>) -> Result<Self, Vec<FieldError>> {
        let mut faults: Vec<FieldError> = Vec::new();
        for name in values.keys().filter(|name| !is_name(name)).take(10) {
            let pointer = format!("/parameters/{}", name.replace('~', "~0").replace('/', "~1"));
            faults.push(FieldError::new(pointer, "must be named as Python names variables, in ASCII"));
        }
        if raw(&values).get().len() > MAX_BYTES {
            faults.push(FieldError::new("/parameters", format!("must be at most {MAX_BYTES} bytes")));
        }
        if faults.is_empty() { Ok(Self(values)) } else { Err(faults) }
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    fn source(&self) -> String {
        let mut source = "# Parameters\n".to_owned();
        for (name, value) in &self.0 {
            source.push_str(name);
            source.push_str(" = ");
            literal(&mut source, value);
            source.push('\n');
        }
        source
    }
}

impl Notebook {
    /// Puts the parameters in the place of those of an earlier run, else behind the cell with the defaults, else first.
    /// Gives the place of their cell, which has that id if it is a new one.
    pub fn inject(&mut self, parameters: &Parameters, id: Option<&str>) -> usize {
        let source = parameters.source();
        if let Some(index) = self.cells.iter().position(|cell| cell.has_tag(INJECTED_TAG)) {
            if let Some(cell) = self.cells.get_mut(index) {
                cell.source = source;
                cell.clear();
            }
            return index;
        }
        let mut id = id.map_or_else(cell_id, str::to_owned);
        while self.cells.iter().any(|cell| cell.id == id) {
            id = cell_id();
        }
        let mut cell = Cell::code(id, source);
        cell.metadata.insert("tags".to_owned(), raw(&[INJECTED_TAG]));
        let index = self.cells.iter().position(|cell| cell.has_tag(DEFAULTS_TAG)).map_or(0, |defaults| defaults + 1);
        self.cells.insert(index, cell);
        index
    }
}

fn is_name(name: &str) -> bool {
    let mut bytes = name.bytes();
    let begins = bytes.next().is_some_and(|byte| byte.is_ascii_alphabetic() || byte == b'_');
    begins && bytes.all(|byte| byte.is_ascii_alphanumeric() || byte == b'_') && !KEYWORDS.contains(&name)
}

/// The value as Python writes it. What JSON escapes in a text Python reads the same.
fn literal(source: &mut String, value: &Value) {
    match value {
        Value::Null => source.push_str("None"),
        Value::Bool(true) => source.push_str("True"),
        Value::Bool(false) => source.push_str("False"),
        Value::Number(_) | Value::String(_) => source.push_str(&value.to_string()),
        Value::Array(values) => {
            source.push('[');
            for (index, value) in values.iter().enumerate() {
                source.push_str(if index > 0 { ", " } else { "" });
                literal(source, value);
            }
            source.push(']');
        }
        Value::Object(fields) => {
            source.push('{');
            for (index, (name, value)) in fields.iter().enumerate() {
                source.push_str(if index > 0 { ", " } else { "" });
                source.push_str(&Value::from(name.as_str()).to_string());
                source.push_str(": ");
                literal(source, value);
            }
            source.push('}');
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn parameters(value: Value) -> Result<Parameters, Vec<FieldError>> {
        let Value::Object(values) = value else { unreachable!("an object") };
        Parameters::new(values)
    }

    #[test]
    fn values_are_written_as_python_writes_them() {
        let all = json!({"a": null, "b": [true, 1.5, -2], "c": {"x\"y": false}, "d": "ü\n\u{1}"});
        let source = parameters(all).unwrap().source();
        let expected = "# Parameters\na = None\nb = [True, 1.5, -2]\nc = {\"x\\\"y\": False}\nd = \"ü\\n\\u0001\"\n";
        assert_eq!(source, expected);
    }

    #[test]
    fn names_are_those_of_variables() {
        for name in ["", "1a", "a b", "class", "a-b", "os;x", "é"] {
            let faults = parameters(json!({ name: 1 })).unwrap_err();
            assert_eq!(faults[0].pointer, format!("/parameters/{name}"));
        }
        assert!(parameters(json!({"alpha_1": 1})).is_ok());
    }

    #[test]
    fn they_stand_behind_the_defaults_once() {
        let mut notebook = Notebook::empty();
        for (id, tag) in [("one", "x"), ("two", DEFAULTS_TAG), ("three", "y")] {
            let mut cell = Cell::code(id.to_owned(), String::new());
            cell.metadata.insert("tags".to_owned(), raw(&[tag]));
            notebook.cells.push(cell);
        }
        for value in [1, 2] {
            assert_eq!(notebook.inject(&parameters(json!({ "n": value })).unwrap(), None), 2);
            assert_eq!(notebook.cells.len(), 4);
            assert_eq!(notebook.cells[2].source, format!("# Parameters\nn = {value}\n"));
        }
        let mut bare = Notebook::empty();
        bare.cells.push(Cell::code("one".to_owned(), String::new()));
        assert_eq!(bare.inject(&parameters(json!({"n": 1})).unwrap(), Some("two")), 0);
    }
}
