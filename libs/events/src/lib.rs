//! What the services say to each other over NATS: subjects, events, output frames and requests.
//!
//! Each payload has one version, named in its subject. A field may be added with a default;
//! anything else is a new version.

mod batch;
mod control;
mod envelope;
mod execution;
mod frame;
mod notebook;
mod session;
pub mod subject;
mod task;
mod tenant;
mod workspace;

pub use batch::{BatchExecution, BatchRefusal, BatchSession, FinishSession, RunBatch, RunBatchReply};
pub use control::{
    AWAIT_ENDED, AWAIT_LIVE, Administer, AdministerReply, AttemptSecrets, AwaitEnd, Cancel, CancelReply, Claim, ClaimReply,
    Delete, DeleteReply, Describe, DescribeReply, Heartbeat, HeartbeatReply, LiveAttempt, ResolveSecrets, ResolveSecretsReply,
    Retry, RetryReply, SendSignal, Stop, StopReply, TenantUsage, TenantUsageReply, UsageGroup, UsageRow, UsageSums,
    UsageSumsReply, WaitingFor, Why, WhyReply,
};
pub use envelope::Envelope;
pub use execution::{ExecutionRecord, Finished};
pub use frame::{Frame, FrameBody, StdinChunk, Stored, Stream};
pub use notebook::{CheckPlace, CheckPlaceReply};
pub use session::{
    AskSession, AskSessionReply, CloseSession, LiveSession, OpenSession, OpenSessionReply, SessionEnded, SessionKnown,
    SessionOrder, SessionQuestion, TellSession,
};
pub use task::{InputFile, Payload, PayloadSource, Task};
pub use tenant::{ApiKeyRevoked, SignInRevoked, TenantChanged, TenantDeleted, TenantPurged, TenantQuota, UserRevoked};
pub use workspace::{
    ChangeWorkspace, ChangeWorkspaceReply, DeleteWorkspace, DeleteWorkspaceReply, GoneWorkspaces, GoneWorkspacesReply,
    OpenWorkspace, WorkspaceRecord, WorkspaceReply, WorkspaceUsed, WorkspaceUsedReply,
};

mod base64_bytes {
    //! Bytes as base64 text inside JSON.
    use base64::Engine as _;
    use base64::engine::general_purpose::STANDARD;
    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    pub fn serialize<S: Serializer>(bytes: &[u8], serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&STANDARD.encode(bytes))
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<u8>, D::Error> {
        STANDARD.decode(String::deserialize(deserializer)?).map_err(D::Error::custom)
    }
}
