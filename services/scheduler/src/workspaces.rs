//! What a workspace may be called and how much it may hold.

/// Of a workspace whose maker does not say, in bytes.
pub const QUOTA_BYTES: u64 = 1 << 30;
/// The least of which a file system can be made that leaves its user anything.
const MIN_QUOTA_BYTES: u64 = 1 << 20;
/// Workspaces of one tenant, its own among them.
pub const MAX_WORKSPACES: u64 = 1_000;
const MAX_NAME_CHARS: usize = 200;

/// What is wrong with a name.
pub fn name_fault(name: &str) -> Option<&'static str> {
    let bad = name.trim().is_empty() || name.chars().count() > MAX_NAME_CHARS || name.chars().any(char::is_control);
    bad.then_some("must have 1 to 200 characters, none of them a control character")
}

/// What is wrong with a quota, where the tenant may store so much.
pub fn quota_fault(quota_bytes: u64, storage_bytes: u64) -> Option<String> {
    let most = storage_bytes.max(MIN_QUOTA_BYTES);
    (!(MIN_QUOTA_BYTES..=most).contains(&quota_bytes)).then(|| format!("must be between {MIN_QUOTA_BYTES} and {most}"))
}
