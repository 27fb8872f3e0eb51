//! `kiln files`: what is kept in a workspace.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context;
use reqwest::{Method, Url};
use serde::Deserialize;
use tokio::io::AsyncWriteExt;

use super::Target;
use super::api::Api;
use crate::output::say;

#[derive(Debug, clap::Args)]
pub struct Files {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, clap::Subcommand)]
enum Action {
    /// Lists a directory
    Ls {
        /// The directory [default: all]
        path: Option<String>,
        /// Also what is in directories below
        #[arg(long, short)]
        recursive: bool,
        #[command(flatten)]
        at: At,
    },
    /// Puts a file there, in place of one of that name
    Put {
        /// The file here
        file: PathBuf,
        /// Its path there; the name of a directory ends in / [default: its own name]
        path: Option<String>,
        #[command(flatten)]
        at: At,
    },
    /// Gets a file
    Get {
        /// The file there
        path: String,
        /// Where to, or - for standard output [default: its own name, here]
        file: Option<PathBuf>,
        #[command(flatten)]
        at: At,
    },
    /// Removes a file or an empty directory
    Rm {
        path: String,
        /// A directory with all that is in it
        #[arg(long, short)]
        recursive: bool,
        #[command(flatten)]
        at: At,
    },
}

#[derive(Debug, clap::Args)]
struct At {
    /// The workspace, by its name or id
    #[arg(long, short, value_name = "WORKSPACE", default_value = "default")]
    workspace: String,
    #[command(flatten)]
    target: Target,
}

#[derive(Deserialize)]
struct Page<T> {
    data: Vec<T>,
    next_cursor: Option<String>,
}

#[derive(Deserialize)]
struct Workspace {
    id: String,
    name: String,
}

#[derive(Deserialize)]
struct Entry {
    path: String,
    kind: String,
    size_bytes: u64,
    modified_at: String,
}

impl Files {
    pub async fn run(self) -> anyhow::Result<ExitCode> {
        match self.action {
            Action::Ls { path, recursive, at } => at.open().await?.list(path.as_deref().unwrap_or_default(), recursive).await?,
            Action::Put { file, path, at } => at.open().await?.put(&file, path.as_deref().unwrap_or_default()).await?,
            Action::Get { path, file, at } => at.open().await?.get(&path, file).await?,
            Action::Rm { path, recursive, at } => at.open().await?.remove(&path, recursive).await?,
        }
        Ok(ExitCode::SUCCESS)
    }
}

impl At {
    async fn open(self) -> anyhow::Result<Opened> {
        let api = Api::open(&self.target)?;
        let id = find(&api, &self.workspace).await?;
        Ok(Opened { api, files: format!("api/v1/workspaces/{id}/files") })
    }
}

/// The id of a workspace that is called by its name or its id.
pub async fn find(api: &Api, workspace: &str) -> anyhow::Result<String> {
    let mut after = String::new();
    loop {
        let path = format!("api/v1/workspaces?limit=200{after}");
        let page: Page<Workspace> = api.json(Method::GET, &path, None).await?;
        if let Some(found) = page.data.into_iter().find(|found| found.name == workspace || found.id == workspace) {
            return Ok(found.id);
        }
        let next = page.next_cursor.with_context(|| format!("there is no workspace {workspace}"))?;
        after = format!("&cursor={next}");
    }
}

struct Opened {
    api: Api,
    /// Where its files are in the API.
    files: String,
}

impl Opened {
    async fn list(&self, path: &str, recursive: bool) -> anyhow::Result<()> {
        let mut cursor = None;
        loop {
            let mut query = Url::parse("http://localhost/")?;
            query.query_pairs_mut().append_pair("path", path).append_pair("recursive", &recursive.to_string());
            query.query_pairs_mut().append_pair("limit", "200").extend_pairs(cursor.iter().map(|cursor| ("cursor", cursor)));
            let address = format!("{}?{}", self.files, query.query().unwrap_or_default());
            let page: Page<Entry> = self.api.json(Method::GET, &address, None).await?;
            for Entry { path, kind, size_bytes, modified_at } in page.data {
                let mark = if kind == "directory" { "/" } else { "" };
                say(&format!("{size_bytes:>12}  {modified_at:<24.19}  {kind:<9}  {path}{mark}"));
            }
            cursor = page.next_cursor;
            if cursor.is_none() {
                return Ok(());
            }
        }
    }

    async fn put(&self, file: &Path, path: &str) -> anyhow::Result<()> {
        let own = file.file_name().and_then(|name| name.to_str());
        let path = match own {
            _ if !path.is_empty() && !path.ends_with('/') => path.to_owned(),
            Some(own) => format!("{path}{own}"),
            None => anyhow::bail!("{} has no name that the server could take; name one", file.display()),
        };
        let made: Entry = self.api.upload(&self.address(&path, "")?, file).await?;
        eprintln!("kiln: put {} ({} bytes)", made.path, made.size_bytes);
        Ok(())
    }

    async fn get(&self, path: &str, file: Option<PathBuf>) -> anyhow::Result<()> {
        let own = || path.rsplit('/').next().unwrap_or(path);
        let file = file.unwrap_or_else(|| PathBuf::from(own()));
        let file = if file.is_dir() { file.join(own()) } else { file };
        keep(self.api.download(&self.address(path, "")?).await?, &file).await
    }

    async fn remove(&self, path: &str, recursive: bool) -> anyhow::Result<()> {
        let query = if recursive { "?recursive=true" } else { "" };
        self.api.nothing(Method::DELETE, &self.address(path, query)?).await
    }

    /// The path of a file in the API, with what a URL cannot hold escaped.
    fn address(&self, path: &str, query: &str) -> anyhow::Result<String> {
        let mut url = Url::parse("http://localhost/")?;
        url.path_segments_mut().map_err(|()| anyhow::anyhow!("no base"))?.extend(path.split('/'));
        Ok(format!("{}{}{query}", self.files, url.path()))
    }
}

/// Writes what is downloaded into the file, whole or not at all, as at the server; or to standard output, which `-` names.
pub async fn keep(mut answer: reqwest::Response, file: &Path) -> anyhow::Result<()> {
    if file == Path::new("-") {
        let mut out = tokio::io::stdout();
        while let Some(piece) = answer.chunk().await.context("the answer broke off")? {
            out.write_all(&piece).await?;
        }
        return Ok(out.flush().await?);
    }
    let directory = file.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let unfinished =
        tempfile::NamedTempFile::new_in(directory).with_context(|| format!("cannot write in {}", directory.display()))?;
    let mut out = tokio::fs::File::from_std(unfinished.reopen()?);
    while let Some(piece) = answer.chunk().await.context("the answer broke off")? {
        out.write_all(&piece).await?;
    }
    out.flush().await?;
    unfinished.persist(file).with_context(|| format!("cannot write {}", file.display()))?;
    eprintln!("kiln: got {}", file.display());
    Ok(())
}
