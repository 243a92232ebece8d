//! Who gets what, and when.

use std::time::Duration;

use auth::Principal;
use gateway::PostError;
use projections::{Record, topic};
use store::SliceId;
use views::ChannelState;

use super::*;
use crate::{board::Key, delivery::Message, published};

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

/// Has the board read a channel of this slice.
fn read(board: &mut Board, place: Place, slice: projections::Slice) {
    read_at(board, place, slice, T0);
}

fn read_at(board: &mut Board, place: Place, mut slice: projections::Slice, now: Timestamp) {
    let id = SliceId { epoch: 1, topic: "t".to_owned(), partition: 0 };
    let chunks = slice.cut(None);
    let entries = chunks.iter().flat_map(|chunk| slice.kind().read_entries(&chunk.entries).unwrap());
    let entries: Vec<_> = entries.collect();
    let told = board.told(place, now).map(|told| told[&id.name()].last.map_or(-1, |chunk| chunk.last));
    let news = entries.iter().filter(|entry| told.is_some_and(|told| entry.offset() > told)).cloned().collect();
    let mut state = ChannelState::default();
    state.update([(id.clone(), slice)]);
    state.remember(&id, entries);
    board.refresh(place, state, news, now);
}

fn refresh(board: &mut Board, channel: &str, calls: i64) -> Place {
    let place = board.place(&key(channel));
    board.clear_notices();
    read(board, place, answered(calls));
    place
}

fn at(millis: u64) -> Timestamp {
    T0.plus(Duration::from_millis(millis))
}

fn arrived(parcel: &Parcel) -> Receipt {
    let view = |message: &Message| match message {
        Message::View(view) => Some((view.place, view.revision)),
        Message::Notice(_) => None,
    };
    let got = parcel.messages.iter().filter_map(view).collect();
    Receipt { got, posted: 1, ..Receipt::to(parcel.connection.clone()) }
}

/// An audience of these connections before a board, and no collection.
fn audience(board: &mut Board, connections: Vec<Connection>) -> Audience {
    let mut audience = Audience::default();
    audience.replace(connections, board, &HashSet::new());
    audience
}

fn due(audience: &mut Audience, board: &Board, now: Timestamp) -> Vec<Parcel> {
    audience.parcels(board, &Rosters::new(), false, now)
}

#[test]
fn a_view_goes_once_to_everyone_who_watches() {
    let mut board = Board::new(Duration::from_secs(1));
    refresh(&mut board, "campaign:c", 1);
    let watching = ["a", "b"].map(|id| connection(id, &[("campaign:c", "")]));
    let mut audience = audience(&mut board, watching.into());
    let parcels = due(&mut audience, &board, T0);
    assert_eq!(parcels.len(), 2);
    let bytes = |parcel: &Parcel| match &parcel.messages[0] {
        Message::View(view) => view.message.as_ptr(),
        Message::Notice(_) => panic!("a notice where nothing happened"),
    };
    assert_eq!(bytes(&parcels[0]), bytes(&parcels[1]), "serialised once");
    for parcel in &parcels {
        audience.note(arrived(parcel), T0);
    }
    assert!(due(&mut audience, &board, T0).is_empty());
    refresh(&mut board, "campaign:c", 2);
    assert_eq!(due(&mut audience, &board, T0).len(), 2);
}

#[test]
fn a_busy_connection_gets_the_newest_view_when_it_is_free_and_nothing_in_between() {
    let mut board = Board::new(Duration::from_secs(1));
    refresh(&mut board, "campaign:c", 1);
    let mut audience = audience(&mut board, vec![connection("a", &[("campaign:c", "")])]);
    let first = due(&mut audience, &board, T0);
    for calls in 2..=5 {
        refresh(&mut board, "campaign:c", calls);
        assert!(due(&mut audience, &board, T0).is_empty());
    }
    audience.note(arrived(&first[0]), T0);
    let next = due(&mut audience, &board, T0);
    let views: Vec<_> = next[0].messages.iter().filter(|message| matches!(message, Message::View(..))).collect();
    let [Message::View(view)] = views[..] else { panic!("not one view: {views:?}") };
    assert!(std::str::from_utf8(&view.message).unwrap().contains(r#""answered":5"#));
}

#[test]
fn the_view_that_answered_a_subscription_is_not_sent_again() {
    let mut board = Board::new(Duration::from_secs(1));
    let place = refresh(&mut board, "campaign:c", 1);
    let told = format!("{:x}", board.poster(place).fingerprint().unwrap());
    let mut audience = audience(&mut board, vec![connection("a", &[("campaign:c", &told)])]);
    assert!(due(&mut audience, &board, T0).is_empty());
    refresh(&mut board, "campaign:c", 2);
    assert_eq!(due(&mut audience, &board, T0).len(), 1);
}

#[test]
fn a_failed_post_is_made_good_after_a_while_and_a_gone_connection_is_deleted() {
    let mut board = Board::new(Duration::from_secs(1));
    refresh(&mut board, "campaign:c", 1);
    let mut audience = audience(&mut board, vec![connection("a", &[("campaign:c", "")])]);
    let failed = |end| Receipt { end: Err(end), ..Receipt::to("a".to_owned()) };
    due(&mut audience, &board, T0);
    assert!(!audience.note(failed(PostError::Limited), T0));
    assert!(due(&mut audience, &board, T0).is_empty(), "left alone for now");
    assert_eq!(due(&mut audience, &board, at(500)).len(), 1);

    assert!(!audience.note(failed(PostError::Gone), at(600)), "the handshake may not be over yet");
    assert_eq!(due(&mut audience, &board, at(700)).len(), 1);
    assert!(audience.note(failed(PostError::Gone), at(10_001)));
    assert!(audience.is_empty());
}

#[test]
fn members_of_a_collection_come_at_overviews_and_at_once_to_who_is_new() {
    let mut board = Board::new(Duration::from_secs(1));
    let place = refresh(&mut board, "campaign:c", 1);
    let mut rosters = Rosters::new();
    rosters.entry((TenantId::parse("acme").unwrap(), Kind::Campaign)).or_default().replace(vec![place], T0);
    let mut audience = audience(&mut board, vec![connection("a", &[("campaigns", ""), ("system", "")])]);
    let first = audience.parcels(&board, &rosters, false, T0);
    assert_eq!(first.len(), 1, "who is new does not wait");
    audience.note(arrived(&first[0]), T0);
    refresh(&mut board, "campaign:c", 2);
    assert!(audience.parcels(&board, &rosters, false, T0).is_empty());
    assert_eq!(audience.parcels(&board, &rosters, true, T0).len(), 1);
}

#[test]
fn another_tenants_collection_is_not_seen() {
    let mut board = Board::new(Duration::from_secs(1));
    let place = refresh(&mut board, "campaign:c", 1);
    let mut rosters = Rosters::new();
    rosters.entry((TenantId::parse("acme").unwrap(), Kind::Campaign)).or_default().replace(vec![place], T0);
    let mut stranger = connection("a", &[("campaigns", ""), ("campaign:c", "")]);
    stranger.principal.tenant = TenantId::parse("other").unwrap();
    let mut audience = audience(&mut board, vec![stranger]);
    assert!(audience.parcels(&board, &rosters, true, T0).is_empty());
}

#[test]
fn notices_go_to_who_named_the_campaign_and_wait_while_it_is_busy() {
    let mut board = Board::new(Duration::from_secs(1));
    refresh(&mut board, "campaign:c", 1);
    let watching = vec![connection("a", &[("campaign:c", "")]), connection("b", &[("campaigns", "")])];
    let mut audience = audience(&mut board, watching);
    let first = due(&mut audience, &board, T0);
    assert!(first.iter().all(|parcel| parcel.connection == "a"));
    refresh(&mut board, "campaign:c", 3);
    assert!(due(&mut audience, &board, T0).is_empty());
    board.clear_notices();
    audience.note(arrived(&first[0]), T0);
    let next = due(&mut audience, &board, T0);
    assert_eq!(next.len(), 1, "call events are not for those who watch all campaigns");
    let types: Vec<_> = next[0].messages.iter().map(|message| matches!(message, Message::View(..))).collect();
    assert_eq!(types, [false, false, true], "two calls, then the view");
}

#[test]
fn a_successor_repeats_nothing_to_those_who_have_got_it() {
    let mut board = Board::new(Duration::from_secs(1));
    refresh(&mut board, "campaign:c", 1);
    let watching = || vec![connection("a", &[("campaign:c", "")]), connection("b", &[("campaign:c", "")])];
    let mut predecessor = audience(&mut board, watching());
    for parcel in due(&mut predecessor, &board, T0) {
        if parcel.connection == "a" {
            predecessor.note(arrived(&parcel), T0);
        }
    }
    let up_to_date = predecessor.up_to_date(&board, &Rosters::new());

    let mut next_board = Board::new(Duration::from_secs(1));
    board.baselines(&HashSet::new(), T0).for_each(|baseline| next_board.restore(baseline));
    let mut successor = Audience::default();
    successor.replace(watching(), &mut next_board, &up_to_date);
    refresh(&mut next_board, "campaign:c", 1);
    let parcels = due(&mut successor, &next_board, T0);
    assert_eq!(parcels.iter().map(|parcel| parcel.connection.as_str()).collect::<Vec<_>>(), ["b"]);
}

#[test]
fn a_notice_that_did_not_arrive_is_told_when_the_connection_is_free_again() {
    let mut board = Board::new(Duration::from_secs(1));
    refresh(&mut board, "campaign:c", 1);
    let mut audience = audience(&mut board, vec![connection("a", &[("campaign:c", "")])]);
    let first = due(&mut audience, &board, T0);
    audience.note(arrived(&first[0]), T0);
    refresh(&mut board, "campaign:c", 2);
    let parcel = due(&mut audience, &board, T0).remove(0);
    let unsent = parcel.messages.iter().filter_map(|message| match message {
        Message::Notice(notice) => Some(notice.clone()),
        Message::View(..) => None,
    });
    let receipt =
        Receipt { unsent: unsent.collect(), end: Err(PostError::Limited), ..Receipt::to(parcel.connection.clone()) };
    audience.note(receipt, T0);
    board.clear_notices();
    assert_eq!(due(&mut audience, &board, at(500))[0].messages, parcel.messages);
}

#[test]
fn a_collection_that_is_watched_again_is_shown_again() {
    let mut board = Board::new(Duration::from_secs(1));
    let place = refresh(&mut board, "campaign:c", 1);
    let mut rosters = Rosters::new();
    rosters.entry((TenantId::parse("acme").unwrap(), Kind::Campaign)).or_default().replace(vec![place], T0);
    let mut audience = audience(&mut board, vec![connection("a", &[("campaigns", "")])]);
    let first = audience.parcels(&board, &rosters, true, T0);
    audience.note(arrived(&first[0]), T0);
    audience.replace(vec![connection("a", &[("event:e", "")])], &mut board, &HashSet::new());
    assert!(audience.parcels(&board, &rosters, true, T0).is_empty());
    audience.replace(vec![connection("a", &[("event:e", ""), ("campaigns", "")])], &mut board, &HashSet::new());
    assert_eq!(audience.parcels(&board, &rosters, false, T0).len(), 1);
}

#[test]
fn subscriptions_are_part_of_who_somebody_is() {
    let once = connection("a", &[("campaign:c", "1f")]);
    let again = connection("a", &[("campaign:c", "2f")]);
    assert_ne!(published::fingerprint(&once), published::fingerprint(&again));
}
