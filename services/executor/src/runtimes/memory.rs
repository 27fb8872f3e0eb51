//! What was learnt of the programs of this machine, so that a second start runs none of them.

use std::collections::BTreeMap;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

/// Answers by program, each valid while its file stays as it was. Kept in a file of its own.
pub struct Memory<T> {
    file: PathBuf,
    before: BTreeMap<PathBuf, Remembered<T>>,
    now: Mutex<BTreeMap<PathBuf, Remembered<T>>>,
}

#[derive(Clone, Serialize, Deserialize)]
struct Remembered<T> {
    modified_s: i64,
    modified_ns: i64,
    size_bytes: u64,
    answer: T,
}

impl<T: Clone + Serialize + DeserializeOwned> Memory<T> {
    /// What the file says; nothing when it is missing or from another version.
    pub async fn load(file: PathBuf) -> Self {
        let text = tokio::fs::read(&file).await.unwrap_or_default();
        Self { file, before: serde_json::from_slice(&text).unwrap_or_default(), now: Mutex::default() }
    }

    /// The answer of the program, asked for only when it is not remembered. None is not remembered.
    pub async fn recall(&self, program: &Path, ask: impl AsyncFnOnce() -> Option<T>) -> Option<T> {
        program.to_str()?; // A path that is not UTF-8 cannot be written down, nor be an argument of a sandbox.
        let data = tokio::fs::metadata(program).await.ok()?;
        let same = |known: &&Remembered<T>| {
            (known.modified_s, known.modified_ns, known.size_bytes) == (data.mtime(), data.mtime_nsec(), data.len())
        };
        let answer = match self.before.get(program).filter(same) {
            Some(known) => known.answer.clone(),
            None => ask().await?,
        };
        let remembered = Remembered {
            modified_s: data.mtime(),
            modified_ns: data.mtime_nsec(),
            size_bytes: data.len(),
            answer: answer.clone(),
        };
        self.now.lock().expect("nothing panics while it holds this lock").insert(program.to_owned(), remembered);
        Some(answer)
    }

    /// Writes down what was recalled since [`Memory::load`].
    pub async fn keep(self) {
        let now = self.now.into_inner().expect("nothing panics while it holds this lock");
        let text = serde_json::to_vec_pretty(&now).expect("only paths of UTF-8 are remembered");
        if let Err(error) = tokio::fs::write(&self.file, text).await {
            tracing::warn!(path = %self.file.display(), %error, "could not remember the interpreters; the next start asks them again");
        }
    }
}
