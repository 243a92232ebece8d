//! One live event with its audience: messages, votes, questions, reactions, and who just checked in.

mod audience;
mod event;

use std::borrow::Cow;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

pub(crate) use self::event::decode;
pub use self::{audience::Audience, event::Event};
use crate::{
    ChannelId, Projection, Timestamp,
    history::{Entry, Happened, Recorder},
    initials,
    window::Counts,
};

/// How many check-ins the feed shows, each person once.
const FEED: usize = 10;

/// The newest check-ins of which these are taken: so often a person may come again and not push others out of the feed.
const RECENT: usize = 100;

/// What one partition knows of a live event.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LiveEvent {
    #[serde(flatten)]
    audience: Audience,
    /// Version 1 had the feed in here; its last people stay until newer ones come. Newest first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    check_ins: Vec<CheckIn>,
}

/// The order of the fields is the order of the feed.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
struct CheckIn {
    #[serde(with = "crate::timestamp::millis")]
    at: Timestamp,
    id: String,
    name: String,
}

/// An entry of a live event's history.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LiveEntry {
    /// Somebody arrived.
    CheckIn {
        /// Who, as an id.
        id: String,
        /// Who, as a name.
        name: String,
    },
}

impl Happened for LiveEntry {
    /// Nobody is told by a message of its own: the view shows who arrived.
    fn message_type(&self) -> Option<&'static str> {
        None
    }

    fn data(&self, _: &ChannelId) -> Value {
        let Self::CheckIn { id, name } = self;
        json!({ "id": id, "name": name })
    }

    fn is_for_collection(&self) -> bool {
        false
    }

    fn concealed(self) -> Self {
        let Self::CheckIn { id, name } = self;
        Self::CheckIn { id, name: initials::of(&name) }
    }
}

/// The newest check-in of each of the newest people, newest first.
fn feed(mut check_ins: Vec<CheckIn>) -> Vec<CheckIn> {
    check_ins.sort_unstable_by(|a, b| b.cmp(a));
    let mut feed: Vec<CheckIn> = Vec::new();
    for check_in in check_ins {
        if feed.len() < FEED && feed.iter().all(|newer| newer.id != check_in.id) {
            feed.push(check_in);
        }
    }
    feed
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

    const VERSION: u32 = 2;
    const SHOWN_ENTRIES: usize = RECENT;
    const HAS_WINDOWS: bool = true;

    type Event = Event;
    type Entry = LiveEntry;
    type Counts = Audience;
    type View = LiveDashboardData;

    fn apply(&mut self, event: &Event, _: Timestamp, history: &mut Recorder<'_, LiveEntry>) {
        self.audience.count(event);
        if let Event::CheckIn { id, name } = event {
            history.add(LiveEntry::CheckIn { id: id.clone(), name: name.clone() });
        }
    }

    fn count(event: &Event, counts: &mut Audience) {
        counts.count(event);
    }

    fn merge(&mut self, other: &Self) {
        self.audience.merge(&other.audience);
        self.check_ins.extend_from_slice(&other.check_ins);
        self.check_ins = feed(std::mem::take(&mut self.check_ins));
    }

    fn view(&self, _: &ChannelId, recent: &[&Entry<LiveEntry>], _: Timestamp) -> LiveDashboardData {
        let Audience { messages, votes, questions, upvotes, reactions, .. } = self.audience;
        let recent = recent.iter().map(|entry| {
            let LiveEntry::CheckIn { id, name } = &entry.what;
            CheckIn { at: entry.at, id: id.clone(), name: name.clone() }
        });
        let check_ins = self.check_ins.iter().cloned().chain(recent).collect();
        LiveDashboardData {
            total_messages: messages,
            total_votes: votes,
            total_questions: questions,
            total_upvotes: upvotes,
            total_reactions: reactions,
            live_check_in_feed: feed(check_ins)
                .into_iter()
                .map(|CheckIn { id, name, .. }| Arrival { id, name })
                .collect(),
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{BadRecord, Record, Routed};

    fn decoded(value: &str) -> Result<Routed, BadRecord> {
        let timestamp = Timestamp::from_millis(1000);
        let topic = "platform.analytics.events.v1";
        let record = Record { topic, timestamp, default_tenant: None, value: value.as_bytes() };
        crate::topic::decode(&record).map(|mut routed| routed.remove(0))
    }

    /// Folds events in; what is seen then.
    fn seen(live: &mut LiveEvent, events: impl IntoIterator<Item = (Event, Timestamp)>) -> LiveDashboardData {
        let mut entries = Vec::new();
        for (event, at) in events {
            live.apply(&event, at, &mut Recorder { offset: 0, at, entries: &mut entries });
        }
        let entries: Vec<_> = entries.iter().collect();
        live.view(&"event:e".parse().unwrap(), &entries, Timestamp::default())
    }

    fn check_in(id: usize, at: i64) -> (Event, Timestamp) {
        (Event::CheckIn { id: format!("u{id}"), name: format!("User {id}") }, Timestamp::from_millis(at))
    }

    fn feed(events: impl IntoIterator<Item = (Event, Timestamp)>) -> Vec<String> {
        let seen = seen(&mut LiveEvent::default(), events);
        seen.live_check_in_feed.into_iter().map(|arrival| arrival.id).collect()
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

    /// What a slice of version 1 looks like.
    const FIRST: &str = r#"{"messages": 3, "votes": 0, "questions": 0, "upvotes": 0, "reactions": 1, "check_ins": [
        {"at": "1970-01-01T00:16:40.000Z", "id": "u1", "name": "User 1"},
        {"at": "1970-01-01T00:00:00.050Z", "id": "u2", "name": "User 2"}]}"#;

    #[test]
    fn the_feed_of_version_1_is_shown_with_those_who_come_now() {
        let mut live: LiveEvent = serde_json::from_str(FIRST).unwrap();
        let seen = seen(&mut live, [check_in(3, 500), check_in(2, 2_000_000)]);
        let ids: Vec<&str> = seen.live_check_in_feed.iter().map(|arrival| arrival.id.as_str()).collect();
        assert_eq!((seen.total_messages, ids), (3, vec!["u2", "u1", "u3"]));
    }

    #[test]
    fn who_checked_in_in_the_future_is_below_who_checks_in_now() {
        let live: LiveEvent = serde_json::from_str(FIRST).unwrap();
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
    fn the_view_and_the_stored_form_are_pinned() {
        let mut live = LiveEvent::default();
        let (event, at) = check_in(1, 1);
        let seen = seen(&mut live, [(event, at), (Event::QuestionUpvoted, at)]);
        assert_eq!(
            serde_json::to_string(&live).unwrap(),
            r#"{"messages":0,"votes":0,"questions":0,"upvotes":1,"reactions":0,"arrivals":1}"#
        );
        assert_eq!(
            serde_json::to_string(&seen).unwrap(),
            concat!(
                r#"{"totalMessages":0,"totalVotes":0,"totalQuestions":0,"totalUpvotes":1,"totalReactions":0,"#,
                r#""liveCheckInFeed":[{"id":"u1","name":"User 1"}]}"#
            )
        );
    }

    #[test]
    fn initials_stand_for_the_names_of_who_arrived_and_nothing_else_changes() {
        let arrive =
            |(id, name): (&str, &str)| (Event::CheckIn { id: id.into(), name: name.into() }, Timestamp::from_millis(1));
        let full = seen(&mut LiveEvent::default(), [("u1", "Ada Lovelace"), ("u2", "42")].map(arrive));
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
