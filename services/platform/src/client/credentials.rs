//! What the client remembers of its sign-ins: one file, readable by its owner alone.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{Read, Seek, SeekFrom, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::PathBuf;

use anyhow::Context;
use reqwest::Url;
use serde::{Deserialize, Serialize};

/// How to prove to one server who asks.
#[derive(Clone, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Credential {
    ApiKey(String),
    Tokens(Tokens),
}

#[derive(Clone, Serialize, Deserialize)]
pub struct Tokens {
    pub access_token: String,
    pub refresh_token: String,
}

#[derive(Default, Serialize, Deserialize)]
pub struct Store {
    /// The server of the last sign-in that named one.
    named: Option<String>,
    servers: BTreeMap<String, Credential>,
}

impl Store {
    /// What is remembered; nothing when nobody has signed in yet.
    pub fn load() -> anyhow::Result<Self> {
        match std::fs::read(path()?) {
            Ok(text) => {
                serde_json::from_slice(&text).with_context(|| format!("{} is damaged; remove it and log in again", shown()))
            }
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(Self::default()),
            Err(error) => Err(error).with_context(|| format!("cannot read {}", shown())),
        }
    }

    pub fn named_server(&self) -> Option<&str> {
        self.named.as_deref()
    }

    pub fn credential(&self, server: &Url) -> Option<Credential> {
        self.servers.get(server.as_str()).cloned()
    }

    pub fn remember(&mut self, server: &Url, credential: Credential, named: bool) {
        self.servers.insert(server.to_string(), credential);
        self.named = named.then(|| server.to_string());
    }

    pub fn renew(&mut self, server: &Url, tokens: Tokens) {
        self.servers.insert(server.to_string(), Credential::Tokens(tokens));
    }
}

/// The store, held against other clients: refresh tokens are used once, so only one client at a time may use one.
pub struct Held {
    pub store: Store,
    file: File,
}

impl Held {
    /// Waits for the other clients, then reads what they have written. Blocks; not for async threads.
    pub fn open() -> anyhow::Result<Self> {
        let path = path()?;
        if let Some(directory) = path.parent() {
            let mut builder = std::fs::DirBuilder::new();
            builder
                .recursive(true)
                .mode(0o700)
                .create(directory)
                .with_context(|| format!("cannot make {}", directory.display()))?;
        }
        let mut file = File::options()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(&path)
            .with_context(|| format!("cannot open {}", shown()))?;
        file.set_permissions(std::fs::Permissions::from_mode(0o600))
            .with_context(|| format!("cannot close {} to others", shown()))?;
        file.lock().with_context(|| format!("cannot lock {}", shown()))?;
        let mut text = Vec::new();
        file.read_to_end(&mut text).with_context(|| format!("cannot read {}", shown()))?;
        let store = match text.as_slice() {
            [] => Store::default(),
            text => {
                serde_json::from_slice(text).with_context(|| format!("{} is damaged; remove it and log in again", shown()))?
            }
        };
        Ok(Self { store, file })
    }

    /// Writes the store, and lets the others in.
    pub fn save(mut self) -> anyhow::Result<()> {
        let text = serde_json::to_vec_pretty(&self.store)?;
        let written = (|| {
            self.file.set_len(0)?;
            self.file.seek(SeekFrom::Start(0))?;
            self.file.write_all(&text)?;
            self.file.sync_all()
        })();
        written.with_context(|| format!("cannot write {}", shown()))
    }
}

fn path() -> anyhow::Result<PathBuf> {
    let config = std::env::var_os("XDG_CONFIG_HOME").map(PathBuf::from).filter(|path| path.is_absolute());
    let config = config.or_else(|| std::env::home_dir().map(|home| home.join(".config")));
    Ok(config.context("HOME is not set, so there is no place for the sign-in; use KILN_API_KEY")?.join("kiln/credentials.json"))
}

fn shown() -> String {
    path().map_or_else(|_| "the credentials".to_owned(), |path| path.display().to_string())
}
