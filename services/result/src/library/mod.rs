//! What people write and Kiln keeps: notebooks and scripts, in versions, within what a tenant may keep.
//!
//! An entry has a revision, its entity tag, which grows with every change; and versions of its content, of which the newest is
//! the present one. Whoever writes holds the tenant's row of sums, so that two writers follow each other and the sums are exact.

mod edit;
mod etag;
mod store;

pub use edit::{Change, Content, NewEntry};
pub use etag::{IfMatch, is_known, tag};
pub use store::{Entry, EntryId, Kind, Version, content, entry, forget_tenant, list, version, versions};

/// Notebooks, and scripts, of one tenant.
pub const MAX_ENTRIES: i32 = 1_000;
/// Versions of one entry, and the bytes that those before the newest may have together.
pub const MAX_VERSIONS: i32 = 50;
pub const MAX_OLD_BYTES: i64 = 64 << 20;
/// Saves of one author that follow each other within this are one version.
pub const COALESCE_WITHIN_S: i64 = 300;
pub const MAX_NAME_CHARACTERS: usize = 200;
pub const MAX_DESCRIPTION_BYTES: usize = 10_000;

/// What is wrong with a name, if anything is.
pub fn name_fault(name: &str) -> Option<&'static str> {
    if name.trim().is_empty() {
        Some("must not be blank")
    } else if name.chars().count() > MAX_NAME_CHARACTERS {
        Some("must be at most 200 characters")
    } else if name.contains(char::is_control) {
        Some("must not contain control characters")
    } else {
        None
    }
}
