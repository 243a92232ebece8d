use std::collections::{BTreeMap, BTreeSet};

use projections::{Record, Slice, kind, record::Routed};
use rand::SeedableRng as _;

use super::*;

fn start() -> Timestamp {
    Timestamp::from_millis(1_800_000_000_000)
}

fn world(seed: u64) -> World {
    let settings = Settings { tenant: "acme".to_owned(), campaigns: 4, calls_per_second: 8.0, events: 2 };
    World::new(settings, StdRng::seed_from_u64(seed), start())
}

/// What is sent in so many seconds, in steps of a quarter of one, and when it is stopped then.
fn lived(seed: u64, seconds: u64) -> Vec<Outgoing> {
    let mut world = world(seed);
    let mut records = Vec::new();
    for quarter in 0..=seconds * 4 {
        records.extend(world.advance(start().plus(Duration::from_millis(quarter * 250))));
    }
    records.extend(world.wind_down(start().plus(Duration::from_secs(seconds))));
    assert_eq!((world.calls_in_progress(), world.calls_waiting()), (0, 0));
    records
}

fn decoded(record: &Outgoing) -> Routed {
    let timestamp = start().plus(Duration::from_hours(1));
    let value = record.value.as_bytes();
    let record = Record { topic: record.topic, timestamp, default_tenant: None, value };
    projections::topic::decode(&record).unwrap().remove(0)
}

/// The event types of each call, in order.
fn calls(records: &[Outgoing]) -> BTreeMap<String, Vec<String>> {
    let mut calls = BTreeMap::<_, Vec<_>>::new();
    for record in records {
        let value: Value = serde_json::from_str(&record.value).unwrap();
        if let Some(call) = value["callId"].as_str() {
            calls.entry(call.to_owned()).or_default().push(value["eventType"].as_str().unwrap().to_owned());
        }
    }
    calls
}

#[test]
fn every_call_that_is_placed_was_queued_and_ends_once() {
    let calls = calls(&lived(1, 300));
    assert!(calls.len() > 1000);
    for (call, events) in calls {
        let count = |wanted: &str| events.iter().filter(|event| *event == wanted).count();
        assert_eq!(events[0], "call_queued", "{call}");
        assert_eq!(count("call_queued"), 1, "{call}");
        assert!(
            count("call_initiated") <= 1 && count("call_answered") <= count("call_initiated"),
            "{call}: {events:?}"
        );
        assert_eq!(count("call_ended"), count("call_initiated"), "{call}: {events:?}");
        if count("call_initiated") == 1 {
            assert_eq!(
                (events[1].as_str(), events.last().unwrap().as_str()),
                ("call_initiated", "call_ended"),
                "{call}"
            );
        }
    }
}

#[test]
fn every_record_can_be_counted_and_nothing_is_left_going_on() {
    let mut slices = BTreeMap::new();
    for (offset, record) in (0..).zip(lived(2, 200)) {
        let routed = decoded(&record);
        assert_eq!(routed.tenant.as_str(), "acme");
        let slice = slices.entry(routed.channel.clone()).or_insert_with(|| routed.channel.kind().empty_slice());
        slice.fold(offset, routed.at, &routed.event).unwrap();
    }
    let now = start().plus(Duration::from_secs(200));
    let views = slices.iter().map(|(channel, slice): (_, &Slice)| kind::view(channel, [slice], [], now));
    let campaigns = views.filter_map(|view| match view {
        kind::View::Campaign(metrics) => Some(metrics),
        _ => None,
    });
    let mut seen = 0;
    for metrics in campaigns {
        seen += 1;
        assert_eq!((metrics.active_calls, metrics.queue_depth), (0, 0), "{}", metrics.campaign_id);
        assert!(metrics.total_attempts > 0 && metrics.answered > 0 && metrics.total_cost > 0.0);
        assert!(metrics.campaign_name.is_some());
    }
    assert_eq!(seen, 4);
}

#[test]
fn all_kinds_of_records_are_sent() {
    let records = lived(3, 600);
    let mut types = BTreeSet::new();
    for record in &records {
        let value: Value = serde_json::from_str(&record.value).unwrap();
        types.extend(
            ["eventType", "type", "nodeId"].iter().filter_map(|field| Some(value[*field].as_str()?.to_owned())),
        );
    }
    let expected = [
        "CHECK_IN_PROCESSED",
        "MESSAGE_SENT",
        "POLL_VOTE_CAST",
        "QUESTION_ASKED",
        "QUESTION_UPVOTED",
        "REACTION_SENT",
        "action_triggered",
        "call_answered",
        "call_ended",
        "call_initiated",
        "call_queued",
        "campaign_status_changed",
        "dialer-1",
        "dialer-2",
        "dialer-3",
        "dtmf_pressed",
        "queue_sampled",
    ];
    assert_eq!(types.iter().map(String::as_str).collect::<Vec<_>>(), expected);
    assert!(records.iter().any(|record| record.value.contains("\"paused\"")));
}

#[test]
fn calls_come_at_about_the_rate_that_was_asked_for() {
    let placed = lived(4, 600).iter().filter(|record| record.value.contains("call_initiated")).count();
    // 8 a second for 600 s; in pauses of all campaigns none come, and the last in the queue are never placed.
    assert!((4_300..5_200).contains(&placed), "{placed} calls");
}

#[test]
fn phone_numbers_are_fictional() {
    for record in lived(5, 60) {
        let value: Value = serde_json::from_str(&record.value).unwrap();
        if let Some(number) = value["phoneNumber"].as_str() {
            assert!(number.len() == 12 && number.starts_with("+120255501"), "{number}");
        }
    }
}

#[test]
fn the_same_seed_tells_the_same_story() {
    assert_eq!(lived(6, 60), lived(6, 60));
    assert_ne!(lived(6, 60), lived(7, 60));
}
