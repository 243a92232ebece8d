//! What happens in a campaign, one thing after the other.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::event::{Event, Status};
use crate::{ChannelId, history::Happened};

/// The `type` of the messages that tell of calls.
pub const CALL_EVENT: &str = "call_event";

/// An entry of a campaign's history.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CampaignEntry {
    /// Something happened to a call.
    Call {
        /// The call, where it has an id.
        call_id: Option<String>,
        /// What happened, in the record's word.
        event_type: CallEventType,
    },
    /// The campaign has another status.
    StatusChange {
        /// Its status now.
        status: Status,
        /// Its status before, where this partition has heard of one.
        previous_status: Option<Status>,
    },
}

/// What can happen to a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[expect(missing_docs, reason = "the records' own words")]
pub enum CallEventType {
    CallQueued,
    CallInitiated,
    CallAnswered,
    CallEnded,
    DtmfPressed,
    ActionTriggered,
}

impl Event {
    /// What is remembered of an event that concerns a call.
    pub(super) fn call_entry(&self) -> Option<CampaignEntry> {
        let (call_id, event_type) = match self {
            Self::CallQueued { call_id } => (call_id.clone(), CallEventType::CallQueued),
            Self::CallInitiated { call_id, .. } => (Some(call_id.clone()), CallEventType::CallInitiated),
            Self::CallAnswered { call_id } => (Some(call_id.clone()), CallEventType::CallAnswered),
            Self::CallEnded { call_id, .. } => (Some(call_id.clone()), CallEventType::CallEnded),
            Self::DtmfPressed { call_id } => (Some(call_id.clone()), CallEventType::DtmfPressed),
            Self::ActionTriggered { call_id } => (Some(call_id.clone()), CallEventType::ActionTriggered),
            Self::QueueSampled { .. } | Self::StatusChanged { .. } => return None,
        };
        Some(CampaignEntry::Call { call_id, event_type })
    }
}

impl Happened for CampaignEntry {
    fn message_type(&self) -> Option<&'static str> {
        Some(match self {
            Self::Call { .. } => CALL_EVENT,
            Self::StatusChange { .. } => "campaign_status_change",
        })
    }

    fn data(&self, channel: &ChannelId) -> Value {
        let campaign_id = channel.id();
        match self {
            Self::Call { call_id, event_type } => {
                json!({ "campaignId": campaign_id, "callId": call_id, "eventType": event_type })
            }
            Self::StatusChange { status, previous_status } => {
                json!({ "campaignId": campaign_id, "status": status, "previousStatus": previous_status })
            }
        }
    }

    fn is_for_collection(&self) -> bool {
        matches!(self, Self::StatusChange { .. })
    }
}
