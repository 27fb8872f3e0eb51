//! The sessions of this executor: opened, told and closed by the scheduler; their cells come as tasks of their own.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_nats::jetstream::AckKind;
use async_nats::jetstream::message::Message;
use jiff::Timestamp;
use kiln_domain::{ReasonCode, SessionId, Start, Status, TenantId};
use kiln_events::{
    AskSession, AskSessionReply, CloseSession, Envelope, Finished, FrameBody, LiveAttempt, LiveSession, OpenSession,
    OpenSessionReply, Payload, SessionEnded, SessionKnown, SessionOrder, SessionQuestion, Task as Attempt, TellSession, subject,
};
use kiln_runtime::Task;
use tokio::sync::mpsc;

use crate::mask::Mask;
use crate::output::{LastFrames, OutputLost, OutputPublisher};
use crate::sandbox::{
    AskError, CellReport, Question, QuestionKind, Session, SessionControl, SessionEvent, SessionSpec, WorkspaceUse,
};
use crate::worker::{ACK_WAIT, MAX_DELIVER, PULL_WAIT, RETRY_AFTER, acknowledge, stream_of};
use crate::workspaces::{OpenError, Opened};
use crate::{Executor, files, stdin};

/// Sessions at once: each has a sandbox with a mounted disk.
const MAX_SESSIONS: usize = 128;
/// Cells that wait for a session here: the scheduler sends one at a time.
const CELLS: usize = 4;
const REPORT_DEADLINE: Duration = Duration::from_secs(3);
const REPORT_TRIES: u32 = 5;

#[derive(Default, Clone)]
pub struct Sessions(Arc<Mutex<HashMap<SessionId, Entry>>>);

struct Entry {
    live: LiveSession,
    /// None while it is being made.
    way: Option<Way>,
}

#[derive(Clone)]
struct Way {
    control: SessionControl,
    cells: mpsc::Sender<CellTask>,
}

/// A cell that was pulled; its message is answered once it is claimed.
struct CellTask {
    attempt: Attempt,
    payload: Payload,
    live: LiveAttempt,
    message: Message,
}

impl Sessions {
    /// What there is, for the next heartbeat.
    pub fn live(&self) -> Vec<LiveSession> {
        self.lock().values().map(|entry| entry.live).collect()
    }

    /// Ends the session; false when it is not here.
    pub fn close(&self, id: SessionId, cause: ReasonCode) -> bool {
        let entry = self.lock().remove(&id);
        // One that is still being made finds its place gone.
        let found = entry.is_some();
        if let Some(way) = entry.and_then(|entry| entry.way) {
            way.control.close(cause);
        }
        found
    }

    /// Ends them all.
    pub fn close_all(&self, cause: ReasonCode) {
        let ids: Vec<_> = self.lock().keys().copied().collect();
        for id in ids {
            self.close(id, cause);
        }
    }

    fn way(&self, id: SessionId) -> Option<Way> {
        self.lock().get(&id).and_then(|entry| entry.way.clone())
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<SessionId, Entry>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What the scheduler asks, one task a verb, and the cells.
pub fn tasks(executor: &Arc<Executor>) -> Vec<Task> {
    let serve = |verb: &'static str| (Arc::clone(executor), subject::control(&executor.id, verb), executor.shutdown.clone());
    let (open, open_subject, open_shutdown) = serve("session_open");
    let (close, close_subject, close_shutdown) = serve("session_close");
    let (tell, tell_subject, tell_shutdown) = serve("session_tell");
    let (ask, ask_subject, ask_shutdown) = serve("session_ask");
    let cells = Arc::clone(executor);
    vec![
        Task::new("executor-session-open", async move {
            let (bus, group) = (open.bus.clone(), open.id.clone());
            bus.serve(&open_subject, &group, open_shutdown, move |query| {
                let executor = Arc::clone(&open);
                async move { Ok(executor.open_session(query).await) }
            })
            .await
        }),
        Task::new("executor-session-close", async move {
            let (bus, group) = (close.bus.clone(), close.id.clone());
            bus.serve(&close_subject, &group, close_shutdown, move |query: CloseSession| {
                let known = close.sessions.close(query.session_id, query.cause);
                async move { Ok(SessionKnown { known }) }
            })
            .await
        }),
        Task::new("executor-session-tell", async move {
            let (bus, group) = (tell.bus.clone(), tell.id.clone());
            bus.serve(&tell_subject, &group, tell_shutdown, move |query| {
                let executor = Arc::clone(&tell);
                async move { Ok(executor.tell_session(query).await) }
            })
            .await
        }),
        Task::new("executor-session-ask", async move {
            let (bus, group) = (ask.bus.clone(), ask.id.clone());
            bus.serve(&ask_subject, &group, ask_shutdown, move |query| {
                let executor = Arc::clone(&ask);
                async move { Ok(executor.ask_session(query).await) }
            })
            .await
        }),
        Task::new("executor-cells", pull(cells)),
    ]
}

/// Hands each cell to its session.
async fn pull(executor: Arc<Executor>) -> anyhow::Result<()> {
    let (name, filter) = (format!("executor-session-{}", executor.id), subject::session_task(&executor.id));
    let consumer = executor.bus.consumer(subject::TASKS, &name, &filter, ACK_WAIT, MAX_DELIVER).await?;
    while !executor.shutdown.is_cancelled() {
        let pulled = tokio::select! {
            pulled = consumer.next(PULL_WAIT) => pulled,
            () = executor.shutdown.cancelled() => return Ok(()),
        };
        match pulled {
            Ok(Some(message)) => executor.hand_over(message).await,
            Ok(None) => {}
            Err(error) => {
                tracing::warn!(error = format!("{error:#}"), "no cell could be pulled; tried again");
                tokio::time::sleep(RETRY_AFTER).await;
            }
        }
    }
    Ok(())
}

impl Executor {
    async fn open_session(self: &Arc<Self>, query: OpenSession) -> OpenSessionReply {
        let refuse = |message: &str| OpenSessionReply::Refused { message: message.to_owned() };
        let id = query.session_id;
        let live = LiveSession { tenant_id: query.tenant_id, session_id: id };
        {
            let mut sessions = self.sessions.lock();
            if self.shutdown.is_cancelled() || sessions.len() >= MAX_SESSIONS || sessions.contains_key(&id) {
                return refuse("The executor takes no further sessions now; try again.");
            }
            sessions.insert(id, Entry { live, way: None });
        }
        let (session, workspace) = match self.make_session(&query).await {
            Ok(made) => made,
            Err(reply) => {
                self.sessions.close(id, ReasonCode::ExecutorLost);
                return reply;
            }
        };
        let (cells, receiver) = mpsc::channel(CELLS);
        let (control, start) = (session.control.clone(), session.start);
        {
            let mut sessions = self.sessions.lock();
            let Some(entry) = sessions.get_mut(&id) else {
                control.close(ReasonCode::CancelledByUser);
                return refuse("The session was closed before it was there.");
            };
            entry.way = Some(Way { control, cells });
        }
        let executor = Arc::clone(self);
        self.session_tasks.spawn(async move { executor.keep_session(live, session, workspace, receiver).await });
        OpenSessionReply::Opened { instance: self.instance, start }
    }

    /// The session, and the workspace that it is in; or what is answered in their place.
    async fn make_session(&self, query: &OpenSession) -> Result<(Session, Option<Opened>), OpenSessionReply> {
        let refused = |message: String| OpenSessionReply::Refused { message };
        let runtime = self.runtimes.resolve(&query.runtime);
        let runtime = runtime.map_err(|error| refused(format!("The session cannot be started: {error}.")))?;
        let kernel = runtime.kernel.ok_or_else(|| refused("This runtime has no sessions.".to_owned()))?;
        let workspace = match self.workspace_of(query.tenant_id, query.workspace_id).await {
            Ok(workspace) => workspace,
            Err(OpenError::Elsewhere(_)) => return Err(OpenSessionReply::Elsewhere),
            Err(error) => {
                tracing::warn!(error = format!("{error:#}"), session = %query.session_id, "a session's workspace cannot be had");
                return Err(refused("Its workspace cannot be had now; try again.".to_owned()));
            }
        };
        let spec = SessionSpec {
            tenant: query.tenant_id,
            env: std::collections::BTreeMap::new(),
            limits: query.limits,
            workspace: workspace.as_ref().map(WorkspaceUse::from),
        };
        match self.sandboxes.open_session(spec, &kernel).await {
            Ok(session) => Ok((session, workspace)),
            Err(error) => {
                tracing::warn!(%error, session = %query.session_id, "a session could not be made");
                Err(refused("No sandbox could be made for it; try again.".to_owned()))
            }
        }
    }

    async fn tell_session(&self, query: TellSession) -> SessionKnown {
        let Some(way) = self.sessions.way(query.session_id) else { return SessionKnown { known: false } };
        match query.what {
            SessionOrder::Interrupt => {
                way.control.interrupt();
                SessionKnown { known: true }
            }
            SessionOrder::Restart => SessionKnown { known: way.control.restart(ReasonCode::CancelledByUser).await.is_ok() },
        }
    }

    async fn ask_session(&self, query: AskSession) -> AskSessionReply {
        let Some(way) = self.sessions.way(query.session_id) else { return AskSessionReply::Unknown };
        let kind = match query.kind {
            SessionQuestion::Complete => QuestionKind::Complete,
            SessionQuestion::Inspect => QuestionKind::Inspect,
        };
        let question = Question { id: 0, kind, code: query.code, cursor: query.cursor, detail: query.detail };
        match way.control.ask(question, Duration::from_millis(query.wait_ms)).await {
            Ok(answer) => AskSessionReply::Answer(answer),
            Err(AskError::Busy) => AskSessionReply::Busy,
            Err(AskError::Closed) => AskSessionReply::Unknown,
        }
    }

    /// A cell for a session that is not here is claimed and ended, so that its end is told.
    async fn hand_over(self: &Arc<Self>, message: Message) {
        let envelope: Envelope<Attempt> = match serde_json::from_slice(&message.payload) {
            Ok(envelope) => envelope,
            Err(error) => {
                tracing::error!(%error, "a cell cannot be read; rejected");
                return acknowledge(&message, AckKind::Term).await;
            }
        };
        let attempt = envelope.payload;
        let payload = match files::payload(&self.bus, attempt.payload.clone()).await {
            Ok(payload) => payload,
            Err(error) => {
                tracing::warn!(error = format!("{error:#}"), execution = %attempt.execution_id, "payload cannot be fetched");
                return acknowledge(&message, AckKind::Nak(Some(RETRY_AFTER))).await;
            }
        };
        let live = LiveAttempt { tenant_id: envelope.tenant_id, execution_id: attempt.execution_id, attempt: attempt.attempt };
        let way = attempt.session_id.and_then(|session| self.sessions.way(session));
        let task = CellTask { attempt, payload, live, message };
        let refused = match way {
            Some(way) => match way.cells.try_send(task) {
                Ok(()) => return,
                Err(mpsc::error::TrySendError::Full(task)) => {
                    return acknowledge(&task.message, AckKind::Nak(Some(RETRY_AFTER))).await;
                }
                Err(mpsc::error::TrySendError::Closed(task)) => task,
            },
            None => task,
        };
        let executor = Arc::clone(self);
        self.session_tasks.spawn(async move { executor.refuse_cell(refused).await });
    }

    async fn refuse_cell(&self, task: CellTask) {
        let Some(entry) = self.live.enter(task.live) else { return };
        if !self.granted(task.live, &task.message, &entry).await {
            return;
        }
        let end = self.broken("The session is closed.");
        let finished = Finished {
            execution_id: task.live.execution_id,
            attempt: task.live.attempt,
            executor_id: self.id.clone(),
            instance: self.instance,
            ended: end.ended,
            started_at: end.started_at,
            finished_at: end.finished_at,
            last_seq: 0,
            last_frames: Vec::new(),
            start: end.start,
            isolation: end.isolation,
        };
        self.report(Envelope::new(task.live.tenant_id, Timestamp::now(), finished)).await;
    }

    /// One session from its first cell to its end.
    async fn keep_session(
        self: Arc<Self>,
        live: LiveSession,
        mut session: Session,
        workspace: Option<Opened>,
        mut cells: mpsc::Receiver<CellTask>,
    ) {
        let isolation = session.isolation.clone();
        loop {
            let task = tokio::select! {
                task = cells.recv() => task,
                event = session.events.recv() => match event {
                    // Between cells there is nothing to show.
                    Some(
                        SessionEvent::Restarted
                        | SessionEvent::Output { .. }
                        | SessionEvent::Display(_)
                        | SessionEvent::WaitingForInput(_)
                        | SessionEvent::CellEnded(_),
                    ) => continue,
                    Some(SessionEvent::Closed) | None => break,
                },
            };
            let Some(task) = task else { break };
            let goes_on = self.cell(task, &mut session, &isolation).await;
            self.report_use(live.tenant_id, workspace.as_ref()).await;
            if !goes_on {
                break;
            }
        }
        // Whoever closed it has taken it from the list.
        let ended_itself = self.sessions.lock().remove(&live.session_id).is_some();
        session.control.close(ReasonCode::ExecutorLost);
        cells.close();
        while let Some(task) = cells.recv().await {
            self.refuse_cell(task).await;
        }
        if ended_itself {
            self.tell_ended(live).await;
        }
        // What it left running between its cells may have written as well.
        self.report_use(live.tenant_id, workspace.as_ref()).await;
    }

    /// Tells what the session's workspace takes, if it has one.
    async fn report_use(&self, tenant: TenantId, workspace: Option<&Opened>) {
        if let Some(Opened { record, workspace }) = workspace {
            self.workspaces.report(tenant, record.id, workspace).await;
        }
    }

    /// Claims a cell unless it is granted, runs it and reports its end. False when the session is over.
    async fn cell(&self, task: CellTask, session: &mut Session, isolation: &str) -> bool {
        let CellTask { attempt, payload, live, message } = task;
        let Some(entry) = self.live.enter(live) else {
            acknowledge(&message, AckKind::Nak(Some(RETRY_AFTER))).await;
            return true;
        };
        if attempt.granted_until.is_some_and(|until| Timestamp::now() < until) {
            entry.claimed();
            acknowledge(&message, AckKind::Ack).await;
        } else if !self.granted(live, &message, &entry).await {
            return true;
        }
        entry.started(session.control.clone().into());
        let subject = subject::output(live.tenant_id, live.execution_id);
        let mut output = OutputPublisher::new(self.bus.clone(), subject, live.attempt, Mask::default());
        let ran = self.run_cell(&attempt, payload, session, &mut output).await;
        let stored = match ran {
            Ok((mut report, is_over)) => {
                let finished = output.finish(&mut report.ended).await;
                finished.map(|last| (report, is_over, last))
            }
            Err(lost) => Err(lost),
        };
        let (report, is_over, LastFrames { last_seq, frames: last_frames }) = match stored {
            Ok(stored) => stored,
            Err(error) => {
                // Without its output the cell counts for nothing; the lease runs out and the scheduler decides.
                tracing::error!(%error, execution = %live.execution_id, "a cell is given up, and its session");
                return false;
            }
        };
        let finished = Finished {
            execution_id: live.execution_id,
            attempt: live.attempt,
            executor_id: self.id.clone(),
            instance: self.instance,
            ended: report.ended,
            started_at: report.started_at,
            finished_at: report.finished_at,
            last_seq,
            last_frames,
            start: Start::Warm,
            isolation: isolation.to_owned(),
        };
        self.report(Envelope::new(live.tenant_id, Timestamp::now(), finished)).await;
        !is_over
    }

    /// The cell's end, and whether it is the session's as well.
    async fn run_cell(
        &self,
        attempt: &Attempt,
        payload: Payload,
        session: &mut Session,
        output: &mut OutputPublisher,
    ) -> Result<(CellReport, bool), OutputLost> {
        output.send(FrameBody::Status { status: Status::Running, waiting_for_input: None }).await?;
        let sent = session.control.run(payload.code, payload.silent, attempt.interactive, attempt.limits).await;
        if sent.is_err() {
            return Ok((self.lost_cell(), true));
        }
        let input = async {
            if attempt.interactive {
                stdin::pump(self.bus.clone(), attempt.execution_id, session.control.clone().into()).await;
            }
            std::future::pending::<()>().await;
        };
        tokio::pin!(input);
        loop {
            let event = tokio::select! {
                event = session.events.recv() => event,
                () = &mut input => continue,
                () = output.due() => {
                    output.send_due().await?;
                    continue;
                }
            };
            match event {
                Some(SessionEvent::Output { stream, bytes }) => {
                    output.send(FrameBody::Output { stream: stream_of(stream), data: bytes.into() }).await?;
                }
                Some(SessionEvent::WaitingForInput(waiting)) => {
                    output.send(FrameBody::Status { status: Status::Running, waiting_for_input: Some(waiting) }).await?;
                }
                Some(SessionEvent::Display(document)) => output.send(FrameBody::Display { output: document }).await?,
                // Of an end before this cell began.
                Some(SessionEvent::Restarted) => {}
                Some(SessionEvent::CellEnded(mut report)) => {
                    let artifacts = std::mem::take(&mut report.artifacts);
                    files::keep(&self.bus, attempt.execution_id, attempt.attempt, &mut report.ended, artifacts).await;
                    return Ok((*report, false));
                }
                Some(SessionEvent::Closed) | None => return Ok((self.lost_cell(), true)),
            }
        }
    }

    fn lost_cell(&self) -> CellReport {
        let end = self.broken("The session ended while the cell ran.");
        CellReport { ended: end.ended, artifacts: Vec::new(), started_at: end.started_at, finished_at: end.finished_at }
    }

    /// Says that a session is over; should nobody hear it, its lease runs out.
    async fn tell_ended(&self, live: LiveSession) {
        let ended = SessionEnded {
            tenant_id: live.tenant_id,
            session_id: live.session_id,
            instance: self.instance,
            message: "Its interpreter ended and could not be started again.".to_owned(),
        };
        for _ in 0..REPORT_TRIES {
            let told: Result<SessionKnown, _> =
                self.bus.request(&subject::control("scheduler", "session_ended"), &ended, REPORT_DEADLINE).await;
            match told {
                Ok(_) => return,
                Err(error) => tracing::warn!(%error, session = %live.session_id, "the end of a session was not heard"),
            }
        }
    }
}
