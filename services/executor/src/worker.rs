//! Workers: one a slot. Each pulls an attempt, claims it, runs it and reports its end, then pulls the next.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use async_nats::jetstream::AckKind;
use async_nats::jetstream::message::Message;
use jiff::Timestamp;
use kiln_bus::Consumer;
use kiln_domain::{Ended, Reason, ReasonCode, Start, Status, TenantId, Usage, WorkspaceId};
use kiln_events::{
    AttemptSecrets, Claim, ClaimReply, Envelope, Finished, FrameBody, LiveAttempt, Payload, ResolveSecretsReply,
    Stream as OutputStream, Task as Attempt, subject,
};
use kiln_runtime::Task;
use tokio::task::JoinSet;

use crate::live::LiveEntry;
use crate::mask::Mask;
use crate::output::{LastFrames, OutputLost, OutputPublisher};
use crate::sandbox::{InputFile, Ready, RunEnd, RunEvent, RunSpec, SandboxError, Stream, WorkspaceUse};
use crate::workspaces::{OpenError, Opened};
use crate::{Executor, files, measure, stdin};

/// How long an idle worker's pull waits at the bus.
pub const PULL_WAIT: Duration = Duration::from_secs(30);
/// A message not acknowledged for so long goes to another executor; one is acknowledged as soon as it is claimed.
pub const ACK_WAIT: Duration = Duration::from_secs(10);
/// Deliveries of one attempt; the scheduler makes it anew when none led to a claim.
pub const MAX_DELIVER: i64 = 10;
/// How long sessions may take to end with the executor.
const SESSIONS_END: Duration = Duration::from_secs(10);
const CLAIM_DEADLINE: Duration = Duration::from_secs(2);
const CLAIM_TRIES: u32 = 3;
const SECRETS_DEADLINE: Duration = Duration::from_secs(8);
pub const RETRY_AFTER: Duration = Duration::from_secs(1);
/// How long a scheduler may take to store an end.
const REPORT_DEADLINE: Duration = Duration::from_secs(2);
const REPORT_RETRY: Duration = Duration::from_millis(500);
const REPORT_TRIES: u32 = 240;

pub fn task(executor: &Arc<Executor>) -> Task {
    let executor = Arc::clone(executor);
    Task::new("executor-workers", async move {
        let name = format!("executor-{}", executor.pool);
        let filter = subject::pool_tasks(&executor.pool);
        let consumer = Arc::new(executor.bus.consumer(subject::TASKS, &name, &filter, ACK_WAIT, MAX_DELIVER).await?);
        let mut workers = JoinSet::new();
        for _ in 0..executor.slots {
            workers.spawn(work(Arc::clone(&executor), Arc::clone(&consumer)));
        }
        executor.shutdown.cancelled().await;
        drain(&executor).await;
        while let Some(worker) = workers.join_next().await {
            worker.context("a worker panicked")?;
        }
        executor.sessions.close_all(ReasonCode::ExecutorLost);
        executor.session_tasks.close();
        if tokio::time::timeout(SESSIONS_END, executor.session_tasks.wait()).await.is_err() {
            tracing::warn!("sessions have not ended {SESSIONS_END:?} after they were to");
        }
        executor.sandboxes.close().await;
        Ok(())
    })
}

/// Runs may end by themselves for a while; then they are stopped and reported lost.
async fn drain(executor: &Executor) {
    if tokio::time::timeout(executor.drain, executor.live.none_left()).await.is_ok() {
        return;
    }
    for live in executor.live.attempts() {
        executor.live.stop(live.execution_id, live.attempt, ReasonCode::ExecutorLost);
    }
}

async fn work(executor: Arc<Executor>, consumer: Arc<Consumer>) {
    while !executor.shutdown.is_cancelled() {
        let pulled = tokio::select! {
            pulled = consumer.next(PULL_WAIT) => pulled,
            () = executor.shutdown.cancelled() => return,
        };
        match pulled {
            Ok(Some(message)) => Box::pin(executor.handle(message)).await,
            Ok(None) => {}
            Err(error) => {
                tracing::warn!(error = format!("{error:#}"), "no task could be pulled; tried again");
                tokio::time::sleep(RETRY_AFTER).await;
            }
        }
    }
}

impl Executor {
    async fn handle(&self, message: Message) {
        let envelope: Envelope<Attempt> = match serde_json::from_slice(&message.payload) {
            Ok(envelope) => envelope,
            Err(error) => {
                tracing::error!(%error, "a task cannot be read; rejected");
                return acknowledge(&message, AckKind::Term).await;
            }
        };
        let (tenant, attempt) = (envelope.tenant_id, envelope.payload);
        let payload = match files::payload(&self.bus, attempt.payload.clone()).await {
            Ok(payload) => payload,
            Err(error) => {
                tracing::warn!(error = format!("{error:#}"), execution = %attempt.execution_id, "payload cannot be fetched");
                return acknowledge(&message, AckKind::Nak(Some(RETRY_AFTER))).await;
            }
        };
        let live = LiveAttempt { tenant_id: tenant, execution_id: attempt.execution_id, attempt: attempt.attempt };
        let workspace = match self.workspace_of(tenant, attempt.workspace_id).await {
            Ok(workspace) => workspace,
            Err(error) => {
                tracing::warn!(error = format!("{error:#}"), execution = %attempt.execution_id, "its workspace cannot be had here; it is delivered again");
                return acknowledge(&message, AckKind::Nak(Some(RETRY_AFTER))).await;
            }
        };
        // Listed before it is claimed, so that a stop that comes at once finds it.
        let Some(entry) = self.live.enter(live) else { return acknowledge(&message, AckKind::Nak(Some(RETRY_AFTER))).await };
        let mut mask = Mask::default();
        let ready = if attempt.has_secrets {
            // They are given to whoever holds the claim.
            if !self.granted(live, &message, &entry).await {
                return;
            }
            match self.with_secrets(live, payload).await {
                Ok((payload, of_secrets)) => {
                    mask = of_secrets;
                    self.sandbox(tenant, &attempt, payload, workspace.as_ref()).await
                }
                Err(error) => {
                    // Without its secrets it is not started; the lease runs out and the scheduler decides.
                    tracing::warn!(%error, execution = %live.execution_id, "the secrets of a run could not be fetched");
                    return;
                }
            }
        } else {
            // Nothing of the program runs before the grant; its sandbox is made ready meanwhile.
            let sandbox = self.sandbox(tenant, &attempt, payload, workspace.as_ref());
            let (granted, ready) = tokio::join!(self.granted(live, &message, &entry), sandbox);
            if !granted {
                return;
            }
            ready
        };
        let output = OutputPublisher::new(self.bus.clone(), subject::output(tenant, attempt.execution_id), attempt.attempt, mask);
        Box::pin(self.attempt(tenant, attempt, ready, &entry, output, workspace)).await;
    }

    /// The workspace that a run or a session is to be in, mounted.
    pub async fn workspace_of(&self, tenant: TenantId, id: Option<WorkspaceId>) -> Result<Option<Opened>, OpenError> {
        match id {
            Some(workspace) => self.workspaces.mount_for_run(tenant, workspace).await.map(Some),
            None => Ok(None),
        }
    }

    /// Claims the attempt and answers its message; true when it is this executor's from here on.
    pub async fn granted(&self, live: LiveAttempt, message: &Message, entry: &LiveEntry) -> bool {
        let claimed = self.claim(live).await;
        let answer = match &claimed {
            // From here on the lease in the database says whose it is.
            Ok(_) => AckKind::Ack,
            Err(error) => {
                tracing::warn!(%error, execution = %live.execution_id, "the attempt could not be claimed; it is delivered again");
                AckKind::Nak(Some(RETRY_AFTER))
            }
        };
        let granted = matches!(claimed, Ok(ClaimReply::Granted));
        if granted {
            entry.claimed();
        }
        acknowledge(message, answer).await;
        granted
    }

    /// The payload with its secrets among the environment variables, and what of them is not to be printed; what the run
    /// names itself stays.
    async fn with_secrets(&self, live: LiveAttempt, mut payload: Payload) -> Result<(Payload, Mask), kiln_bus::RequestError> {
        let LiveAttempt { tenant_id, execution_id, attempt } = live;
        let query = AttemptSecrets { tenant_id, execution_id, attempt, instance: self.instance };
        let subject = subject::control("scheduler", "secrets");
        let reply: ResolveSecretsReply = self.bus.request(&subject, &query, SECRETS_DEADLINE).await?;
        let masked = reply.secrets.iter().filter(|(name, _)| reply.masked.contains(*name)).map(|(_, value)| value.as_str());
        let mask = Mask::new(masked);
        for (name, value) in reply.secrets {
            payload.env.entry(name).or_insert(value);
        }
        Ok((payload, mask))
    }

    async fn claim(&self, live: LiveAttempt) -> Result<ClaimReply, kiln_bus::RequestError> {
        let claim = Claim {
            tenant_id: live.tenant_id,
            execution_id: live.execution_id,
            attempt: live.attempt,
            executor_id: self.id.clone(),
            instance: self.instance,
        };
        let mut tries = 0;
        loop {
            match self.bus.request(&subject::control("scheduler", "claim"), &claim, CLAIM_DEADLINE).await {
                Err(error) if tries < CLAIM_TRIES => tracing::debug!(%error, "claim was not answered; repeated"),
                answered => return answered,
            }
            tries += 1;
        }
    }

    /// Runs the attempt to its end and reports it.
    async fn attempt(
        &self,
        tenant: TenantId,
        attempt: Attempt,
        ready: Result<Ready, SandboxError>,
        entry: &LiveEntry,
        mut output: OutputPublisher,
        workspace: Option<Opened>,
    ) {
        let mut end = match self.run(&attempt, ready, entry, &mut output).await {
            Ok(end) => end,
            Err(error) => {
                // Without its output the run counts for nothing; the lease runs out and the scheduler decides.
                tracing::error!(%error, execution = %attempt.execution_id, "run given up");
                return;
            }
        };
        if let Some(Opened { record, workspace }) = workspace {
            self.workspaces.report(tenant, record.id, &workspace).await;
        }
        let LastFrames { last_seq, frames: last_frames } = match output.finish(&mut end.ended).await {
            Ok(last) => last,
            Err(error) => {
                tracing::error!(%error, execution = %attempt.execution_id, "run given up");
                return;
            }
        };
        let finished = Finished {
            execution_id: attempt.execution_id,
            attempt: attempt.attempt,
            executor_id: self.id.clone(),
            instance: self.instance,
            ended: end.ended,
            started_at: end.started_at,
            finished_at: end.finished_at,
            last_seq,
            last_frames,
            start: end.start,
            isolation: end.isolation,
        };
        self.report(Envelope::new(tenant, Timestamp::now(), finished)).await;
    }

    async fn run(
        &self,
        attempt: &Attempt,
        ready: Result<Ready, SandboxError>,
        entry: &LiveEntry,
        output: &mut OutputPublisher,
    ) -> Result<RunEnd, OutputLost> {
        output.send(FrameBody::Status { status: Status::Running, waiting_for_input: None }).await?;
        let started = match ready {
            Ok(ready) => ready.start().await,
            Err(error) => Err(error),
        };
        let mut run = match started {
            Ok(run) => run,
            Err(error) => {
                tracing::warn!(%error, execution = %attempt.execution_id, "the program could not be started");
                return Ok(self.not_started(&error));
            }
        };
        entry.started(run.control.clone().into());
        let input = async {
            if attempt.interactive {
                stdin::pump(self.bus.clone(), attempt.execution_id, run.control.clone().into()).await;
            }
            std::future::pending::<()>().await;
        };
        tokio::pin!(input);
        loop {
            let event = tokio::select! {
                event = run.events.recv() => event,
                () = &mut input => continue,
                () = output.due() => {
                    output.send_due().await?;
                    continue;
                }
            };
            match event {
                Some(RunEvent::Output { stream, bytes }) => {
                    output.send(FrameBody::Output { stream: stream_of(stream), data: bytes.into() }).await?;
                }
                Some(RunEvent::WaitingForInput(waiting)) => {
                    output.send(FrameBody::Status { status: Status::Running, waiting_for_input: Some(waiting) }).await?;
                }
                Some(RunEvent::Display(document)) => output.send(FrameBody::Display { output: document }).await?,
                Some(RunEvent::Ended(mut end)) => {
                    let artifacts = std::mem::take(&mut end.artifacts);
                    files::keep(&self.bus, attempt.execution_id, attempt.attempt, &mut end.ended, artifacts).await;
                    return Ok(*end);
                }
                None => return Ok(self.broken("The sandbox broke while the program ran.")),
            }
        }
    }

    async fn sandbox(
        &self,
        tenant: TenantId,
        attempt: &Attempt,
        payload: Payload,
        workspace: Option<&Opened>,
    ) -> Result<Ready, SandboxError> {
        let runtime = self.runtimes.resolve(&attempt.runtime).map_err(|error| SandboxError::Runtime(error.to_string()))?;
        let spec = RunSpec {
            execution: attempt.execution_id,
            attempt: attempt.attempt,
            tenant,
            code: payload.code,
            args: payload.args,
            env: payload.env,
            stdin: payload.stdin.into_bytes(),
            interactive: attempt.interactive,
            files: payload.files.into_iter().map(|file| InputFile { path: file.path, content: file.content }).collect(),
            limits: attempt.limits,
            workspace: workspace.map(WorkspaceUse::from),
        };
        self.sandboxes.ready(spec, &runtime.command).await
    }

    fn not_started(&self, error: &SandboxError) -> RunEnd {
        let (status, code, message) = match error {
            SandboxError::Spec { field, detail } => {
                (Status::Failed, ReasonCode::RuntimeUnavailable, format!("The program cannot be run as it is: {field} {detail}."))
            }
            SandboxError::Disk(path) => (
                Status::Failed,
                ReasonCode::Disk,
                format!("The program was not started: its file {path} does not fit its disk limit."),
            ),
            SandboxError::Runtime(why) => {
                (Status::Lost, ReasonCode::RuntimeUnavailable, format!("The runtime could not be started: {why}."))
            }
            SandboxError::Host(_) | SandboxError::Unavailable(_) | SandboxError::Runner(_) => {
                (Status::Lost, ReasonCode::RuntimeUnavailable, "No sandbox could be made for it.".to_owned())
            }
        };
        self.end_without_run(status, code, message)
    }

    pub fn broken(&self, message: &str) -> RunEnd {
        self.end_without_run(Status::Lost, ReasonCode::ExecutorLost, message.to_owned())
    }

    fn end_without_run(&self, status: Status, code: ReasonCode, message: String) -> RunEnd {
        let now = Timestamp::now();
        RunEnd {
            ended: Ended {
                status,
                reason: Some(Reason { code, message }),
                warnings: Vec::new(),
                exit_code: None,
                signal: None,
                usage: Usage::default(),
                stdout_truncated: false,
                stderr_truncated: false,
                files: Vec::new(),
                files_truncated: false,
                execution_count: None,
                session_restarted: false,
            },
            artifacts: Vec::new(),
            started_at: now,
            finished_at: now,
            start: Start::Cold,
            isolation: self.sandboxes.isolation().tier.clone(),
        }
    }

    /// Says how the attempt ended: to a scheduler that answers once it has it stored, else to the bus, until that has taken
    /// it. Its fence makes a repeat harmless.
    pub async fn report(&self, finished: Envelope<Finished>) {
        measure::finished(&finished.payload);
        match self.bus.request(&subject::control("scheduler", "finished"), &finished, REPORT_DEADLINE).await {
            Ok(()) => return,
            Err(error) => tracing::warn!(%error, "no scheduler has taken the end of a run; it goes to the bus"),
        }
        for _ in 0..REPORT_TRIES {
            match self.bus.publish(subject::EXECUTION_FINISHED, Some(finished.id), &finished).await {
                Ok(()) => return,
                Err(error) => tracing::warn!(%error, "the end of a run was not taken by the bus; sent again"),
            }
            tokio::time::sleep(REPORT_RETRY).await;
        }
        tracing::error!(execution = %finished.payload.execution_id, "the end of a run was never taken; its lease runs out");
    }
}

pub fn stream_of(stream: Stream) -> OutputStream {
    match stream {
        Stream::Stdout => OutputStream::Stdout,
        Stream::Stderr => OutputStream::Stderr,
    }
}

pub async fn acknowledge(message: &Message, kind: AckKind) {
    if let Err(error) = message.ack_with(kind).await {
        tracing::warn!(%error, "a task was not acknowledged; it comes again and is refused");
    }
}
