//! Saves what a run has left: its files and its figures.

use std::path::{Component, Path};

use anyhow::Context;
use base64::Engine;
use reqwest::Url;

use super::api::Api;
use super::execution::Execution;

/// All files of one run together.
const FILES_BYTES: usize = 50 * 1024 * 1024;

/// Writes each file under its own path below the directory, and figures as `figure-1.png` and so on.
pub async fn save(api: &Api, execution: &Execution, directory: &Path) -> anyhow::Result<()> {
    for file in &execution.files {
        let path = Path::new(&file.path);
        // The server's word is not taken for it: nothing is written outside of the directory.
        anyhow::ensure!(path.components().all(|part| matches!(part, Component::Normal(_))), "{} is no relative path", file.path);
        let bytes = api.bytes(&address(&execution.id, &file.path)?, FILES_BYTES).await?;
        write(&directory.join(path), &bytes)?;
    }
    let pictures = execution.outputs.iter().flatten().filter_map(|output| output.get("data")?.get("image/png")?.as_str());
    for (number, picture) in pictures.enumerate() {
        let bytes = base64::engine::general_purpose::STANDARD.decode(picture.trim()).context("a figure is no base64")?;
        write(&directory.join(format!("figure-{}.png", number + 1)), &bytes)?;
    }
    Ok(())
}

/// The path of a file in the API, with what a URL cannot hold escaped.
fn address(id: &str, path: &str) -> anyhow::Result<String> {
    let mut url = Url::parse("http://localhost/")?;
    url.path_segments_mut().map_err(|()| anyhow::anyhow!("no base"))?.extend(path.split('/'));
    Ok(format!("api/v1/executions/{id}/files{}", url.path()))
}

fn write(path: &Path, bytes: &[u8]) -> anyhow::Result<()> {
    if let Some(parent) = path.parent() {
        std::fs::create_dir_all(parent).with_context(|| format!("cannot make {}", parent.display()))?;
    }
    std::fs::write(path, bytes).with_context(|| format!("cannot write {}", path.display()))?;
    eprintln!("kiln: saved {}", path.display());
    Ok(())
}
