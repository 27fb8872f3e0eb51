//! What a task brings and what a run leaves, by the object store.

use std::time::Duration;

use anyhow::Context as _;
use kiln_bus::Bus;
use kiln_domain::{Ended, ExecutionId};
use kiln_events::{Payload, PayloadSource, subject};
use tokio::io::AsyncReadExt as _;

use crate::sandbox::Artifact;

const TRIES: u32 = 5;
const RETRY_EVERY: Duration = Duration::from_millis(500);
/// A payload is never larger: 50 MiB of files in base64 and the rest of a request.
const MAX_PAYLOAD: u64 = 96 << 20;

/// The payload, fetched when it did not fit the message.
pub async fn payload(bus: &Bus, source: PayloadSource) -> anyhow::Result<Payload> {
    let name = match source {
        PayloadSource::Inline(payload) => return Ok(payload),
        PayloadSource::Object(name) => name,
    };
    let (size, reader) = bus.get_object(&name).await?;
    anyhow::ensure!(size <= MAX_PAYLOAD, "payload of {size} bytes");
    let mut body = Vec::with_capacity(usize::try_from(size)?);
    reader.take(MAX_PAYLOAD).read_to_end(&mut body).await.context("payload")?;
    Ok(serde_json::from_slice(&body)?)
}

/// Stores the files that are listed with the end; those that cannot be stored are taken off its list, which is then said to
/// be truncated.
pub async fn keep(bus: &Bus, execution: ExecutionId, attempt: u32, ended: &mut Ended, artifacts: Vec<Artifact>) {
    for (index, artifact) in artifacts.into_iter().enumerate() {
        let name = subject::file_object(execution, attempt, index);
        if let Err(error) = Box::pin(store(bus, &name, &artifact)).await {
            tracing::error!(error = format!("{error:#}"), %execution, "files of the run were not stored");
            ended.files.truncate(index);
            ended.files_truncated = true;
            return;
        }
    }
}

async fn store(bus: &Bus, name: &str, artifact: &Artifact) -> anyhow::Result<()> {
    use std::io::{Seek as _, SeekFrom};
    let mut tries = 0;
    loop {
        let mut again = artifact.file.try_clone()?;
        again.seek(SeekFrom::Start(0))?;
        // Where others go on working it may grow meanwhile.
        let mut listed = tokio::fs::File::from_std(again).take(artifact.size_bytes);
        match bus.put_object(name, &mut listed).await {
            Ok(()) => return Ok(()),
            Err(error) if tries == TRIES => return Err(error.into()),
            Err(error) => tracing::warn!(%error, "a file was not stored; tried again"),
        }
        tries += 1;
        tokio::time::sleep(RETRY_EVERY).await;
    }
}
