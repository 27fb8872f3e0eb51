//! The whole execution, as GET gives it and as the `end` event carries it.

use std::time::Duration;

use futures::StreamExt as _;
use kiln_db::TenantTx;
use kiln_domain::{ExecutionId, TenantId};
use kiln_events::{ExecutionRecord, Stored, subject};
use kiln_http::{Execution, Printed, Problem};

use crate::Results;
use crate::outputs::Outputs;
use crate::store::{self, Kind, Progress};

/// How long the store may lag behind the scheduler's last word.
const LAG: Duration = Duration::from_secs(10);
const LOOK_EVERY: Duration = Duration::from_millis(500);

/// An execution of the tenant, wherever it is known.
pub struct Known {
    pub record: ExecutionRecord,
    /// Its story so far; none before the first frame.
    pub progress: Option<Progress>,
}

impl Results {
    /// The execution's record: ours once it has ended, else the scheduler's. 404 when the tenant has no such execution.
    pub async fn find(&self, tenant: TenantId, execution: ExecutionId) -> Result<Known, Problem> {
        let progress = self.progress(tenant, execution).await?;
        match ended(progress.as_ref()) {
            Some(record) => Ok(Known { record, progress }),
            None => self.find_live(tenant, execution, progress).await,
        }
    }

    /// As the scheduler knows it; the store had no end of it a moment ago.
    async fn find_live(&self, tenant: TenantId, execution: ExecutionId, progress: Option<Progress>) -> Result<Known, Problem> {
        let record = self.describe(tenant, execution).await?.ok_or_else(Problem::not_found)?;
        if !record.status.is_terminal() {
            return Ok(Known { record, progress });
        }
        // It has just ended: its last frames are on their way to the store.
        let progress = self.stored_end(tenant, execution).await?;
        Ok(Known { record, progress: Some(progress) })
    }

    /// The whole execution, with what it has printed so far.
    pub async fn document(&self, tenant: TenantId, execution: ExecutionId) -> Result<Execution, Problem> {
        let _permit = self.documents.acquire().await.map_err(Problem::internal)?;
        let mut tx = self.database.tenant(tenant).await?;
        let progress = store::progress(&mut tx, execution).await.map_err(Problem::internal)?;
        if let (Some(record), Some(progress)) = (ended(progress.as_ref()), &progress) {
            let printed = printed(&mut tx, execution, progress.attempt, record.session_id.is_some()).await?;
            return Ok(Execution::new(record, Some(printed)));
        }
        drop(tx);
        let known = self.find_live(tenant, execution, progress).await?;
        let printed = match &known.progress {
            Some(progress) => {
                let mut tx = self.database.tenant(tenant).await?;
                printed(&mut tx, execution, progress.attempt, known.record.session_id.is_some()).await?
            }
            None => Printed::default(),
        };
        Ok(Execution::new(known.record, Some(printed)))
    }

    /// Hides the execution at once; what it left elsewhere is removed by the scheduler's event.
    pub async fn hide(&self, tenant: TenantId, execution: ExecutionId) -> Result<(), Problem> {
        let mut tx = self.database.tenant(tenant).await?;
        store::hide(&mut tx, execution).await?;
        tx.commit().await?;
        self.ends.forget((tenant, execution));
        Ok(())
    }

    async fn progress(&self, tenant: TenantId, execution: ExecutionId) -> Result<Option<Progress>, Problem> {
        let mut tx = self.database.tenant(tenant).await?;
        store::progress(&mut tx, execution).await.map_err(Problem::internal)
    }

    /// Waits until the end is stored, for as long as the store may lag.
    async fn stored_end(&self, tenant: TenantId, execution: ExecutionId) -> Result<Progress, Problem> {
        let late = || Problem::unavailable("The output is still being stored; try again.");
        tokio::time::timeout(LAG, self.wait_for_end(tenant, execution)).await.map_err(|_| late())??;
        self.progress(tenant, execution).await?.ok_or_else(Problem::not_found)
    }

    /// Waits, without a deadline of its own, until the end is stored.
    pub async fn wait_for_end(&self, tenant: TenantId, execution: ExecutionId) -> Result<(), Problem> {
        let mut notices = self.bus.client().subscribe(subject::stored(tenant, execution)).await.map_err(Problem::internal)?;
        loop {
            if ended(self.progress(tenant, execution).await?.as_ref()).is_some() {
                return Ok(());
            }
            let told = async {
                while let Some(notice) = notices.next().await {
                    if serde_json::from_slice::<Stored>(&notice.payload).is_ok_and(|stored| stored.ended) {
                        return;
                    }
                }
                std::future::pending::<()>().await;
            };
            // A look of our own should the notice have been missed.
            if tokio::time::timeout(LOOK_EVERY, told).await.is_ok() {
                return Ok(());
            }
        }
    }
}

/// The record of an execution whose end is stored.
fn ended(progress: Option<&Progress>) -> Option<ExecutionRecord> {
    progress?.record.clone()
}

async fn printed(tx: &mut TenantTx, execution: ExecutionId, attempt: i32, in_session: bool) -> Result<Printed, Problem> {
    let mut output = Output::new(in_session);
    let mut after = 0;
    loop {
        let frames = store::frames(tx, execution, attempt, after).await?;
        let full = frames.len() == store::PAGE;
        for frame in frames {
            after = frame.seq;
            output.add(frame.kind, &frame.body)?;
        }
        if !full {
            return Ok(output.into_printed());
        }
    }
}

/// What frames say, put together in their order.
pub struct Output {
    stdout: Vec<u8>,
    stderr: Vec<u8>,
    outputs: Outputs,
    in_session: bool,
}

impl Output {
    /// In a session the outputs have the streams as well.
    pub fn new(in_session: bool) -> Self {
        Self { stdout: Vec::new(), stderr: Vec::new(), outputs: Outputs::default(), in_session }
    }

    pub fn add(&mut self, kind: Kind, body: &[u8]) -> Result<(), Problem> {
        let (name, stream) = match kind {
            Kind::Stdout => ("stdout", &mut self.stdout),
            Kind::Stderr => ("stderr", &mut self.stderr),
            Kind::Display => {
                self.outputs.message(serde_json::from_slice(body).map_err(Problem::internal)?);
                return Ok(());
            }
            Kind::Status => return Ok(()),
        };
        stream.extend_from_slice(body);
        if self.in_session {
            self.outputs.stream(name, &String::from_utf8_lossy(body));
        }
        Ok(())
    }

    pub fn into_printed(self) -> Printed {
        Printed { stdout: text(self.stdout), stderr: text(self.stderr), outputs: self.outputs.into_list() }
    }
}

/// As text, invalid UTF-8 replaced, without a copy when there is none.
fn text(bytes: Vec<u8>) -> String {
    String::from_utf8(bytes).unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned())
}
