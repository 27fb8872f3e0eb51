//! `kiln notebooks`: notebooks that are kept by Kiln and run there.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context;
use reqwest::{Method, Url};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::Target;
use super::api::Api;
use super::files::keep;
use crate::output::say;

/// One answer of the server waits so long for the end of a run.
const WAIT_MS: u64 = 60_000;
/// Between looks at a run.
const LOOK_EVERY: Duration = Duration::from_millis(500);
/// Largest file that is read here; the server takes less.
const MAX_FILE_BYTES: u64 = 64 << 20;

#[derive(Debug, clap::Args)]
pub struct Notebooks {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, clap::Subcommand)]
enum Action {
    /// Lists notebooks, the newest first
    Ls {
        /// Only those whose name holds this
        name: Option<String>,
        #[command(flatten)]
        target: Target,
    },
    /// Gets a notebook as a file
    #[command(visible_alias = "export")]
    Get {
        /// Its name or id
        notebook: String,
        /// Where to, or - for standard output [default: its own name, here]
        file: Option<PathBuf>,
        #[arg(long, short, value_enum, default_value = "ipynb")]
        format: Format,
        #[command(flatten)]
        target: Target,
    },
    /// Puts an .ipynb file there, as a new version of the notebook of its name if there is one
    Put {
        file: PathBuf,
        /// The notebook's name or id [default: the file's name]
        notebook: Option<String>,
        #[command(flatten)]
        target: Target,
    },
    /// Runs a notebook there, and waits until it has ended; its outputs are then in it
    Run {
        /// Its name or id
        notebook: String,
        /// A parameter, its value in JSON or as text
        #[arg(long = "parameter", short, value_name = "NAME=VALUE")]
        parameters: Vec<String>,
        /// Does not wait
        #[arg(long, short)]
        detach: bool,
        #[command(flatten)]
        target: Target,
    },
}

#[derive(Debug, Clone, Copy, clap::ValueEnum)]
enum Format {
    Ipynb,
    Py,
    Html,
}

#[derive(Deserialize)]
struct Page {
    data: Vec<Notebook>,
    next_cursor: Option<String>,
}

#[derive(Deserialize)]
struct Notebook {
    id: String,
    name: String,
    runtime: String,
    revision: i64,
    size_bytes: u64,
    updated_at: String,
}

#[derive(Deserialize)]
struct Run {
    state: String,
    status: Option<String>,
    cells: Vec<RunCell>,
}

#[derive(Deserialize)]
struct RunCell {
    cell_id: String,
    execution_id: String,
    status: Option<String>,
}

impl Notebooks {
    pub async fn run(self) -> anyhow::Result<ExitCode> {
        match self.action {
            Action::Ls { name, target } => list(&Api::open(&target)?, name.as_deref()).await?,
            Action::Get { notebook, file, format, target } => get(&Api::open(&target)?, &notebook, file, format).await?,
            Action::Put { file, notebook, target } => put(&Api::open(&target)?, &file, notebook).await?,
            Action::Run { notebook, parameters, detach, target } => {
                return run(&Api::open(&target)?, &notebook, &parameters, detach).await;
            }
        }
        Ok(ExitCode::SUCCESS)
    }
}

async fn page(api: &Api, name: Option<&str>, cursor: Option<&str>) -> anyhow::Result<Page> {
    let mut query = Url::parse("http://localhost/")?;
    query.query_pairs_mut().append_pair("limit", "200");
    query.query_pairs_mut().extend_pairs(name.map(|name| ("name", name))).extend_pairs(cursor.map(|cursor| ("cursor", cursor)));
    api.json(Method::GET, &format!("api/v1/notebooks?{}", query.query().unwrap_or_default()), None).await
}

async fn list(api: &Api, name: Option<&str>) -> anyhow::Result<()> {
    let mut cursor = None;
    loop {
        let page = page(api, name, cursor.as_deref()).await?;
        for Notebook { id, name, runtime, size_bytes, updated_at, .. } in page.data {
            say(&format!("{id}  {updated_at:<24.19}  {size_bytes:>10}  {runtime:<10}  {name}"));
        }
        cursor = page.next_cursor;
        if cursor.is_none() {
            return Ok(());
        }
    }
}

/// The newest notebook of that name, or the one with that id.
async fn find(api: &Api, notebook: &str) -> anyhow::Result<Option<Notebook>> {
    let by_id = notebook.parse::<uuid::Uuid>().is_ok();
    let mut cursor = None;
    loop {
        let page = page(api, (!by_id).then_some(notebook), cursor.as_deref()).await?;
        if let Some(found) = page.data.into_iter().find(|found| found.name == notebook || found.id == notebook) {
            return Ok(Some(found));
        }
        cursor = page.next_cursor;
        if cursor.is_none() {
            return Ok(None);
        }
    }
}

async fn existing(api: &Api, notebook: &str) -> anyhow::Result<Notebook> {
    find(api, notebook).await?.with_context(|| format!("there is no notebook {notebook}"))
}

async fn get(api: &Api, notebook: &str, file: Option<PathBuf>, format: Format) -> anyhow::Result<()> {
    let extension = match format {
        Format::Ipynb => "ipynb",
        Format::Py => "py",
        Format::Html => "html",
    };
    let found = existing(api, notebook).await?;
    let own = || {
        let name = found.name.replace(['/', '\\'], "_");
        format!("{}.{extension}", name.strip_suffix(".ipynb").unwrap_or(&name))
    };
    let file = file.unwrap_or_else(|| PathBuf::from(own()));
    let file = if file.is_dir() { file.join(own()) } else { file };
    keep(api.download(&format!("api/v1/notebooks/{}/export?format={extension}", found.id)).await?, &file).await
}

async fn put(api: &Api, file: &Path, notebook: Option<String>) -> anyhow::Result<()> {
    let about = || format!("cannot read {}", file.display());
    anyhow::ensure!(std::fs::metadata(file).with_context(about)?.len() <= MAX_FILE_BYTES, "{} is too large", file.display());
    let content: Value = serde_json::from_slice(&std::fs::read(file).with_context(about)?)
        .with_context(|| format!("{} is no notebook: it is not JSON", file.display()))?;
    let own = file.file_stem().and_then(|name| name.to_str()).map(str::to_owned);
    let name = notebook.or(own).context("the file has no name that the server could take; name one")?;
    if let Some(found) = find(api, &name).await? {
        let tag = format!("\"{}\"", found.revision);
        let put: Notebook = api.replace(&format!("api/v1/notebooks/{}", found.id), &tag, &json!({ "content": content })).await?;
        eprintln!("kiln: {} has a new version ({} bytes)", put.name, put.size_bytes);
        return Ok(());
    }
    let mut query = Url::parse("http://localhost/")?;
    query.query_pairs_mut().append_pair("name", &name);
    let path = format!("api/v1/notebooks/import?{}", query.query().unwrap_or_default());
    let made: Notebook = api.json(Method::POST, &path, Some(&content)).await?;
    eprintln!("kiln: made {} ({})", made.name, made.id);
    Ok(())
}

async fn run(api: &Api, notebook: &str, parameters: &[String], detach: bool) -> anyhow::Result<ExitCode> {
    let id = existing(api, notebook).await?.id;
    let parameters: Map<String, Value> =
        parameters.iter().map(|parameter| self::parameter(parameter)).collect::<Result<_, _>>()?;
    let wait = if detach { 0 } else { WAIT_MS };
    let path = format!("api/v1/notebooks/{id}/run");
    let body = json!({ "parameters": parameters });
    let mut run: Run = api.json(Method::POST, &format!("{path}?wait_ms={wait}"), Some(&body)).await?;
    while run.state != "ended" && !detach {
        tokio::time::sleep(LOOK_EVERY).await;
        run = api.json(Method::GET, &path, None).await?;
    }
    for RunCell { cell_id, execution_id, status } in &run.cells {
        say(&format!("{execution_id}  {:<14}  {cell_id}", status.as_deref().unwrap_or("running")));
    }
    Ok(match run.status.as_deref() {
        None | Some("succeeded") => ExitCode::SUCCESS,
        Some(_) => ExitCode::FAILURE,
    })
}

/// `name=value`, the value in JSON, else as text.
fn parameter(text: &str) -> anyhow::Result<(String, Value)> {
    let (name, value) = text.split_once('=').with_context(|| format!("{text} is not NAME=VALUE"))?;
    Ok((name.to_owned(), serde_json::from_str(value).unwrap_or_else(|_| value.into())))
}
