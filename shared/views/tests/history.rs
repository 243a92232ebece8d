//! What came in each step of a span, over several slices.

#![allow(clippy::unwrap_used, reason = "tests fail by panicking")]

use std::time::Duration;

use projections::{Record, TenantId, Timestamp, topic};
use serde_json::Value;
use store::{Committer, Entry, Resolution, SliceId, SliceKey};
use testing::TestTable;
use views::{Reader, Span};

const TOPIC: &str = "campaign.events.v1";

fn acme() -> TenantId {
    TenantId::parse("acme").unwrap()
}

fn at(minutes: i64) -> Timestamp {
    let start: Timestamp = "2026-01-15T10:00:00Z".parse().unwrap();
    Timestamp::from_millis(start.as_millis() + minutes * 60_000)
}

/// A call of a campaign that happened in a minute.
fn event(offset: i64, minute: i64, event_type: &str) -> Entry {
    let value = format!(r#"{{"eventType":"{event_type}","campaignId":"c","callId":"k"}}"#);
    let tenant = acme();
    let record = Record { topic: TOPIC, timestamp: at(minute), default_tenant: Some(&tenant), value: value.as_bytes() };
    Entry { offset, at: at(minute), event: topic::decode(&record).unwrap().remove(0).event }
}

async fn commit(table: &TestTable, partition: i32, entries: &[Entry], now: Timestamp) {
    let slice = SliceId { epoch: 1, topic: TOPIC.into(), partition };
    let key = SliceKey { tenant: acme(), channel: "campaign:c".parse().unwrap(), slice };
    Committer::new(table.channels(None)).commit(&key, entries, now).await.unwrap();
}

fn span(resolution: Resolution, length: i64, from: i64, to: i64) -> Span {
    let edges = (from..=to).step_by(usize::try_from(length).unwrap()).map(at).collect();
    Span { step: "step", resolution, edges }
}

/// Minute, attempts and calls going on of each point.
async fn points(table: &TestTable, span: &Span, now: Timestamp) -> Vec<(i64, u64, Option<u64>)> {
    let reader = Reader::new(table.channels(None), table.leases(), 1);
    let history = reader.history(&acme(), &"campaign:c".parse().unwrap(), span, now).await.unwrap();
    assert!(history.is_known);
    let body: Value = serde_json::from_str(history.data.get()).unwrap();
    let point = |point: &Value| {
        let at: Timestamp = point["at"].as_str().unwrap().parse().unwrap();
        let minute = (at.as_millis() - self::at(0).as_millis()) / 60_000;
        (minute, point["values"]["totalAttempts"].as_u64().unwrap(), point["values"]["activeCalls"].as_u64())
    };
    body["points"].as_array().unwrap().iter().map(point).collect()
}

#[tokio::test]
async fn counters_are_what_came_in_a_step_and_gauges_as_they_stood_at_its_end() {
    let table = TestTable::create().await;
    let calls = [event(0, 1, "call_initiated"), event(1, 1, "call_initiated"), event(2, 4, "call_ended")];
    commit(&table, 0, &calls, at(6)).await;
    commit(&table, 1, &[event(0, 2, "call_initiated")], at(6)).await;
    let minutes = span(Resolution::Minute, 1, 0, 8);
    let expected =
        [(1, 2, Some(2)), (2, 1, Some(3)), (3, 0, Some(3)), (4, 0, Some(2)), (5, 0, Some(2)), (6, 0, Some(2))];
    assert_eq!(points(&table, &minutes, at(6)).await, expected, "from the first record until now");
    let later = span(Resolution::Minute, 1, 3, 5);
    assert_eq!(points(&table, &later, at(6)).await, expected[2..4], "gauges stand as before the span");
}

#[tokio::test]
async fn a_late_record_counts_in_its_own_step_and_does_not_say_how_things_stood() {
    let table = TestTable::create().await;
    commit(&table, 0, &[event(0, 0, "call_initiated"), event(1, 70, "call_initiated")], at(70)).await;
    // An hour late, by a container that knows nothing of what came before.
    commit(&table, 0, &[event(2, 1, "call_initiated"), event(3, 0, "call_initiated")], at(71)).await;
    let minutes = span(Resolution::Minute, 1, 0, 3);
    assert_eq!(points(&table, &minutes, at(71)).await, [(0, 2, Some(1)), (1, 1, Some(1)), (2, 0, Some(1))]);
    let hours = span(Resolution::Hour, 60, 0, 120);
    assert_eq!(points(&table, &hours, at(71)).await, [(0, 3, Some(1)), (60, 1, Some(2))]);
}

#[tokio::test]
async fn days_begin_at_a_quarter_of_an_hour_and_what_they_count_adds_up() {
    let table = TestTable::create().await;
    let calls: Vec<Entry> = (0..300).map(|n| event(n, n, "call_initiated")).collect();
    commit(&table, 0, &calls, at(300)).await;
    // As a day does in Kathmandu.
    let days = Span { step: "day", resolution: Resolution::Hour, edges: vec![at(-1_200), at(75), at(1_515)] };
    let counted: Vec<_> = points(&table, &days, at(300)).await.iter().map(|point| point.1).collect();
    assert_eq!(counted, [75, 225]);
}

#[tokio::test]
async fn every_step_of_a_channel_that_was_never_heard_of_is_missing() {
    let table = TestTable::create().await;
    let reader = Reader::new(table.channels(Some(Duration::from_hours(24))), table.leases(), 1);
    let span = span(Resolution::Minute, 1, 0, 3);
    let history = reader.history(&acme(), &"campaign:c".parse().unwrap(), &span, at(3)).await.unwrap();
    assert!(!history.is_known);
}
