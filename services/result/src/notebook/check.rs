//! What is wrong with a notebook, and where.

use std::collections::BTreeSet;

use kiln_http::FieldError;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use serde_json::value::RawValue;

use super::Fields;

/// So many faults are told; a notebook with more has the same trouble all over.
const MAX_FAULTS: usize = 50;

/// Faults as they are found.
#[derive(Debug, Default)]
pub struct Faults(pub Vec<FieldError>);

/// A place in the notebook, as a JSON pointer.
#[derive(Debug, Clone)]
pub struct Place(pub String);

/// Text that nbformat may write as a list of lines.
#[derive(Deserialize)]
#[serde(untagged)]
enum Multiline {
    One(String),
    Many(Vec<String>),
}

impl Place {
    pub fn at(&self, step: impl std::fmt::Display) -> Self {
        let step = step.to_string().replace('~', "~0").replace('/', "~1");
        Self(format!("{}/{step}", self.0))
    }
}

impl Faults {
    pub fn add(&mut self, place: &Place, detail: impl Into<String>) {
        if self.0.len() < MAX_FAULTS {
            self.0.push(FieldError::new(place.0.clone(), detail));
        }
    }

    /// The value if it is of that kind, else a fault there.
    pub fn parse<T: DeserializeOwned>(&mut self, place: &Place, value: &RawValue, what: &str) -> Option<T> {
        let parsed = serde_json::from_str(value.get()).ok();
        if parsed.is_none() {
            self.add(place, format!("must be {what}"));
        }
        parsed
    }

    /// An object's field that must be there.
    pub fn take(&mut self, place: &Place, fields: &mut Fields, name: &str) -> Option<Box<RawValue>> {
        let value = fields.remove(name);
        if value.is_none() {
            self.add(&place.at(name), "is required");
        }
        value
    }

    /// Whatever is left when all that may be there has been taken.
    pub fn nothing_else(&mut self, place: &Place, left: &Fields, of: &str) {
        for name in left.keys() {
            self.add(&place.at(name), format!("is no field of {of}"));
        }
    }

    pub fn object(&mut self, place: &Place, value: &RawValue) -> Option<Fields> {
        self.parse(place, value, "an object")
    }

    pub fn text(&mut self, place: &Place, value: &RawValue) -> Option<String> {
        self.parse::<Multiline>(place, value, "text, or a list of lines").map(|text| match text {
            Multiline::One(text) => text,
            Multiline::Many(lines) => lines.concat(),
        })
    }

    /// A whole number from 0, or null.
    pub fn count(&mut self, place: &Place, value: &RawValue) -> Option<u64> {
        self.parse::<Option<u64>>(place, value, "null or a whole number from 0").flatten()
    }

    /// Data by mime type, the lines of each text joined.
    pub fn bundle(&mut self, place: &Place, value: &RawValue) -> Option<Fields> {
        let mut bundle = self.object(place, value)?;
        for (mime, data) in &mut bundle {
            if !is_json(mime)
                && let Some(text) = self.text(&place.at(mime), data)
                && data.get().starts_with('[')
            {
                *data = super::raw(&text);
            }
        }
        Some(bundle)
    }

    /// The fields of a notebook's metadata that nbformat knows.
    pub fn notebook_metadata(&mut self, place: &Place, metadata: &Fields) {
        for (field, names, optional) in [
            ("kernelspec", &["name", "display_name"][..], &[][..]),
            ("language_info", &["name"][..], &["file_extension", "mimetype", "pygments_lexer"][..]),
        ] {
            let place = place.at(field);
            let Some(value) = metadata.get(field) else { continue };
            let Some(fields) = self.object(&place, value) else { continue };
            for name in names.iter().chain(optional) {
                match fields.get(*name) {
                    Some(value) => drop(self.parse::<String>(&place.at(name), value, "text")),
                    None if names.contains(name) => self.add(&place.at(name), "is required"),
                    None => {}
                }
            }
        }
        if let Some(title) = metadata.get("title") {
            self.parse::<String>(&place.at("title"), title, "text");
        }
        if let Some(authors) = metadata.get("authors") {
            self.parse::<Vec<Value>>(&place.at("authors"), authors, "a list");
        }
    }

    /// The fields of a cell's metadata that nbformat knows.
    pub fn cell_metadata(&mut self, place: &Place, metadata: &Fields, is_code: bool, is_raw: bool) {
        for (name, value) in metadata {
            let place = place.at(name);
            match name.as_str() {
                "name" if self.parse::<String>(&place, value, "text").is_some_and(|name| name.is_empty()) => {
                    self.add(&place, "must not be empty");
                }
                "tags" => self.tags(&place, value),
                "jupyter" => drop(self.object(&place, value)),
                "format" if is_raw => drop(self.parse::<String>(&place, value, "text")),
                "collapsed" if is_code => drop(self.parse::<bool>(&place, value, "true or false")),
                "scrolled" if is_code && !matches!(value.get(), "true" | "false" | "\"auto\"") => {
                    self.add(&place, "must be true, false or \"auto\"");
                }
                "execution" if is_code => {
                    let what = "an object whose values are text";
                    drop(self.parse::<std::collections::BTreeMap<String, String>>(&place, value, what));
                }
                _ => {}
            }
        }
    }

    fn tags(&mut self, place: &Place, value: &RawValue) {
        let tags: Vec<String> = self.parse(place, value, "a list of texts").unwrap_or_default();
        if tags.iter().any(|tag| tag.is_empty() || tag.contains(',')) {
            self.add(place, "must hold no empty tag and none with a comma");
        }
        if tags.iter().collect::<BTreeSet<_>>().len() < tags.len() {
            self.add(place, "must not hold a tag twice");
        }
    }
}

/// Data of these mime types are any JSON; all others are text.
pub fn is_json(mime: &str) -> bool {
    mime.strip_prefix("application/").is_some_and(|kind| kind == "json" || kind.ends_with("+json"))
}
