//! A session under test: cells in, what came of them out.

use std::sync::Arc;
use std::time::Duration;

use kiln_domain::{Ended, Limits, ReasonCode, Status, TenantId};
use kiln_executor::runtimes::{Resolved, Runtimes, RuntimesConfig, Search};
use kiln_executor::sandbox::{RuntimeCommand, Session, SessionEvent, SessionSpec, Stream};
use serde_json::Value;
use tokio::time::timeout;

use crate::fixture::{DEADLINE, Fixture};

pub struct Talk(pub Session);

/// What came of a cell.
#[derive(Debug)]
pub struct Told {
    /// Streams as nbformat has them, and displays, in order.
    pub outputs: Vec<Value>,
    pub ended: Ended,
}

/// The runtimes of pyenv and the system, with their kernels.
pub async fn pythons(fixture: &Fixture) -> Vec<Resolved> {
    let config = RuntimesConfig {
        search: Search::from_environment(),
        environments: Vec::new(),
        ..RuntimesConfig::new(fixture.data_dir.join("all"))
    };
    let runtimes = Runtimes::open(config).await.unwrap();
    let ids = runtimes.list().into_iter().map(|runtime| runtime.id).filter(|id| id.starts_with("python3."));
    ids.map(|id| runtimes.resolve(&id).unwrap()).collect()
}

/// The kernel of the newest Python.
pub async fn kernel(fixture: &Fixture) -> Arc<RuntimeCommand> {
    pythons(fixture).await.first().unwrap().kernel.clone().unwrap()
}

pub fn limits() -> Limits {
    Limits { timeout_ms: 20_000, ..Limits::DEFAULT }
}

impl Talk {
    pub async fn open(fixture: &Fixture, kernel: &Arc<RuntimeCommand>) -> Self {
        Self::with(fixture, kernel, limits()).await
    }

    pub async fn with(fixture: &Fixture, kernel: &Arc<RuntimeCommand>, limits: Limits) -> Self {
        fixture.sandboxes.prepare_session(kernel, &limits).await;
        let (tenant, env) = (TenantId::generate(), std::collections::BTreeMap::new());
        let spec = SessionSpec { tenant, env, limits, workspace: None };
        Self(fixture.sandboxes.open_session(spec, kernel).await.unwrap())
    }

    pub async fn cell(&mut self, code: &str) -> Told {
        self.limited(code, limits()).await
    }

    pub async fn limited(&mut self, code: &str, limits: Limits) -> Told {
        self.0.control.run(code.to_owned(), false, false, limits).await.unwrap();
        self.told().await
    }

    /// Runs a cell and, as soon as it has printed something, `act`.
    pub async fn meanwhile(&mut self, code: &str, limits: Limits, act: impl FnOnce(&Session)) -> Told {
        self.0.control.run(code.to_owned(), false, false, limits).await.unwrap();
        let mut outputs = Vec::new();
        if let SessionEvent::Output { stream, bytes } = self.event().await {
            add(&mut outputs, stream, &bytes);
        }
        act(&self.0);
        self.rest(outputs).await
    }

    pub async fn told(&mut self) -> Told {
        self.rest(Vec::new()).await
    }

    pub async fn event(&mut self) -> SessionEvent {
        timeout(DEADLINE, self.0.events.recv()).await.expect("an event comes").expect("the session lives")
    }

    async fn rest(&mut self, mut outputs: Vec<Value>) -> Told {
        loop {
            match self.event().await {
                SessionEvent::Output { stream, bytes } => add(&mut outputs, stream, &bytes),
                SessionEvent::Display(output) => outputs.push(output),
                SessionEvent::WaitingForInput(_) => {}
                SessionEvent::CellEnded(report) => {
                    if report.ended.session_restarted {
                        assert!(matches!(self.event().await, SessionEvent::Restarted), "a new interpreter comes");
                    }
                    return Told { outputs, ended: report.ended };
                }
                other => panic!("{other:?} in the middle of a cell"),
            }
        }
    }

    /// The value that the cell shows, as text.
    pub async fn value(&mut self, code: &str) -> String {
        let told = self.cell(code).await;
        let value = told.outputs.iter().find(|output| output["output_type"] == "execute_result");
        let value = value.unwrap_or_else(|| panic!("{code} shows no value: {told:?}"));
        value.pointer("/data/text~1plain").unwrap().as_str().unwrap().to_owned()
    }

    pub async fn close(mut self) {
        self.0.control.close(ReasonCode::CancelledByUser);
        let closed = async {
            while let Some(event) = self.0.events.recv().await {
                if matches!(event, SessionEvent::Closed) {
                    return;
                }
            }
            panic!("the end of a session is told");
        };
        timeout(Duration::from_secs(20), closed).await.expect("a session closes");
    }
}

fn add(outputs: &mut Vec<Value>, stream: Stream, bytes: &[u8]) {
    let name = if stream == Stream::Stdout { "stdout" } else { "stderr" };
    let text = String::from_utf8_lossy(bytes);
    match outputs.last_mut() {
        Some(last) if last["output_type"] == "stream" && last["name"] == name => {
            let joined = format!("{}{text}", last["text"].as_str().unwrap());
            last["text"] = joined.into();
        }
        _ => outputs.push(serde_json::json!({"output_type": "stream", "name": name, "text": text})),
    }
}

impl Told {
    pub fn verdict(&self) -> (Status, Option<ReasonCode>, bool) {
        (self.ended.status, self.ended.reason.as_ref().map(|reason| reason.code), self.ended.session_restarted)
    }

    pub fn types(&self) -> Vec<&str> {
        self.outputs.iter().map(|output| output["output_type"].as_str().unwrap()).collect()
    }

    pub fn text(&self) -> String {
        self.outputs.iter().filter_map(|output| output["text"].as_str()).collect()
    }

    #[track_caller]
    pub fn succeeded(self) -> Self {
        assert_eq!(self.verdict(), (Status::Succeeded, None, false), "{self:?}");
        self
    }
}
