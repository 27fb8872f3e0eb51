//! The envelope that every event travels in.

use jiff::Timestamp;
use kiln_domain::{EventId, TenantId};
use serde::{Deserialize, Serialize};

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Envelope<T> {
    /// Also the message's deduplication key.
    pub id: EventId,
    pub tenant_id: TenantId,
    pub occurred_at: Timestamp,
    /// W3C trace context of the request that caused the event.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub traceparent: Option<String>,
    pub payload: T,
}

impl<T> Envelope<T> {
    pub fn new(tenant_id: TenantId, occurred_at: Timestamp, payload: T) -> Self {
        Self { id: EventId::generate(), tenant_id, occurred_at, traceparent: None, payload }
    }
}
