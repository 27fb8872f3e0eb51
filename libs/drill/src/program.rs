//! One program of the corpus: its text, and what its header says of it.

use std::collections::BTreeMap;

use regex::Regex;

use crate::{Check, Verdict};

/// What counts as a breach where the header names nothing else.
const ESCAPED: &str = "^ESCAPED: ";

/// How a program is to end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Exit {
    Code(i32),
    /// Its name, as in `SIGKILL`.
    Signal(String),
}

/// A program and what is wanted of it.
#[derive(Debug, Clone)]
pub struct Program {
    pub id: String,
    pub title: String,
    pub group: String,
    pub expect: Verdict,
    pub also_ok: Vec<Verdict>,
    pub exit: Option<Exit>,
    pub must_print: Option<Regex>,
    pub must_not_print: Regex,
    /// Fresh runs in the same place.
    pub repeat: u32,
    /// Finds a name and a value; the values of one name differ between all the repeated runs.
    pub unique: Option<Regex>,
    /// Name of a sequence and this program's place in it.
    pub sequence: Option<(String, u32)>,
    /// Tenant, user, workspace, worker: the same word is the same thing within a sequence.
    pub identity: BTreeMap<String, String>,
    /// What the conductor has to provide beside it.
    pub needs: Vec<String>,
    pub after: Vec<Check>,
    pub code: String,
}

/// A header that cannot be understood.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HeaderError {
    pub program: String,
    pub detail: String,
}

impl std::error::Error for HeaderError {}

impl std::fmt::Display for HeaderError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}: {}", self.program, self.detail)
    }
}

impl Program {
    /// Reads the header: `# key: value` lines up to the first line of another form. `name` is the file's, for messages and
    /// for a header without an id.
    ///
    /// # Errors
    /// When a verdict, number or pattern is none.
    pub fn parse(name: &str, code: &str) -> Result<Self, HeaderError> {
        let header = Header { name, fields: code.lines().map_while(field).collect() };
        let must_not_print = header.pattern("must_not_print")?;
        Ok(Self {
            id: header.text("id").unwrap_or(name).to_owned(),
            title: header.text("title").unwrap_or_default().to_owned(),
            group: header.text("group").unwrap_or("other").to_owned(),
            expect: header.verdict(header.text("expect").ok_or_else(|| header.error("there is no `expect`"))?)?,
            also_ok: header.words("also_ok").map(|word| header.verdict(word)).collect::<Result<_, _>>()?,
            exit: header.text("exit").map(|text| header.exit(text)).transpose()?,
            must_print: header.pattern("must_print")?,
            must_not_print: must_not_print.map_or_else(|| header.compile(ESCAPED), Ok)?,
            repeat: header.text("repeat").map_or(Ok(1), |text| header.number(text))?,
            unique: header.pattern("unique")?,
            sequence: header.text("sequence").map(|text| header.sequence(text)).transpose()?,
            identity: header.words("identity").filter_map(|word| word.split_once('=')).map(owned).collect(),
            needs: header.list("needs").map(str::to_owned).collect(),
            after: header.list("after").map(Check::named).collect(),
            code: code.to_owned(),
        })
    }

    /// Which tenant runs it: the same word is the same tenant.
    pub fn tenant(&self) -> &str {
        self.identity.get("tenant").map_or("A", String::as_str)
    }

    /// Whether one of the verdicts that may be is this one.
    pub fn accepts(&self, verdict: Verdict) -> bool {
        self.expect == verdict || self.also_ok.contains(&verdict)
    }

    /// Everything that may be, as a reader of a report wants it.
    pub fn wanted(&self) -> String {
        std::iter::once(self.expect).chain(self.also_ok.iter().copied()).map(Verdict::name).collect::<Vec<_>>().join("|")
    }
}

/// The fields, each with its key; the value keeps its spaces, since a pattern may end with one.
struct Header<'a> {
    name: &'a str,
    fields: BTreeMap<&'a str, &'a str>,
}

fn field(line: &str) -> Option<(&str, &str)> {
    let (key, value) = line.strip_prefix("# ")?.split_once(':')?;
    let is_key = !key.is_empty() && key.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_');
    is_key.then(|| (key, value.strip_prefix(' ').unwrap_or(value)))
}

fn owned((key, value): (&str, &str)) -> (String, String) {
    (key.to_owned(), value.to_owned())
}

impl<'a> Header<'a> {
    /// A field that says something; `-` is the corpus's word for nothing.
    fn text(&self, key: &str) -> Option<&'a str> {
        self.fields.get(key).copied().filter(|value| !matches!(value.trim(), "" | "-"))
    }

    fn words(&self, key: &str) -> impl Iterator<Item = &'a str> {
        self.text(key).unwrap_or_default().split_whitespace()
    }

    fn list(&self, key: &str) -> impl Iterator<Item = &'a str> {
        self.text(key).unwrap_or_default().split(',').map(str::trim).filter(|name| !name.is_empty())
    }

    fn pattern(&self, key: &str) -> Result<Option<Regex>, HeaderError> {
        self.text(key).map(|text| self.compile(text)).transpose()
    }

    fn compile(&self, text: &str) -> Result<Regex, HeaderError> {
        Regex::new(&format!("(?m){text}")).map_err(|error| self.error(&format!("{text} is no pattern: {error}")))
    }

    fn verdict(&self, word: &str) -> Result<Verdict, HeaderError> {
        Verdict::named(word).ok_or_else(|| self.error(&format!("{word} is no verdict")))
    }

    fn number<T: std::str::FromStr>(&self, text: &str) -> Result<T, HeaderError> {
        text.trim().parse().map_err(|_| self.error(&format!("{text} is no number")))
    }

    fn exit(&self, text: &str) -> Result<Exit, HeaderError> {
        match text.trim().strip_prefix("signal:") {
            Some(signal) => Ok(Exit::Signal(signal.to_owned())),
            None => Ok(Exit::Code(self.number(text)?)),
        }
    }

    fn sequence(&self, text: &str) -> Result<(String, u32), HeaderError> {
        let (name, step) = text.rsplit_once(':').ok_or_else(|| self.error(&format!("{text} is no `name:step`")))?;
        Ok((name.trim().to_owned(), self.number(step)?))
    }

    fn error(&self, detail: &str) -> HeaderError {
        HeaderError { program: self.name.to_owned(), detail: detail.to_owned() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "# id: a_b\n# title: tries: this\n# group: exit\n# expect: error\n# also_ok: killed_memory denied\n\
        # exit: signal:SIGABRT\n# must_print: ^x$\n# must_not_print: ^ESCAPED: \n# sequence: s:2\n# identity: tenant=B workspace=W\n\
        # after: next_run_ok, result_within_5s\n# notes: -\nimport os\n# id: no\n";

    #[test]
    fn a_header_is_read_to_its_end() {
        let program = Program::parse("file", TEXT).unwrap();
        assert_eq!((program.id.as_str(), program.title.as_str(), program.tenant()), ("a_b", "tries: this", "B"));
        assert_eq!(program.wanted(), "error|killed_memory|denied");
        assert_eq!(program.exit, Some(Exit::Signal("SIGABRT".to_owned())));
        assert_eq!(program.sequence, Some(("s".to_owned(), 2)));
        assert_eq!(program.after, [Check::named("next_run_ok"), Check::named("result_within_5s")]);
        assert!(program.must_print.unwrap().is_match("y\nx\nz"));
        assert!(program.must_not_print.is_match("a\nESCAPED: b") && !program.must_not_print.is_match("ESCAPED:b"));
    }

    #[test]
    fn what_makes_no_sense_is_named() {
        for (text, said) in [
            ("import os", "no `expect`"),
            ("# expect: fine", "fine is no verdict"),
            ("# expect: ok\n# exit: one", "one is no number"),
            ("# expect: ok\n# must_print: (", "is no pattern"),
            ("# expect: ok\n# sequence: x", "name:step"),
        ] {
            let error = Program::parse("file", text).unwrap_err().to_string();
            assert!(error.starts_with("file: ") && error.contains(said), "{error}");
        }
    }
}
