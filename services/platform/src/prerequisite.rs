//! Something that Kiln needs and the machine lacks, said so that it can be mended.

/// A missing prerequisite: what, why it is needed or not usable, one line that mends it.
#[derive(Debug, thiserror::Error)]
#[error("missing: {what}\n    why: {why}\n   mend: {mend}")]
pub struct Missing {
    pub what: String,
    pub why: String,
    /// A line to paste into a shell, or a sentence.
    pub mend: String,
}
