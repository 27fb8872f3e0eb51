//! argon2id on a bounded number of blocking threads, with a bounded queue before them.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use argon2::password_hash::phc::{Output, ParamsString, PasswordHash, Salt};
use argon2::{Algorithm, Argon2, Block, Params, Version};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// The stated cost: 19 MiB, two passes, one lane (OWASP's minimum for argon2id).
const MEMORY_KIB: u32 = 19 * 1024;
const PASSES: u32 = 2;
const LANES: u32 = 1;

/// Hashes passwords, a few at a time.
#[derive(Clone)]
pub struct Hasher {
    running: Arc<Semaphore>,
    /// Those running and those waiting.
    admitted: Arc<Semaphore>,
    wait: Duration,
    /// The hash of a password that nobody knows, so that an unknown account costs what a known one does.
    nobody: Arc<str>,
}

/// More passwords are waiting than the queue takes, or for longer than the stated wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("too many passwords are being checked")]
pub struct Busy;

/// The right to hash or verify one password now.
pub struct Turn {
    nobody: Arc<str>,
    permits: (OwnedSemaphorePermit, OwnedSemaphorePermit),
}

impl Hasher {
    /// `threads` at once, `queue` more waiting, none for longer than `wait`.
    pub async fn new(threads: usize, queue: usize, wait: Duration) -> anyhow::Result<Self> {
        let mut unknowable = [0; 32];
        aws_lc_rs::rand::fill(&mut unknowable).context("no randomness")?;
        let nobody = tokio::task::spawn_blocking(move || hash(&unknowable)).await??;
        Ok(Self {
            running: Arc::new(Semaphore::new(threads)),
            admitted: Arc::new(Semaphore::new(threads + queue)),
            wait,
            nobody: nobody.into(),
        })
    }

    /// Waits for a turn.
    pub async fn turn(&self) -> Result<Turn, Busy> {
        let admitted = Arc::clone(&self.admitted).try_acquire_owned().map_err(|_| Busy)?;
        let running = tokio::time::timeout(self.wait, Arc::clone(&self.running).acquire_owned()).await;
        let running = running.map_err(|_| Busy)?.map_err(|_| Busy)?;
        Ok(Turn { nobody: Arc::clone(&self.nobody), permits: (running, admitted) })
    }
}

impl Turn {
    /// The PHC string of the password.
    pub async fn hash(self, password: String) -> anyhow::Result<String> {
        self.run(move |_| hash(password.as_bytes())).await
    }

    /// Whether the password is the one that was hashed; without a hash it takes as long and is never right.
    pub async fn verify(self, password: String, stored: Option<String>) -> anyhow::Result<bool> {
        self.run(move |nobody| {
            let right = verify(password.as_bytes(), stored.as_deref().unwrap_or(nobody))?;
            Ok(right && stored.is_some())
        })
        .await
    }

    /// The permits travel with the work: a caller that goes away frees nothing before the thread is free.
    async fn run<T: Send + 'static>(self, work: impl FnOnce(&str) -> anyhow::Result<T> + Send + 'static) -> anyhow::Result<T> {
        tokio::task::spawn_blocking(move || {
            let outcome = work(&self.nobody);
            drop(self.permits);
            outcome
        })
        .await?
    }
}

fn hash(password: &[u8]) -> anyhow::Result<String> {
    let params = Params::new(MEMORY_KIB, PASSES, LANES, None).map_err(broken)?;
    let mut random = [0; Salt::RECOMMENDED_LENGTH];
    aws_lc_rs::rand::fill(&mut random).context("no randomness")?;
    let salt = Salt::new(&random).map_err(broken)?;
    let stored = PasswordHash {
        algorithm: Algorithm::Argon2id.ident(),
        version: Some(Version::V0x13.into()),
        params: ParamsString::try_from(&params).map_err(broken)?,
        hash: Some(derive(params, password, &salt)?),
        salt: Some(salt),
    };
    Ok(stored.to_string())
}

/// The cost is the one that the stored string names.
fn verify(password: &[u8], stored: &str) -> anyhow::Result<bool> {
    let stored = PasswordHash::new(stored).map_err(broken)?;
    let ours = stored.algorithm == Algorithm::Argon2id.ident() && stored.version == Some(Version::V0x13.into());
    anyhow::ensure!(ours, "a stored password hash is no argon2id of version 19");
    let (Some(salt), Some(expected)) = (stored.salt, stored.hash) else { anyhow::bail!("a stored password hash is not whole") };
    // Comparing two outputs takes the same time wherever they differ.
    Ok(derive(Params::try_from(&stored).map_err(broken)?, password, &salt)? == expected)
}

/// One argon2id. Its memory is asked for as one piece above 32 MiB, of which only what the cost says is touched: such a
/// piece the allocator maps alone and gives back to the system when it is freed, where it would keep a smaller one.
fn derive(params: Params, password: &[u8], salt: &[u8]) -> anyhow::Result<Output> {
    const MAPPED: usize = (40 << 20) / size_of::<Block>();
    let blocks = params.block_count();
    let mut memory = Vec::with_capacity(blocks.max(MAPPED));
    memory.resize(blocks, Block::new());
    let mut out = [0; Params::DEFAULT_OUTPUT_LEN];
    let argon2 = Argon2::new(Algorithm::Argon2id, Version::V0x13, params);
    argon2.hash_password_into_with_memory(password, salt, &mut out, &mut memory).map_err(broken)?;
    Output::new(&out).map_err(broken)
}

/// The libraries' errors, which are no `std::error::Error` without features that nothing else needs.
fn broken(error: impl std::fmt::Display) -> anyhow::Error {
    anyhow::anyhow!("argon2: {error}")
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn hasher() -> Hasher {
        Hasher::new(1, 1, Duration::from_millis(20)).await.unwrap()
    }

    #[tokio::test]
    async fn only_the_whole_password_is_right() {
        let hasher = hasher().await;
        let long = "p".repeat(72);
        let stored = hasher.turn().await.unwrap().hash(format!("{long}tail")).await.unwrap();
        assert!(stored.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{stored}");
        for (tried, right) in [(format!("{long}tail"), true), (format!("{long}tale"), false), (long, false)] {
            assert_eq!(hasher.turn().await.unwrap().verify(tried, Some(stored.clone())).await.unwrap(), right);
        }
    }

    /// What makes the times alike: both are one argon2id of the same cost over the same bytes.
    #[tokio::test]
    async fn an_unknown_account_costs_what_a_known_one_does() {
        let hasher = hasher().await;
        let stored = hasher.turn().await.unwrap().hash("whoever they are".to_owned()).await.unwrap();
        let cost = |hash: &str| PasswordHash::new(hash).map(|hash| (hash.algorithm, hash.version, hash.params.clone())).unwrap();
        assert_eq!(cost(&hasher.nobody), cost(&stored));
        assert_eq!(hasher.nobody.len(), stored.len());
    }

    #[tokio::test]
    async fn nobody_is_never_right() {
        assert!(!hasher().await.turn().await.unwrap().verify("whatever".to_owned(), None).await.unwrap());
    }

    #[tokio::test]
    async fn the_queue_is_bounded_and_a_turn_is_given_back() {
        let hasher = hasher().await;
        let turn = hasher.turn().await.unwrap();
        let (waited, refused) = tokio::join!(hasher.turn(), hasher.turn());
        assert!(waited.is_err() && refused.is_err());
        drop(turn);
        assert!(hasher.turn().await.is_ok());
    }
}
