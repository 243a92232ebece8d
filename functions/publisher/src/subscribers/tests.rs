//! Who gets what, and when.

use std::time::Duration;

use auth::Principal;
use gateway::PostError;
use projections::{Record, topic};
use store::SliceId;
use views::ChannelState;

use super::*;
use crate::{delivery::Message, handover, members::Members, view_cache::Key};

mod due;
mod endings;
mod rights;

const T0: Timestamp = Timestamp::EPOCH;

fn key(channel: &str) -> Key {
    (TenantId::parse("acme").unwrap(), channel.parse().unwrap())
}

fn connection(id: &str, channels: &[(&str, &str)]) -> Connection {
    Connection {
        id: id.to_owned(),
        principal: Principal {
            tenant: TenantId::parse("acme").unwrap(),
            user: "ada".to_owned(),
            permissions: vec![auth::READ_LIVE.to_owned()],
            channels: None,
            issued_at: T0,
            expires_at: T0.plus(Duration::from_hours(1)),
        },
        channels: channels.iter().map(|(channel, told)| (channel.parse().unwrap(), (*told).to_owned())).collect(),
        is_default: false,
        batch: false,
        connected_at: T0,
        source_ip: None,
        ending: None,
    }
}

/// The slice of a campaign after so many calls were answered.
fn answered(calls: i64) -> projections::Slice {
    let tenant = TenantId::parse("acme").unwrap();
    let mut slice = Kind::Campaign.empty_slice();
    for offset in 0..calls {
        let value = br#"{"eventType":"call_answered","campaignId":"c","callId":"k"}"#;
        let record = Record { topic: "campaign.events.v1", timestamp: T0, default_tenant: Some(&tenant), value };
        let routed = topic::decode(&record).unwrap().remove(0);
        slice.fold(offset, routed.at, &routed.event);
    }
    slice
}

/// A shard's subscribers before its cache.
struct Stage {
    cache: ViewCache,
    subscribers: Subscribers,
    collections: Collections,
    /// Whether an overview would have something new to show.
    is_stirred: bool,
}

impl Stage {
    fn new() -> Self {
        Self {
            cache: ViewCache::new(Duration::from_secs(1)),
            subscribers: Subscribers::default(),
            collections: Collections::new(),
            is_stirred: false,
        }
    }

    /// A successor's, with what this one leaves.
    fn succeed(&self) -> Self {
        let up_to_date = self.subscribers.up_to_date(&self.cache, &self.collections);
        let mut next = Self { subscribers: Subscribers::new(up_to_date), ..Self::new() };
        self.cache.published(&HashSet::new(), T0).for_each(|published| next.cache.restore(published, T0));
        next
    }

    /// These are the connections that there are now.
    fn connect(&mut self, connections: Vec<Connection>) {
        let mut gone: HashSet<String> = self.subscribers.ids(None, None).cloned().collect();
        for connection in connections {
            gone.remove(&connection.id);
            self.subscribers.update(&connection.id, Some(&connection), &mut self.cache);
        }
        for id in gone {
            self.subscribers.update(&id, None, &mut self.cache);
        }
        self.watch();
    }

    fn watch(&mut self) {
        let watched = self.subscribers.channels().chain(self.collections.values().flat_map(Members::slots));
        self.cache.watch(watched.collect(), T0);
    }

    /// Has the campaigns' collection of one member.
    fn collect(&mut self, slot: Slot) {
        let collection = (TenantId::parse("acme").unwrap(), Kind::Campaign);
        self.collections.entry(collection).or_default().replace(vec![slot], T0, T0);
        self.is_stirred = true;
        self.watch();
    }

    /// Reads a campaign after so many calls were answered, at T0.
    fn refresh(&mut self, channel: &str, calls: i64) -> Slot {
        let slot = self.cache.slot(&key(channel));
        self.read(slot, answered(calls), T0);
        slot
    }

    /// Reads a channel of this slice.
    fn read(&mut self, slot: Slot, mut slice: projections::Slice, now: Timestamp) {
        let id = SliceId { epoch: 1, topic: "t".to_owned(), partition: 0 };
        let chunks = slice.cut(None);
        let entries = chunks.iter().flat_map(|chunk| slice.kind().read_entries(&chunk.entries).unwrap());
        let entries: Vec<_> = entries.collect();
        let told = self.cache.view(slot).told.as_ref();
        let told = told.map(|told| told[&id.name()].last.map_or(-1, |chunk| chunk.last));
        let news = entries.iter().filter(|entry| told.is_some_and(|told| entry.offset() > told)).cloned().collect();
        let mut state = ChannelState::default();
        state.update([(id.clone(), slice)]);
        state.remember(&id, entries);
        self.cache.refresh(slot, state, news, now);
        self.subscribers.note_change(slot, &self.cache);
        self.cache.view_mut(slot).notices.clear();
        self.is_stirred = true;
    }

    fn fingerprint(&self, slot: Slot, sees_names: bool) -> u64 {
        self.cache.view(slot).posted().unwrap().fingerprint(sees_names)
    }

    fn due(&mut self, now: Timestamp) -> Vec<Delivery> {
        self.deliveries(false, now)
    }

    fn deliveries(&mut self, is_overview: bool, now: Timestamp) -> Vec<Delivery> {
        if is_overview && std::mem::take(&mut self.is_stirred) {
            self.subscribers.note_collection(&(TenantId::parse("acme").unwrap(), Kind::Campaign));
        }
        self.subscribers.deliveries(&self.cache, &self.collections, is_overview, now)
    }

    fn note(&mut self, delivered: Delivered, now: Timestamp) -> bool {
        self.subscribers.note(delivered, &mut self.cache, now)
    }

    fn note_closing(&mut self, closing: &Closing, outcome: Outcome, now: Timestamp) {
        self.subscribers.note_closing(closing, outcome, &mut self.cache, now);
    }
}

fn at(millis: u64) -> Timestamp {
    T0.plus(Duration::from_millis(millis))
}

fn arrived(delivery: &Delivery) -> Delivered {
    let view = |message: &Message| match message {
        Message::View(view) => Some((view.slot, view.fingerprint)),
        Message::Notice(_) => None,
    };
    let views = delivery.messages.iter().filter_map(view).collect();
    Delivered { views, posted: 1, ..Delivered::to(delivery.connection.clone()) }
}

#[test]
fn a_view_goes_once_to_everyone_who_watches() {
    let mut stage = Stage::new();
    stage.refresh("campaign:c", 1);
    let watching = ["a", "b"].map(|id| connection(id, &[("campaign:c", "")]));
    stage.connect(watching.into());
    let deliveries = stage.due(T0);
    assert_eq!(deliveries.len(), 2);
    let bytes = |delivery: &Delivery| match &delivery.messages[0] {
        Message::View(view) => view.message.as_ptr(),
        Message::Notice(_) => panic!("a notice where nothing happened"),
    };
    assert_eq!(bytes(&deliveries[0]), bytes(&deliveries[1]), "serialised once");
    for delivery in &deliveries {
        stage.note(arrived(delivery), T0);
    }
    assert!(stage.due(T0).is_empty());
    stage.refresh("campaign:c", 2);
    assert_eq!(stage.due(T0).len(), 2);
}

#[test]
fn a_busy_connection_gets_the_newest_view_when_it_is_free_and_nothing_in_between() {
    let mut stage = Stage::new();
    stage.refresh("campaign:c", 1);
    stage.connect(vec![connection("a", &[("campaign:c", "")])]);
    let first = stage.due(T0);
    for calls in 2..=5 {
        stage.refresh("campaign:c", calls);
        assert!(stage.due(T0).is_empty());
    }
    stage.note(arrived(&first[0]), T0);
    let next = stage.due(T0);
    let views: Vec<_> = next[0].messages.iter().filter(|message| matches!(message, Message::View(..))).collect();
    let [Message::View(view)] = views[..] else { panic!("not one view: {views:?}") };
    assert!(std::str::from_utf8(&view.message).unwrap().contains(r#""answered":5"#));
}

#[test]
fn the_view_that_answered_a_subscription_is_not_sent_again() {
    let mut stage = Stage::new();
    let slot = stage.refresh("campaign:c", 1);
    let told = format!("{:x}", stage.fingerprint(slot, false));
    stage.connect(vec![connection("a", &[("campaign:c", &told)])]);
    assert!(stage.due(T0).is_empty());
    stage.refresh("campaign:c", 2);
    assert_eq!(stage.due(T0).len(), 1);
}

#[test]
fn a_failed_post_is_made_good_after_a_while_and_a_gone_connection_is_deleted() {
    let mut stage = Stage::new();
    stage.refresh("campaign:c", 1);
    stage.connect(vec![connection("a", &[("campaign:c", "")])]);
    let failed = |end| Delivered { end: Err(end), ..Delivered::to("a".to_owned()) };
    stage.due(T0);
    assert!(!stage.note(failed(PostError::Limited), T0));
    assert!(stage.due(T0).is_empty(), "left alone for now");
    assert_eq!(stage.due(at(500)).len(), 1);

    assert!(!stage.note(failed(PostError::Gone), at(600)), "the handshake may not be over yet");
    assert_eq!(stage.due(at(700)).len(), 1);
    assert!(stage.note(failed(PostError::Gone), at(10_001)));
    assert!(stage.subscribers.is_empty());
}

#[test]
fn members_of_a_collection_come_at_overviews_and_at_once_to_who_is_new() {
    let mut stage = Stage::new();
    let slot = stage.refresh("campaign:c", 1);
    stage.collect(slot);
    stage.connect(vec![connection("a", &[("campaigns", ""), ("system", "")])]);
    let first = stage.deliveries(false, T0);
    assert_eq!(first.len(), 1, "who is new does not wait");
    stage.note(arrived(&first[0]), T0);
    stage.refresh("campaign:c", 2);
    assert!(stage.deliveries(false, T0).is_empty());
    assert_eq!(stage.deliveries(true, T0).len(), 1);
}

#[test]
fn another_tenants_collection_is_not_seen() {
    let mut stage = Stage::new();
    let slot = stage.refresh("campaign:c", 1);
    stage.collect(slot);
    let mut stranger = connection("a", &[("campaigns", ""), ("campaign:c", "")]);
    stranger.principal.tenant = TenantId::parse("other").unwrap();
    stage.connect(vec![stranger]);
    assert!(stage.deliveries(true, T0).is_empty());
}

#[test]
fn notices_go_to_who_named_the_campaign_and_wait_while_it_is_busy() {
    let mut stage = Stage::new();
    stage.refresh("campaign:c", 1);
    let watching = vec![connection("a", &[("campaign:c", "")]), connection("b", &[("campaigns", "")])];
    stage.connect(watching);
    let first = stage.due(T0);
    assert!(first.iter().all(|delivery| delivery.connection == "a"));
    stage.refresh("campaign:c", 3);
    assert!(stage.due(T0).is_empty());
    stage.note(arrived(&first[0]), T0);
    let next = stage.due(T0);
    assert_eq!(next.len(), 1, "call events are not for those who watch all campaigns");
    let types: Vec<_> = next[0].messages.iter().map(|message| matches!(message, Message::View(..))).collect();
    assert_eq!(types, [false, false, true], "two calls, then the view");
}

#[test]
fn a_successor_repeats_nothing_to_those_who_have_got_it() {
    let mut stage = Stage::new();
    stage.refresh("campaign:c", 1);
    let watching = || vec![connection("a", &[("campaign:c", "")]), connection("b", &[("campaign:c", "")])];
    stage.connect(watching());
    for delivery in stage.due(T0) {
        if delivery.connection == "a" {
            stage.note(arrived(&delivery), T0);
        }
    }
    let mut successor = stage.succeed();
    successor.connect(watching());
    successor.refresh("campaign:c", 1);
    let deliveries = successor.due(T0);
    assert_eq!(deliveries.iter().map(|delivery| delivery.connection.as_str()).collect::<Vec<_>>(), ["b"]);
}

#[test]
fn a_notice_that_did_not_arrive_is_told_when_the_connection_is_free_again() {
    let mut stage = Stage::new();
    stage.refresh("campaign:c", 1);
    stage.connect(vec![connection("a", &[("campaign:c", "")])]);
    let first = stage.due(T0);
    stage.note(arrived(&first[0]), T0);
    stage.refresh("campaign:c", 2);
    let delivery = stage.due(T0).remove(0);
    let unsent = delivery.messages.iter().filter_map(|message| match message {
        Message::Notice(notice) => Some(notice.clone()),
        Message::View(..) => None,
    });
    let delivered = Delivered {
        unsent: unsent.collect(),
        end: Err(PostError::Limited),
        ..Delivered::to(delivery.connection.clone())
    };
    stage.note(delivered, T0);
    assert_eq!(stage.due(at(500))[0].messages, delivery.messages);
}

#[test]
fn a_collection_that_is_watched_again_is_shown_again() {
    let mut stage = Stage::new();
    let slot = stage.refresh("campaign:c", 1);
    stage.collect(slot);
    stage.connect(vec![connection("a", &[("campaigns", "")])]);
    let first = stage.deliveries(true, T0);
    stage.note(arrived(&first[0]), T0);
    stage.connect(vec![connection("a", &[("event:e", "")])]);
    assert!(stage.deliveries(true, T0).is_empty());
    stage.connect(vec![connection("a", &[("event:e", ""), ("campaigns", "")])]);
    assert_eq!(stage.deliveries(false, T0).len(), 1);
}

#[test]
fn subscriptions_are_part_of_who_somebody_is() {
    let once = connection("a", &[("campaign:c", "1f")]);
    let again = connection("a", &[("campaign:c", "2f")]);
    assert_ne!(handover::subscription(&once), handover::subscription(&again));
}
