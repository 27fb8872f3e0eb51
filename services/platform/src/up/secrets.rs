//! The passwords between the parts of one machine's Kiln: made once, kept with mode 0600.

use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use anyhow::Context;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rand::distr::{Alphanumeric, SampleString};
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};

/// 40 letters and digits: more than 230 bits.
const PASSWORD_LENGTH: usize = 40;

/// One password an account; they never leave the data directory.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Secrets {
    pub postgres: Postgres,
    pub nats: Nats,
    /// The key for tenants' secrets as earlier versions kept it; it goes into a file of its own, see [`SecretKeys`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    secret_key: Option<String>,
}

/// The keys that encrypt tenants' secrets, 32 bytes in base64 each, one a line: the first encrypts, all decrypt.
pub struct SecretKeys(PathBuf);

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
            Ok(text) => serde_json::from_slice(&text).with_context(|| format!("{} is damaged", file.display())),
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
        write_private(file, &serde_json::to_vec_pretty(&secrets)?)?;
        Ok(secrets)
    }
}

impl SecretKeys {
    /// Where they are of the Kiln in `home`.
    pub fn of(home: &Path) -> Self {
        Self(home.join("secret-keys"))
    }

    pub fn path(&self) -> &Path {
        &self.0
    }

    /// Makes the first key when there is none, or takes over the one that an earlier version kept in `secrets`.
    pub fn ensure(&self, secrets: &mut Secrets, secrets_file: &Path) -> anyhow::Result<()> {
        if !self.0.exists() {
            let key = secrets.secret_key.clone().map_or_else(fresh_key, SecretString::from);
            self.write(&[&key])?;
        }
        if secrets.secret_key.take().is_some() {
            write_private(secrets_file, &serde_json::to_vec_pretty(secrets)?)?;
        }
        Ok(())
    }

    /// Puts a fresh key before the others; it.
    pub fn add(&self) -> anyhow::Result<SecretString> {
        let (key, text) = (fresh_key(), self.read()?);
        let earlier: Vec<SecretString> = text.expose_secret().lines().map(SecretString::from).collect();
        self.write(&std::iter::once(&key).chain(&earlier).collect::<Vec<_>>())?;
        Ok(key)
    }

    /// Forgets all but this one.
    pub fn keep_only(&self, key: &SecretString) -> anyhow::Result<()> {
        self.write(&[key])
    }

    fn read(&self) -> anyhow::Result<SecretString> {
        let text = std::fs::read_to_string(&self.0).with_context(|| format!("cannot read {}", self.0.display()))?;
        Ok(SecretString::from(text))
    }

    fn write(&self, keys: &[&SecretString]) -> anyhow::Result<()> {
        let lines: Vec<_> = keys.iter().map(|key| key.expose_secret().trim()).collect();
        write_private(&self.0, (lines.join("\n") + "\n").as_bytes())
    }
}

fn fresh_key() -> SecretString {
    SecretString::from(STANDARD.encode(rand::random::<[u8; 32]>()))
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_of_an_earlier_version_moves_and_keys_turn_over() {
        let home = tempfile::tempdir().unwrap();
        let (file, keys) = (home.path().join("secrets.json"), SecretKeys::of(home.path()));
        let mut secrets = Secrets::load_or_create(&file).unwrap();
        secrets.secret_key = Some("earlier".to_owned());
        keys.ensure(&mut secrets, &file).unwrap();
        let lines = || std::fs::read_to_string(keys.path()).unwrap().lines().map(str::to_owned).collect::<Vec<_>>();
        assert_eq!(lines(), ["earlier"]);
        assert!(!std::fs::read_to_string(&file).unwrap().contains("earlier"));
        let key = keys.add().unwrap();
        assert_eq!(lines(), [key.expose_secret(), "earlier"]);
        keys.ensure(&mut Secrets::load(&file).unwrap(), &file).unwrap();
        assert_eq!(lines().len(), 2, "a start changes nothing");
        keys.keep_only(&key).unwrap();
        assert_eq!(lines(), [key.expose_secret()]);
    }
}
