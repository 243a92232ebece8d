//! One live event with its audience: messages, votes, questions, reactions, and who just checked in.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::{
    BadRecord, ChannelId, Event as AnyEvent, Kind, Projection, Record, Routed, Timestamp, initials, notice::NoNotice,
    record, scalar::Scalar, word,
};

/// How many check-ins the feed shows.
const FEED: usize = 10;

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

/// What one partition knows of a live event.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LiveEvent {
    messages: u64,
    votes: u64,
    questions: u64,
    upvotes: u64,
    reactions: u64,
    /// Newest first; one entry a person, at most [`FEED`].
    check_ins: Vec<CheckIn>,
}

/// The order of the fields is the order of the feed.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
struct CheckIn {
    at: Timestamp,
    id: String,
    name: String,
}

impl LiveEvent {
    /// Keeps the newest check-in of each of the newest people. A person left out here is left out of every merge too,
    /// for those before it can only become newer; so the order of merging does not matter.
    fn check_in(&mut self, new: CheckIn) {
        match self.check_ins.iter_mut().find(|known| known.id == new.id) {
            Some(known) if *known >= new => return,
            Some(known) => *known = new,
            None => self.check_ins.push(new),
        }
        self.check_ins.sort_unstable_by(|a, b| b.cmp(a));
        self.check_ins.truncate(FEED);
    }
}

/// What clients see of a live event.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct LiveDashboardData {
    /// Chat messages.
    pub total_messages: u64,
    /// Votes in polls.
    pub total_votes: u64,
    /// Questions.
    pub total_questions: u64,
    /// Votes for questions.
    pub total_upvotes: u64,
    /// Emoji.
    pub total_reactions: u64,
    /// The newest people to arrive, newest first.
    pub live_check_in_feed: Vec<Arrival>,
}

/// Somebody who arrived.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Arrival {
    /// Who, as an id.
    pub id: String,
    /// Who, as a name; as initials to those who may not see names.
    pub name: String,
}

impl Projection for LiveEvent {
    const NAME: &'static str = "event";
    const MESSAGE: &'static str = "dashboard.update";
    const SHOWS_NAMES: bool = true;

    type Event = Event;
    type Notice = NoNotice;
    type View = LiveDashboardData;

    fn apply(&mut self, event: &Event, at: Timestamp) -> Option<NoNotice> {
        match event {
            Event::MessageSent => self.messages += 1,
            Event::PollVoteCast => self.votes += 1,
            Event::QuestionAsked => self.questions += 1,
            Event::QuestionUpvoted => self.upvotes += 1,
            Event::ReactionSent => self.reactions += 1,
            Event::CheckIn { id, name } => self.check_in(CheckIn { at, id: id.clone(), name: name.clone() }),
        }
        None
    }

    fn merge(&mut self, other: &Self) {
        self.messages += other.messages;
        self.votes += other.votes;
        self.questions += other.questions;
        self.upvotes += other.upvotes;
        self.reactions += other.reactions;
        for check_in in &other.check_ins {
            self.check_in(check_in.clone());
        }
    }

    fn view(&self, _: &ChannelId, _: Timestamp) -> LiveDashboardData {
        let arrival = |check_in: &CheckIn| Arrival { id: check_in.id.clone(), name: check_in.name.clone() };
        LiveDashboardData {
            total_messages: self.messages,
            total_votes: self.votes,
            total_questions: self.questions,
            total_upvotes: self.upvotes,
            total_reactions: self.reactions,
            live_check_in_feed: self.check_ins.iter().map(arrival).collect(),
        }
    }

    fn believed(&self, latest: Timestamp) -> Cow<'_, Self> {
        if self.check_ins.first().is_none_or(|newest| newest.at <= latest) {
            return Cow::Borrowed(self);
        }
        let mut live = self.clone();
        for check_in in live.check_ins.iter_mut().filter(|check_in| check_in.at > latest) {
            check_in.at = Timestamp::EPOCH;
        }
        live.check_ins.sort_unstable_by(|a, b| b.cmp(a));
        Cow::Owned(live)
    }

    fn conceal(view: &mut LiveDashboardData) {
        for arrival in &mut view.live_check_in_feed {
            arrival.name = initials::of(&arrival.name);
        }
    }
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
pub(crate) fn decode(record: &Record<'_>) -> Result<Routed, BadRecord> {
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
    Ok(Routed {
        tenant: record.tenant(raw.tenant_id.as_ref(), raw.organization_id.as_ref())?,
        channel: ChannelId::One(Kind::LiveEvent, record::required(raw.event_id.as_ref(), "eventId")?.id("eventId")?),
        at: record.event_time(raw.timestamp.as_ref())?,
        event: AnyEvent::LiveEvent(event),
    })
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

#[cfg(test)]
mod tests {
    use super::*;

    fn decoded(value: &str) -> Result<Routed, BadRecord> {
        let timestamp = Timestamp::from_millis(1000);
        let topic = "platform.analytics.events.v1";
        crate::topic::decode(&Record { topic, timestamp, default_tenant: None, value: value.as_bytes() })
    }

    fn check_in(id: usize, at: i64) -> (Event, Timestamp) {
        (Event::CheckIn { id: format!("u{id}"), name: format!("User {id}") }, Timestamp::from_millis(at))
    }

    fn feed(events: impl IntoIterator<Item = (Event, Timestamp)>) -> Vec<String> {
        let mut live = LiveEvent::default();
        for (event, at) in events {
            live.apply(&event, at);
        }
        let id = "event:e".parse().unwrap();
        live.view(&id, Timestamp::default()).live_check_in_feed.into_iter().map(|arrival| arrival.id).collect()
    }

    #[test]
    fn the_feed_shows_the_newest_ten_newest_first() {
        let ids = feed((0..12).map(|n| check_in(n, i64::try_from(n).unwrap())));
        assert_eq!(ids, (2..12).rev().map(|n| format!("u{n}")).collect::<Vec<_>>());
    }

    #[test]
    fn a_person_who_checks_in_again_moves_up_and_stands_there_once() {
        assert_eq!(feed([check_in(1, 1), check_in(2, 2), check_in(1, 3)]), ["u1", "u2"]);
    }

    #[test]
    fn a_check_in_of_the_seed_is_routed_to_its_event() {
        let routed = decoded(
            r#"{"type":"CHECK_IN_PROCESSED","eventId":"evt_191cc94a7cf1","organizationId":"org_abc123",
                "checkInData":{"id":"user_123","name":"John Doe"}}"#,
        )
        .unwrap();
        assert_eq!(routed.channel.to_string(), "event:evt_191cc94a7cf1");
        assert_eq!(routed.tenant.as_str(), "org_abc123");
    }

    #[test]
    fn a_person_is_known_by_any_text_or_number_and_an_event_by_a_number_too() {
        for id in [r#""ada@example.com""#, r#""+1 555 0100""#, "17", r#""Zoë""#] {
            let check_in = format!(r#"{{"id":{id},"name":"Ada"}}"#);
            let value = format!(r#"{{"type":"checkInProcessed","eventId":456,"tenantId":7,"checkInData":{check_in}}}"#);
            let routed = decoded(&value).unwrap();
            assert_eq!((routed.channel.to_string().as_str(), routed.tenant.as_str()), ("event:456", "7"));
        }
    }

    #[test]
    fn a_cloud_event_with_a_type_of_its_own_is_opened() {
        let value = r#"{"specversion":"1.0","type":"com.example.live","source":"/s","id":"1",
                        "data":{"type":"MESSAGE_SENT","eventId":"e","tenantId":"t"}}"#;
        assert_eq!(decoded(value).unwrap().channel.to_string(), "event:e");
    }

    #[test]
    fn who_checked_in_in_the_future_is_below_who_checks_in_now() {
        let mut live = LiveEvent::default();
        for (event, at) in [check_in(1, 1_000_000), check_in(2, 50)] {
            live.apply(&event, at);
        }
        let ids = |live: &LiveEvent| live.check_ins.iter().map(|check_in| check_in.id.clone()).collect::<Vec<_>>();
        assert_eq!(ids(&live), ["u1", "u2"]);
        assert_eq!(ids(&live.believed(Timestamp::from_millis(100))), ["u2", "u1"]);
    }

    #[test]
    fn bad_records_are_told_apart() {
        let bad = |value: &str| decoded(value).unwrap_err();
        assert_eq!(bad(r#"{"type":"MESSAGE_SENT","eventId":"e"}"#), BadRecord::NoTenant);
        assert_eq!(
            bad(r#"{"type":"CHECK_IN_PROCESSED","eventId":"e","tenantId":"t"}"#),
            BadRecord::Missing("checkInData")
        );
        assert_eq!(
            bad(r#"{"type":"CHECK_IN_PROCESSED","eventId":"e","tenantId":"t","checkInData":"user_1"}"#),
            BadRecord::WrongType { field: "checkInData", expected: "an object with `id` and `name`" }
        );
        assert_eq!(bad(r#"{"type":"SOMETHING","eventId":"e","tenantId":"t"}"#), BadRecord::UnknownEventType("type"));
    }

    #[test]
    fn the_view_is_pinned() {
        let mut live = LiveEvent::default();
        let (event, at) = check_in(1, 1);
        live.apply(&event, at);
        live.apply(&Event::QuestionUpvoted, at);
        assert_eq!(
            serde_json::to_string(&live.view(&"event:e".parse().unwrap(), at)).unwrap(),
            concat!(
                r#"{"totalMessages":0,"totalVotes":0,"totalQuestions":0,"totalUpvotes":1,"totalReactions":0,"#,
                r#""liveCheckInFeed":[{"id":"u1","name":"User 1"}]}"#
            )
        );
    }

    #[test]
    fn initials_stand_for_the_names_of_who_arrived_and_nothing_else_changes() {
        let mut live = LiveEvent::default();
        for (id, name) in [("u1", "Ada Lovelace"), ("u2", "42")] {
            live.apply(&Event::CheckIn { id: id.into(), name: name.into() }, Timestamp::from_millis(1));
        }
        let full = live.view(&"event:e".parse().unwrap(), Timestamp::default());
        let mut concealed = full.clone();
        LiveEvent::conceal(&mut concealed);
        let names: Vec<&str> = concealed.live_check_in_feed.iter().map(|arrival| arrival.name.as_str()).collect();
        assert_eq!(names, ["?", "A. L."]);
        for (arrival, before) in concealed.live_check_in_feed.iter_mut().zip(&full.live_check_in_feed) {
            arrival.name.clone_from(&before.name);
        }
        assert_eq!(concealed, full);
    }
}
