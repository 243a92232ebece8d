//! The records of `platform.analytics.check-in.v1` and `platform.analytics.events.v1`.

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::{BadRecord, ChannelId, Event as AnyEvent, Kind, Record, Routed, record, scalar::Scalar, word};

/// What the audience did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// A chat message.
    MessageSent,
    /// A vote in a poll.
    PollVoteCast,
    /// A question.
    QuestionAsked,
    /// A vote for a question.
    QuestionUpvoted,
    /// An emoji.
    ReactionSent,
    /// Somebody arrived.
    CheckIn {
        /// Who, as an id.
        id: String,
        /// Who, as a name.
        name: String,
    },
}

/// What an event's type says of it.
#[derive(Clone, Copy)]
enum Type {
    MessageSent,
    PollVoteCast,
    QuestionAsked,
    QuestionUpvoted,
    ReactionSent,
    CheckIn,
}

const TYPES: &[(&str, Type)] = &[
    ("MESSAGE_SENT", Type::MessageSent),
    ("POLL_VOTE_CAST", Type::PollVoteCast),
    ("QUESTION_ASKED", Type::QuestionAsked),
    ("QUESTION_UPVOTED", Type::QuestionUpvoted),
    ("REACTION_SENT", Type::ReactionSent),
    ("CHECK_IN_PROCESSED", Type::CheckIn),
];

/// A record of `platform.analytics.check-in.v1` or `platform.analytics.events.v1`.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Raw<'a> {
    #[serde(borrow)]
    tenant_id: Option<Scalar<'a>>,
    #[serde(borrow)]
    organization_id: Option<Scalar<'a>>,
    #[serde(borrow)]
    timestamp: Option<Scalar<'a>>,
    #[serde(borrow, rename = "type")]
    event_type: Option<Scalar<'a>>,
    #[serde(borrow)]
    event_id: Option<Scalar<'a>>,
    #[serde(borrow)]
    check_in_data: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct RawCheckIn<'a> {
    #[serde(borrow)]
    id: Option<Scalar<'a>>,
    #[serde(borrow)]
    name: Option<Scalar<'a>>,
}

/// Decodes a record of either topic.
pub(crate) fn decode(record: &Record<'_>) -> Result<Vec<Routed>, BadRecord> {
    let raw: Raw<'_> = record.parse()?;
    let event_type = record::required(raw.event_type.as_ref(), "type")?.word("type")?;
    let event = match word::find(event_type, TYPES).ok_or(BadRecord::UnknownEventType("type"))? {
        Type::MessageSent => Event::MessageSent,
        Type::PollVoteCast => Event::PollVoteCast,
        Type::QuestionAsked => Event::QuestionAsked,
        Type::QuestionUpvoted => Event::QuestionUpvoted,
        Type::ReactionSent => Event::ReactionSent,
        Type::CheckIn => check_in(record::required(raw.check_in_data, "checkInData")?)?,
    };
    Ok(vec![Routed {
        tenant: record.tenant(raw.tenant_id.as_ref(), raw.organization_id.as_ref())?,
        channel: ChannelId::One(Kind::LiveEvent, record::required(raw.event_id.as_ref(), "eventId")?.id("eventId")?),
        at: record.event_time(raw.timestamp.as_ref())?,
        event: AnyEvent::LiveEvent(event),
    }])
}

fn check_in(data: &RawValue) -> Result<Event, BadRecord> {
    const NO_OBJECT: BadRecord =
        BadRecord::WrongType { field: "checkInData", expected: "an object with `id` and `name`" };
    // serde would take an array for an object's fields in order.
    if !data.get().starts_with('{') {
        return Err(NO_OBJECT);
    }
    let RawCheckIn { id, name } = serde_json::from_str(data.get()).map_err(|_| BadRecord::TwiceGiven)?;
    let id = id.filter(|id| !id.is_blank());
    Ok(Event::CheckIn {
        id: record::required(id, "checkInData.id")?.label("checkInData.id")?,
        name: record::required(name, "checkInData.name")?.label("checkInData.name")?,
    })
}
