//! Lists: newest first, a page at a time, by a cursor that names the last row seen.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;

use crate::Problem;

const DEFAULT_LIMIT: i64 = 50;
const MAX_LIMIT: i64 = 200;

/// `?limit=` and `?cursor=`, as they came.
#[derive(Debug, Clone, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct PageQuery {
    /// Rows on a page, 1 to 200.
    #[param(value_type = Option<u32>, minimum = 1, maximum = 200, default = 50)]
    pub limit: Option<String>,
    /// `next_cursor` of the page before.
    pub cursor: Option<String>,
}

impl PageQuery {
    /// Rows asked for, 1 to 200, 50 unless said.
    pub fn limit(&self) -> Result<i64, Problem> {
        let Some(text) = &self.limit else { return Ok(DEFAULT_LIMIT) };
        match text.parse() {
            Ok(limit) if (1..=MAX_LIMIT).contains(&limit) => Ok(limit),
            _ => Err(Problem::bad_request(format!("limit must be a whole number from 1 to {MAX_LIMIT}."))),
        }
    }

    /// The row after which the page begins.
    pub fn after(&self) -> Result<Option<Uuid>, Problem> {
        self.cursor.as_deref().map(|text| Cursor::parse(text).map(|cursor| cursor.0)).transpose()
    }
}

/// The id of the last row of a page; ids sort by time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cursor(pub Uuid);

impl Cursor {
    pub fn parse(text: &str) -> Result<Self, Problem> {
        let bytes = URL_SAFE_NO_PAD.decode(text).ok().and_then(|bytes| Uuid::from_slice(&bytes).ok());
        bytes.map(Self).ok_or_else(|| Problem::bad_request("cursor is not one that this list has given."))
    }

    pub fn text(self) -> String {
        URL_SAFE_NO_PAD.encode(self.0.as_bytes())
    }
}

/// One page.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct Page<T> {
    pub data: Vec<T>,
    pub next_cursor: Option<String>,
}

impl<T> Page<T> {
    /// From up to `limit + 1` rows, of which the extra one only says that there is more.
    pub fn from_rows(mut rows: Vec<T>, limit: i64, id: impl Fn(&T) -> Uuid) -> Self {
        let limit = usize::try_from(limit).unwrap_or(usize::MAX);
        let more = rows.len() > limit;
        rows.truncate(limit);
        let next_cursor = if more { rows.last().map(|row| Cursor(id(row)).text()) } else { None };
        Self { data: rows, next_cursor }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_ends_where_the_next_begins() {
        let rows: Vec<Uuid> = (0..3).map(|_| Uuid::now_v7()).collect();
        let page = Page::from_rows(rows.clone(), 2, |row| *row);
        assert_eq!(page.data, rows[..2]);
        assert_eq!(Cursor::parse(&page.next_cursor.unwrap()).unwrap().0, rows[1]);
        assert_eq!(Page::from_rows(rows, 3, |row| *row).next_cursor, None);
    }

    #[test]
    fn limits_outside_the_range_are_refused() {
        for text in ["0", "201", "-1", "ten", ""] {
            assert!(PageQuery { limit: Some(text.to_owned()), cursor: None }.limit().is_err(), "{text}");
        }
    }
}
