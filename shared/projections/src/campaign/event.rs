//! The records of `campaign.events.v1`.

use serde::{Deserialize, Serialize};

use crate::{
    BadRecord, ChannelId, Event as AnyEvent, Record, Routed, Timestamp,
    record::{self, Shape, Text},
};

/// What happened in a campaign.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// A contact waits to be dialed.
    CallQueued {
        /// The call, where it has an id already.
        call_id: Option<String>,
    },
    /// A call was placed.
    CallInitiated {
        /// The call.
        call_id: String,
        /// When it counts toward the dialing rate: when it was placed, but never later than Kafka got it. A dialer
        /// whose clock leads by a minute would otherwise push all others out of the window.
        placed_at: Timestamp,
    },
    /// Somebody took the call.
    CallAnswered {
        /// The call.
        call_id: String,
    },
    /// The call is over.
    CallEnded {
        /// The call.
        call_id: String,
        /// How it went on the line.
        line: Option<Line>,
        /// What came of it.
        outcome: Option<Outcome>,
        /// How long it took.
        duration_ms: Option<u64>,
        /// What it cost, in millionths.
        cost_micros: u64,
    },
    /// A key was pressed.
    DtmfPressed {
        /// The call.
        call_id: String,
    },
    /// The call's script did something.
    ActionTriggered {
        /// The call.
        call_id: String,
    },
    /// The dialer counted its queue.
    QueueSampled {
        /// Contacts waiting.
        depth: i64,
    },
    /// The campaign was started, paused, ended, renamed.
    StatusChanged {
        /// Its status now.
        status: Status,
        /// Its name, where the record gives one.
        name: Option<String>,
    },
}

/// How a call went on the line, where that is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Line {
    /// The line was busy.
    Busy,
    /// It failed, or nobody answered.
    Failed,
}

/// What came of a call, where that is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The contact did what the campaign is for.
    Converted,
    /// The contact wants no more calls.
    OptedOut,
}

/// Where a campaign stands in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[expect(missing_docs, reason = "the names say it")]
pub enum Status {
    Draft,
    Scheduled,
    Active,
    Paused,
    Completed,
    Cancelled,
}

impl Status {
    fn parse(text: &str) -> Option<Self> {
        [Self::Draft, Self::Scheduled, Self::Active, Self::Paused, Self::Completed, Self::Cancelled]
            .into_iter()
            .find(|status| status.as_str() == text)
    }

    /// As it is written.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Draft => "draft",
            Self::Scheduled => "scheduled",
            Self::Active => "active",
            Self::Paused => "paused",
            Self::Completed => "completed",
            Self::Cancelled => "cancelled",
        }
    }
}

/// A record of `campaign.events.v1`. A phone number may stand in it; it is never read.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Raw<'a> {
    #[serde(borrow)]
    tenant_id: Option<Text<'a>>,
    #[serde(borrow)]
    organization_id: Option<Text<'a>>,
    #[serde(borrow)]
    timestamp: Option<Text<'a>>,
    #[serde(borrow)]
    event_type: Option<Text<'a>>,
    #[serde(borrow)]
    campaign_id: Option<Text<'a>>,
    #[serde(borrow)]
    call_id: Option<Text<'a>>,
    #[serde(borrow)]
    contact_id: Option<Text<'a>>,
    #[serde(borrow)]
    status: Option<Text<'a>>,
    #[serde(borrow)]
    outcome: Option<Text<'a>>,
    duration: Option<f64>,
    cost: Option<f64>,
    #[serde(borrow)]
    name: Option<Text<'a>>,
    queue_depth: Option<u64>,
}

const FIELDS: &[(&str, Shape)] = &[
    ("tenantId", Shape::Text),
    ("organizationId", Shape::Text),
    ("timestamp", Shape::Text),
    ("eventType", Shape::Text),
    ("campaignId", Shape::Text),
    ("callId", Shape::Text),
    ("contactId", Shape::Text),
    ("status", Shape::Text),
    ("outcome", Shape::Text),
    ("duration", Shape::Number),
    ("cost", Shape::Number),
    ("name", Shape::Text),
    ("queueDepth", Shape::Count),
];

/// Decodes a record of `campaign.events.v1`.
pub(crate) fn decode(record: &Record<'_>) -> Result<Routed, BadRecord> {
    let raw: Raw<'_> = record.parse(FIELDS)?;
    let at = record.event_time(raw.timestamp.as_ref())?;
    // First of all, for an event type that is not known may well have other fields.
    let event = raw.event(at.min(record.timestamp))?;
    record::optional_id(raw.contact_id.as_ref(), "contactId")?;
    Ok(Routed {
        tenant: record.tenant(raw.tenant_id.as_ref(), raw.organization_id.as_ref())?,
        channel: ChannelId::campaign(record::required_id(raw.campaign_id.as_ref(), "campaignId")?),
        at,
        event: AnyEvent::Campaign(event),
    })
}

impl Raw<'_> {
    fn event(&self, placed_at: Timestamp) -> Result<Event, BadRecord> {
        let call_id = || {
            record::optional_id(self.call_id.as_ref(), "callId")?;
            record::required(self.call_id.as_ref(), "callId").map(|id| id.as_str().to_owned())
        };
        Ok(match record::required(self.event_type.as_ref(), "eventType")?.as_str() {
            "call_queued" => Event::CallQueued { call_id: self.call_id.is_some().then(call_id).transpose()? },
            "call_initiated" => Event::CallInitiated { call_id: call_id()?, placed_at },
            "call_answered" => Event::CallAnswered { call_id: call_id()? },
            "call_ended" => Event::CallEnded {
                call_id: call_id()?,
                line: self.status.as_ref().and_then(|status| match status.as_str() {
                    "busy" => Some(Line::Busy),
                    "failed" | "no_answer" => Some(Line::Failed),
                    _ => None,
                }),
                outcome: self.outcome.as_ref().and_then(|outcome| match outcome.as_str() {
                    "converted" => Some(Outcome::Converted),
                    "opted_out" => Some(Outcome::OptedOut),
                    _ => None,
                }),
                duration_ms: self.duration.map(|s| record::fixed_point(s, 1e3, "duration")).transpose()?,
                cost_micros: record::fixed_point(self.cost.unwrap_or(0.0), 1e6, "cost")?,
            },
            "dtmf_pressed" => Event::DtmfPressed { call_id: call_id()? },
            "action_triggered" => Event::ActionTriggered { call_id: call_id()? },
            "queue_sampled" => {
                let depth = i64::try_from(record::required(self.queue_depth, "queueDepth")?);
                let depth = depth.ok().filter(|depth| *depth <= i64::from(u32::MAX));
                Event::QueueSampled { depth: depth.ok_or(BadRecord::UnknownValue("queueDepth"))? }
            }
            "campaign_status_changed" => Event::StatusChanged {
                status: Status::parse(record::required(self.status.as_ref(), "status")?.as_str())
                    .ok_or(BadRecord::UnknownValue("status"))?,
                name: self.name.as_ref().map(record::name),
            },
            _ => return Err(BadRecord::UnknownEventType("eventType")),
        })
    }
}
