//! The records of `campaign.events.v1`.

use serde::{Deserialize, Serialize};

use super::CallEventType;
use crate::{BadRecord, ChannelId, Event as AnyEvent, Record, Routed, Timestamp, record, scalar::Scalar, word};

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
        /// When it counts toward the dialing rate.
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
    /// The dialer counted its queue, its calls, or both.
    QueueSampled {
        /// Contacts waiting.
        depth: Option<u32>,
        /// Calls going on.
        active_calls: Option<u32>,
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
    /// A word that we do not know: the call is over, and that is all.
    Unknown,
}

/// What came of a call, where that is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The contact did what the campaign is for.
    Converted,
    /// The contact wants no more calls.
    OptedOut,
    /// A word that we do not know.
    Unknown,
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

/// What an event's type says of it. The rest depends on it.
#[derive(Clone, Copy)]
enum Type {
    Call(CallEventType),
    QueueSampled,
    StatusChanged,
}

const TYPES: &[(&str, Type)] = &[
    ("call_queued", Type::Call(CallEventType::CallQueued)),
    ("call_initiated", Type::Call(CallEventType::CallInitiated)),
    ("call_answered", Type::Call(CallEventType::CallAnswered)),
    ("call_ended", Type::Call(CallEventType::CallEnded)),
    ("dtmf_pressed", Type::Call(CallEventType::DtmfPressed)),
    ("action_triggered", Type::Call(CallEventType::ActionTriggered)),
    ("queue_sampled", Type::QueueSampled),
    ("campaign_status_changed", Type::StatusChanged),
];

const STATUSES: &[(&str, Status)] = &[
    ("draft", Status::Draft),
    ("scheduled", Status::Scheduled),
    ("active", Status::Active),
    ("paused", Status::Paused),
    ("completed", Status::Completed),
    ("cancelled", Status::Cancelled),
    ("canceled", Status::Cancelled),
];

/// The statuses of a call that is over. What is `None` is known, and counted nowhere.
const LINES: &[(&str, Option<Line>)] = &[
    ("completed", None),
    ("busy", Some(Line::Busy)),
    ("no_answer", Some(Line::Failed)),
    ("failed", Some(Line::Failed)),
    ("answered", None),
    ("cancelled", None),
    ("canceled", None),
];

/// What came of a call. What is `None` is known, and counted nowhere.
const OUTCOMES: &[(&str, Option<Outcome>)] = &[
    ("converted", Some(Outcome::Converted)),
    ("opted_out", Some(Outcome::OptedOut)),
    ("completed", None),
    ("no_interest", None),
    ("none", None),
];

/// A record of `campaign.events.v1`. A phone number may stand in it; it is never read.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Raw<'a> {
    #[serde(borrow)]
    tenant_id: Option<Scalar<'a>>,
    #[serde(borrow)]
    organization_id: Option<Scalar<'a>>,
    #[serde(borrow)]
    timestamp: Option<Scalar<'a>>,
    #[serde(borrow)]
    event_type: Option<Scalar<'a>>,
    #[serde(borrow)]
    campaign_id: Option<Scalar<'a>>,
    #[serde(borrow)]
    call_id: Option<Scalar<'a>>,
    #[serde(borrow)]
    status: Option<Scalar<'a>>,
    #[serde(borrow)]
    outcome: Option<Scalar<'a>>,
    #[serde(borrow)]
    duration: Option<Scalar<'a>>,
    #[serde(borrow)]
    cost: Option<Scalar<'a>>,
    #[serde(borrow)]
    name: Option<Scalar<'a>>,
    #[serde(borrow)]
    queue_depth: Option<Scalar<'a>>,
    #[serde(borrow)]
    active_calls: Option<Scalar<'a>>,
}

/// Decodes a record of `campaign.events.v1`.
pub(crate) fn decode(record: &Record<'_>) -> Result<Vec<Routed>, BadRecord> {
    let raw: Raw<'_> = record.parse()?;
    // First of all, for an event type that is not known may well have other fields.
    let event_type = raw.event_type()?;
    let at = record.event_time(raw.timestamp.as_ref())?;
    Ok(vec![Routed {
        tenant: record.tenant(raw.tenant_id.as_ref(), raw.organization_id.as_ref())?,
        channel: ChannelId::campaign(record::required(raw.campaign_id.as_ref(), "campaignId")?.id("campaignId")?),
        at,
        event: AnyEvent::Campaign(raw.event(event_type, at)?),
    }])
}

impl Raw<'_> {
    fn event_type(&self) -> Result<Type, BadRecord> {
        let text = record::required(self.event_type.as_ref(), "eventType")?.word("eventType")?;
        word::find(text, TYPES).ok_or(BadRecord::UnknownEventType("eventType"))
    }

    fn event(&self, event_type: Type, at: Timestamp) -> Result<Event, BadRecord> {
        match event_type {
            Type::Call(event_type) => self.call_event(event_type, at),
            Type::QueueSampled => {
                let depth = sampled(self.queue_depth.as_ref(), "queueDepth")?;
                let active_calls = sampled(self.active_calls.as_ref(), "activeCalls")?;
                if depth.is_none() && active_calls.is_none() {
                    return Err(BadRecord::Missing("queueDepth"));
                }
                Ok(Event::QueueSampled { depth, active_calls })
            }
            Type::StatusChanged => {
                let status = record::required(self.status.as_ref(), "status")?.word("status")?;
                let status = word::find(status, STATUSES).ok_or(BadRecord::UnknownValue("status"))?;
                let name = given(self.name.as_ref()).map(|name| name.label("name")).transpose()?;
                Ok(Event::StatusChanged { status, name })
            }
        }
    }

    fn call_event(&self, event_type: CallEventType, placed_at: Timestamp) -> Result<Event, BadRecord> {
        let call_id = given(self.call_id.as_ref()).map(|id| id.label("callId")).transpose()?;
        if event_type == CallEventType::CallQueued {
            return Ok(Event::CallQueued { call_id });
        }
        let call_id = record::required(call_id, "callId")?;
        Ok(match event_type {
            CallEventType::CallQueued => Event::CallQueued { call_id: Some(call_id) },
            CallEventType::CallInitiated => Event::CallInitiated { call_id, placed_at },
            CallEventType::CallAnswered => Event::CallAnswered { call_id },
            CallEventType::CallEnded => Event::CallEnded {
                call_id,
                line: of_word(self.status.as_ref(), LINES, Line::Unknown),
                outcome: of_word(self.outcome.as_ref(), OUTCOMES, Outcome::Unknown),
                duration_ms: quantity(self.duration.as_ref(), 1e3, "duration")?,
                cost_micros: quantity(self.cost.as_ref(), 1e6, "cost")?.unwrap_or(0),
            },
            CallEventType::DtmfPressed => Event::DtmfPressed { call_id },
            CallEventType::ActionTriggered => Event::ActionTriggered { call_id },
        })
    }
}

/// A field with something in it.
fn given<'a, 'b>(value: Option<&'a Scalar<'b>>) -> Option<&'a Scalar<'b>> {
    value.filter(|value| !value.is_blank())
}

fn quantity(value: Option<&Scalar<'_>>, per_unit: f64, field: &'static str) -> Result<Option<u64>, BadRecord> {
    given(value).map(|value| record::fixed_point(value, per_unit, field)).transpose()
}

fn sampled(value: Option<&Scalar<'_>>, field: &'static str) -> Result<Option<u32>, BadRecord> {
    let sample = |value: &Scalar<'_>| u32::try_from(value.count(field)?).map_err(|_| BadRecord::UnknownValue(field));
    given(value).map(sample).transpose()
}

/// What a word says of a call that is over. The call is over whatever it says.
fn of_word<T: Copy>(value: Option<&Scalar<'_>>, words: &[(&str, Option<T>)], unknown: T) -> Option<T> {
    let known = match given(value)? {
        Scalar::Text(text) => word::find(text.trim_ascii(), words),
        _ => None,
    };
    known.unwrap_or(Some(unknown))
}

impl Event {
    /// How many of its words are none that we know.
    pub(crate) fn unknown_words(&self) -> usize {
        match self {
            Self::CallEnded { line, outcome, .. } => {
                usize::from(*line == Some(Line::Unknown)) + usize::from(*outcome == Some(Outcome::Unknown))
            }
            _ => 0,
        }
    }
}
