//! As a `.py` file: cells begin with `# %%`, which Jupytext, Spyder and VS Code read; all but code is comments.

use crate::notebook::{CellKind, Notebook};

/// The file's text. What IPython alone understands (`%magic`, `!command`) becomes a comment, so that Python reads it.
pub fn python(notebook: &Notebook) -> String {
    let mut file = String::new();
    for cell in &notebook.cells {
        if !file.is_empty() {
            file.push('\n');
        }
        match cell.kind {
            CellKind::Code => {
                file.push_str("# %%\n");
                code(&mut file, &cell.source);
            }
            CellKind::Markdown => {
                file.push_str("# %% [markdown]\n");
                comment(&mut file, &cell.source);
            }
            CellKind::Raw => {
                file.push_str("# %% [raw]\n");
                comment(&mut file, &cell.source);
            }
        }
    }
    file
}

fn comment(file: &mut String, text: &str) {
    for line in text.lines() {
        file.push_str(if line.is_empty() { "#" } else { "# " });
        file.push_str(line);
        file.push('\n');
    }
}

fn code(file: &mut String, source: &str) {
    // A cell magic is in charge of all of its cell, which need not be Python.
    if source.trim_start().starts_with("%%") {
        return comment(file, source);
    }
    let mut text = Text::default();
    for line in source.lines() {
        let begins_statement = text.is_between_statements();
        text.line(line);
        let trimmed = line.trim_start();
        let is_magic = trimmed.starts_with('!') || trimmed.starts_with('?') || is_line_magic(trimmed);
        if begins_statement && is_magic {
            let indent = line.len() - trimmed.len();
            file.push_str(line.get(..indent).unwrap_or_default());
            file.push_str("# ");
            file.push_str(trimmed);
            // What is commented out says nothing of where the next line stands.
            text = Text::default();
        } else {
            file.push_str(line);
        }
        file.push('\n');
    }
}

fn is_line_magic(line: &str) -> bool {
    line.strip_prefix('%').is_some_and(|rest| rest.starts_with(|first: char| first.is_ascii_alphabetic() || first == '_'))
}

/// Where a line of Python stands: within brackets, or a text of several lines, or behind a backslash.
#[derive(Default)]
struct Text {
    depth: usize,
    /// The quotes that end the text.
    quotes: Option<&'static str>,
    continued: bool,
}

impl Text {
    fn is_between_statements(&self) -> bool {
        self.depth == 0 && self.quotes.is_none() && !self.continued
    }

    fn line(&mut self, line: &str) {
        let mut rest = line;
        self.continued = false;
        while let Some(first) = rest.chars().next() {
            if let Some(quotes) = self.quotes {
                if first == '\\' {
                    rest = rest.get(first.len_utf8()..).unwrap_or_default();
                    let escaped = rest.chars().next().map_or(0, char::len_utf8);
                    rest = rest.get(escaped..).unwrap_or_default();
                    continue;
                }
                if rest.starts_with(quotes) {
                    self.quotes = None;
                    rest = rest.get(quotes.len()..).unwrap_or_default();
                    continue;
                }
            } else if let Some(quotes) = ["\"\"\"", "'''", "\"", "'"].into_iter().find(|quotes| rest.starts_with(quotes)) {
                self.quotes = Some(quotes);
                rest = rest.get(quotes.len()..).unwrap_or_default();
                continue;
            } else {
                match first {
                    '#' => return,
                    '(' | '[' | '{' => self.depth += 1,
                    ')' | ']' | '}' => self.depth = self.depth.saturating_sub(1),
                    '\\' if rest.len() == 1 => self.continued = true,
                    _ => {}
                }
            }
            rest = rest.get(first.len_utf8()..).unwrap_or_default();
        }
        // A plain text ends with its line, whatever it says.
        if self.quotes.is_some_and(|quotes| quotes.len() == 1) {
            self.quotes = None;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::notebook::Cell;

    #[test]
    fn python_reads_what_comes_out() {
        let mut notebook = Notebook::empty();
        let sources = [
            (CellKind::Markdown, "# Title\n\ntext"),
            (CellKind::Code, "%matplotlib inline\nx = (7\n     %x)\nif x:\n    !ls\ntext = '''\n%no magic\n'''"),
            (CellKind::Code, "%%bash\necho hi"),
            (CellKind::Raw, "raw"),
        ];
        for (index, (kind, source)) in sources.into_iter().enumerate() {
            notebook.cells.push(Cell { kind, ..Cell::code(index.to_string(), source.to_owned()) });
        }
        let expected = "# %% [markdown]\n# # Title\n#\n# text\n\n# %%\n# %matplotlib inline\nx = (7\n     %x)\nif x:\n    # !ls\n\
            text = '''\n%no magic\n'''\n\n# %%\n# %%bash\n# echo hi\n\n# %% [raw]\n# raw\n";
        assert_eq!(python(&notebook), expected);
    }
}
