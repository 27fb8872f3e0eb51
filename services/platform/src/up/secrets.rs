//! The passwords between the parts of one machine's Kiln: made once, kept with mode 0600.

use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use anyhow::Context;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rand::distr::{Alphanumeric, SampleString};
use serde::{Deserialize, Serialize};

/// 40 letters and digits: more than 230 bits.
const PASSWORD_LENGTH: usize = 40;

/// One password an account; they never leave the data directory.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Secrets {
    pub postgres: Postgres,
    pub nats: Nats,
    /// Encrypts tenants' secrets: 32 bytes in base64. Missing in what an earlier version wrote.
    #[serde(default)]
    pub secret_key: Option<String>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Postgres {
    pub owner: String,
    pub auth: String,
    pub scheduler: String,
    pub result: String,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Nats {
    pub operator: String,
    pub auth: String,
    pub scheduler: String,
    pub executor: String,
    pub result: String,
}

impl Secrets {
    /// Reads `file`, which must be there.
    pub fn load(file: &Path) -> anyhow::Result<Self> {
        let text = std::fs::read(file).with_context(|| format!("cannot read {}", file.display()))?;
        serde_json::from_slice(&text).with_context(|| format!("{} is damaged", file.display()))
    }

    /// Reads `file`, or makes it with fresh passwords.
    pub fn load_or_create(file: &Path) -> anyhow::Result<Self> {
        match std::fs::read(file) {
            Ok(text) => {
                let secrets: Self = serde_json::from_slice(&text).with_context(|| format!("{} is damaged", file.display()))?;
                secrets.complete(file)
            }
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Self::create(file),
            Err(error) => Err(error).with_context(|| format!("cannot read {}", file.display())),
        }
    }

    fn create(file: &Path) -> anyhow::Result<Self> {
        let fresh = || Alphanumeric.sample_string(&mut rand::rng(), PASSWORD_LENGTH);
        let secrets = Self {
            postgres: Postgres { owner: fresh(), auth: fresh(), scheduler: fresh(), result: fresh() },
            nats: Nats { operator: fresh(), auth: fresh(), scheduler: fresh(), executor: fresh(), result: fresh() },
            secret_key: None,
        };
        secrets.complete(file)
    }

    /// Makes and writes what is missing.
    fn complete(mut self, file: &Path) -> anyhow::Result<Self> {
        if self.secret_key.is_none() {
            self.secret_key = Some(STANDARD.encode(rand::random::<[u8; 32]>()));
            write_private(file, &serde_json::to_vec_pretty(&self)?)?;
        }
        Ok(self)
    }
}

/// Writes `file` whole or not at all, readable by its owner only.
pub fn write_private(file: &Path, bytes: &[u8]) -> anyhow::Result<()> {
    write_whole(file, bytes, 0o600)
}

/// Writes `file` whole or not at all, with `mode`.
pub fn write_whole(file: &Path, bytes: &[u8], mode: u32) -> anyhow::Result<()> {
    let draft = file.with_extension("new");
    let write = || -> std::io::Result<()> {
        match std::fs::remove_file(&draft) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let mut out = std::fs::OpenOptions::new().write(true).create_new(true).mode(mode).open(&draft)?;
        out.write_all(bytes)?;
        out.sync_all()?;
        std::fs::rename(&draft, file)
    };
    write().with_context(|| format!("cannot write {}", file.display()))
}
