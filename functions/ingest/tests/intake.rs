//! Batches into storage that may fail: what is counted, what is quarantined, and when a batch is acknowledged.
#![expect(clippy::unwrap_used, reason = "clippy knows tests only by their attribute")]

mod memory;

use std::fmt::Write as _;

use base64::{Engine, engine::general_purpose::STANDARD};
use ingest::{
    batch::Reading,
    intake::{Intake, IntakeError, Resumption, Taken},
};
use memory::{Fault, Memory};
use projections::{ChannelId, Id, Kind, Offset, Slice, TenantId, Timestamp, kind};
use proptest::prelude::*;
use serde_json::{Value, json};

const TOPIC: &str = "campaign.events.v1";

fn now() -> Timestamp {
    Timestamp::from_millis(1_768_473_000_000)
}

fn acme() -> TenantId {
    TenantId::parse("acme").unwrap()
}

fn intake(memory: &Memory) -> Intake<Memory> {
    Intake::new(memory.clone(), Reading { default_tenant: Some(acme()), epoch: 1 })
}

/// A record as the mapping sends it.
fn record(partition: i32, offset: Offset, value: &[u8]) -> Value {
    json!({
        "topic": TOPIC, "partition": partition, "offset": offset, "timestamp": now().as_millis(),
        "timestampType": "CREATE_TIME", "key": "aw==", "value": STANDARD.encode(value), "headers": [],
    })
}

fn call(partition: i32, offset: Offset, campaign: &str, event: &str) -> Value {
    let value = format!(r#"{{"eventType":"{event}","campaignId":"{campaign}","callId":"k{offset}"}}"#);
    record(partition, offset, value.as_bytes())
}

fn msk_event(records: &[Value]) -> String {
    let mut partitions = serde_json::Map::new();
    for record in records {
        let partition = partitions.entry(format!("{TOPIC}-{}", record["partition"])).or_insert(json!([]));
        partition.as_array_mut().unwrap().push(record.clone());
    }
    json!({ "eventSource": "aws:kafka", "records": partitions }).to_string()
}

/// So many records, of which nothing has become yet.
fn taken_of(records: usize) -> Taken {
    Taken { topic: Some(TOPIC.to_owned()), records, oldest: Some(now()), ..Taken::default() }
}

async fn take(intake: &Intake<Memory>, records: &[Value]) -> Result<Taken, IntakeError> {
    intake.take(&msk_event(records), now).await
}

/// A campaign as clients see it.
fn seen(memory: &Memory, campaign: &str) -> Value {
    let channel = ChannelId::campaign(Id::parse(campaign).unwrap());
    let state = memory.state();
    let slices: Vec<&Slice> = state.slices.iter().filter(|(key, _)| key.channel == channel).map(|(_, s)| s).collect();
    serde_json::to_value(kind::view(&channel, slices, [], now())).unwrap()
}

#[tokio::test]
async fn the_records_of_every_topic_are_counted() {
    let memory = Memory::default();
    let intake = intake(&memory);
    for event in [
        include_str!("../../../events/msk-campaign-events.json"),
        include_str!("../../../events/msk-check-ins.json"),
        include_str!("../../../events/msk-event-activity.json"),
        include_str!("../../../events/msk-node-health.json"),
    ] {
        let records = event.matches("\"offset\"").count();
        let taken = intake.take(event, now).await.unwrap();
        assert_eq!((taken.applied, taken.quarantined), (records, 0));
    }
    let campaign = seen(&memory, "c-17");
    let counts =
        ["totalAttempts", "answered", "converted", "queueDepth"].map(|field| campaign[field].as_u64().unwrap());
    assert_eq!((&campaign["campaignName"], counts), (&json!("Spring appeal"), [1, 1, 1, 230]));
    assert_eq!(memory.state().notes.len(), 4, "one for each topic");
}

#[tokio::test]
async fn records_as_other_producers_write_them_are_counted() {
    let memory = Memory::default();
    let event = include_str!("../../../events/msk-campaign-events-other-forms.json");
    let taken = intake(&memory).take(event, || now().plus(std::time::Duration::from_secs(1))).await.unwrap();
    assert_eq!((taken.applied, taken.quarantined, taken.unknown_words), (4, 0, 0));
    let campaign = seen(&memory, "456");
    for (field, value) in [
        ("totalAttempts", json!(1)),
        ("answered", json!(1)),
        ("optOuts", json!(1)),
        ("averageCallDuration", json!(41.5)),
        ("queueDepth", json!(5)),
        ("activeCalls", json!(3)),
    ] {
        assert_eq!(campaign[field], value, "{field}");
    }
}

#[tokio::test]
async fn real_bad_records_are_quarantined_and_those_around_them_count() {
    let memory = Memory::default();
    let event = include_str!("../../../events/msk-bad-records.json");
    let records = event.matches("\"offset\"").count();
    let taken = intake(&memory).take(event, now).await.unwrap();
    assert_eq!((taken.applied, taken.quarantined + taken.unknown), (2, records - 2));
    assert_eq!((&seen(&memory, "c-17")["totalAttempts"], &seen(&memory, "c-17")["answered"]), (&json!(1), &json!(1)));
    assert!(memory.state().quarantine.values().all(|bad| !bad.reason.contains("555")));
}

#[tokio::test]
async fn partitions_campaigns_and_bad_records_may_be_mixed_in_a_batch() {
    let memory = Memory::default();
    let mut tombstone = record(1, 12, b"");
    tombstone["value"] = Value::Null;
    let mut broken = record(0, 14, b"");
    broken["value"] = json!("%%%");
    let batch = [
        call(0, 10, "a", "call_initiated"),
        call(0, 11, "b", "call_initiated"),
        record(0, 12, b"{"),
        call(0, 13, "a", "call_answered"),
        broken,
        call(1, 10, "a", "call_initiated"),
        record(1, 11, br#"{"eventType":"call_dropped","campaignId":"a","phoneNumber":"+15550100"}"#),
        tombstone,
    ];
    let taken = take(&intake(&memory), &batch).await.unwrap();
    assert_eq!(taken, Taken { slices: 3, applied: 4, quarantined: 3, unknown: 1, gauges_below_zero: 3, ..taken_of(8) });
    assert_eq!((&seen(&memory, "a")["totalAttempts"], &seen(&memory, "a")["answered"]), (&json!(2), &json!(1)));
    assert_eq!(seen(&memory, "b")["totalAttempts"], 1);

    let state = memory.state();
    let kept: Vec<_> =
        state.quarantine.values().map(|bad| (bad.partition, bad.offset, bad.reason.as_str(), &bad.value[..])).collect();
    assert_eq!(kept[0], (0, 12, "not JSON (line 1, column 1)", &b"{"[..]));
    assert_eq!(kept[1], (0, 14, "broken envelope: value is not base64", &b"%%%"[..]));
    assert_eq!((kept[2].1, kept[2].2), (11, "field `eventType` has an event type that is not known"));
    assert_eq!(kept[3], (1, 12, "empty value", &b""[..]));
}

#[tokio::test]
async fn a_record_counts_once_however_often_and_in_whatever_order_it_comes() {
    let memory = Memory::default();
    let intake = intake(&memory);
    let batch = [call(0, 7, "a", "call_queued"), call(0, 5, "a", "call_queued"), call(0, 7, "a", "call_queued")];
    let taken = take(&intake, &batch).await.unwrap();
    assert_eq!((taken.applied, taken.seen), (2, 1));
    let again = take(&intake, &batch).await.unwrap();
    assert_eq!((again.applied, again.seen), (0, 3));
    assert_eq!(seen(&memory, "a")["queueDepth"], 2);
    assert_eq!(memory.state().writes, 1, "nothing new, nothing written");
}

#[tokio::test]
async fn a_warm_container_writes_a_slice_once_a_batch_and_does_not_read_it() {
    let memory = Memory::default();
    let intake = intake(&memory);
    for batch in 0..5 {
        let records: Vec<Value> = (0..20).map(|n| call(0, batch * 20 + n, "a", "call_queued")).collect();
        take(&intake, &records).await.unwrap();
    }
    let state = memory.state();
    assert_eq!((state.reads, state.writes, state.descriptions, state.extensions.len()), (1, 5, 1, 1));
}

#[tokio::test]
async fn a_batch_of_which_one_write_failed_is_not_acknowledged_and_counts_once_when_it_comes_again() {
    // The requests of a batch of two slices and a bad record: for each slice a read, a chunk of history, a write, an
    // extension and a description, and one quarantine.
    let batch = [call(0, 1, "a", "call_initiated"), call(1, 1, "b", "call_initiated"), record(0, 2, b"garbage")];
    for fault in [Fault::Before, Fault::After] {
        for position in 0..11 {
            let memory = Memory::default();
            let intake = intake(&memory);
            let mut faults = vec![None; position];
            faults.push(Some(fault));
            memory.state().faults = faults;
            let error = take(&intake, &batch).await.unwrap_err();
            assert!(matches!(error, IntakeError::NotStored { failed: 1, .. }), "{fault:?} at {position}: {error}");
            take(&intake, &batch).await.unwrap();
            for campaign in ["a", "b"] {
                assert_eq!(seen(&memory, campaign)["totalAttempts"], 1, "{fault:?} at {position}");
            }
            let state = memory.state();
            assert_eq!((state.quarantine.len(), state.directory.len()), (1, 2), "{fault:?} at {position}");
        }
    }
}

#[tokio::test]
async fn a_channel_is_listed_by_the_container_that_takes_over_from_one_killed_before_it_could() {
    let memory = Memory::default();
    let batch = [call(0, 1, "a", "call_queued")];
    // Reading, history and slice succeed, the description does not arrive.
    memory.state().faults = vec![None, None, None, Some(Fault::Before)];
    take(&intake(&memory), &batch).await.unwrap_err();
    assert!(memory.state().directory.is_empty());
    let taken = take(&intake(&memory), &batch).await.unwrap();
    assert_eq!((taken.applied, taken.seen), (0, 1));
    assert_eq!(memory.state().directory.len(), 1);
}

#[tokio::test]
async fn the_directory_hears_of_a_status_at_once() {
    let memory = Memory::default();
    let intake = intake(&memory);
    let status = |offset, status: &str| {
        let value = format!(r#"{{"eventType":"campaign_status_changed","campaignId":"a","status":"{status}"}}"#);
        record(0, offset, value.as_bytes())
    };
    for (offset, word) in [(1, "active"), (2, "paused")] {
        take(&intake, &[status(offset, word)]).await.unwrap();
        let state = memory.state();
        let listing = state.directory[&(acme(), "campaign:a".to_owned())].as_ref().unwrap();
        assert_eq!(listing.status, Some(word));
    }
}

#[tokio::test]
async fn a_topic_that_was_made_again_is_noticed() {
    let memory = Memory::default();
    let intake = intake(&memory);
    let at = |offset, millis: i64| {
        let mut record = call(0, offset, "a", "call_queued");
        record["timestamp"] = json!(millis);
        record
    };
    let before = now().as_millis() - 1;
    take(&intake, &[at(50_000, before - 1)]).await.unwrap();
    let taken = take(&intake, &[at(0, before)]).await.unwrap();
    let oldest = Some(Timestamp::from_millis(before));
    assert_eq!(taken, Taken { slices: 1, regressed: 1, oldest, ..taken_of(1) });
}

#[tokio::test]
async fn when_a_topic_was_last_heard_of_is_noted_but_no_batch_fails_over_it() {
    let memory = Memory::default();
    let intake = intake(&memory);
    take(&intake, &[call(0, 1, "a", "call_queued")]).await.unwrap();
    assert_eq!(memory.state().notes[&(acme(), TOPIC.to_owned())], now());
    let later = now().plus(std::time::Duration::from_secs(2));
    // History, slice and journal succeed, the note does not.
    memory.state().faults = vec![None, None, None, Some(Fault::Before)];
    intake.take(&msk_event(&[call(0, 2, "a", "call_queued")]), || later).await.unwrap();
}

#[tokio::test]
async fn a_channel_is_extended_once_a_day_and_its_batch_comes_again_where_that_fails() {
    let memory = Memory::default();
    let intake = intake(&memory);
    let batch = |offset| msk_event(&[call(0, offset, "a", "call_queued"), call(1, offset, "a", "call_queued")]);
    for hours in [0, 1, 24] {
        intake.take(&batch(hours), || now().plus(std::time::Duration::from_hours(hours.unsigned_abs()))).await.unwrap();
    }
    let extended: Vec<_> = memory.state().extensions.iter().map(|(_, channel, at)| (channel.clone(), *at)).collect();
    let tomorrow = now().plus(std::time::Duration::from_hours(24));
    assert_eq!(extended, [("campaign:a".to_owned(), now()), ("campaign:a".to_owned(), tomorrow)]);

    // Of the first slice write and description succeed, and the extension does not.
    memory.state().faults = vec![None, None, Some(Fault::Before)];
    let later = now().plus(std::time::Duration::from_hours(48));
    intake.take(&batch(50), || later).await.unwrap_err();
    memory.state().faults.clear();
    intake.take(&batch(50), || later).await.unwrap();
    assert_eq!(memory.state().extensions.last().unwrap().2, later);
}

#[tokio::test]
async fn a_flood_of_bad_records_is_one_request_and_the_good_ones_count() {
    let memory = Memory::default();
    let mut batch: Vec<Value> = (0..10_000).map(|offset| record(0, offset, b"{}")).collect();
    batch.push(call(0, 10_000, "a", "call_initiated"));
    let taken = take(&intake(&memory), &batch).await.unwrap();
    assert_eq!(taken, Taken { slices: 1, applied: 1, quarantined: 10_000, gauges_below_zero: 1, ..taken_of(10_001) });
    assert_eq!(seen(&memory, "a")["totalAttempts"], 1);
    assert_eq!(memory.state().quarantines, 1);
}

#[tokio::test]
async fn a_record_of_five_megabytes_is_one_like_any_other() {
    let memory = Memory::default();
    let note = "x".repeat(5_000_000);
    let good = format!(r#"{{"eventType":"call_initiated","campaignId":"a","callId":"k","note":"{note}"}}"#);
    let batch = [
        call(0, 1, "a", "call_initiated"),
        record(0, 2, good.as_bytes()),
        record(0, 3, note.as_bytes()),
        call(0, 4, "a", "call_initiated"),
    ];
    let taken = take(&intake(&memory), &batch).await.unwrap();
    assert_eq!((taken.applied, taken.quarantined), (3, 1));
    assert_eq!(seen(&memory, "a")["totalAttempts"], 3);
    let kept = memory.state().quarantine.values().next().unwrap().clone();
    assert_eq!((kept.offset, kept.length, kept.value.len()), (3, 5_000_000, store::KEPT_BYTES));
}

#[tokio::test]
async fn an_odd_field_of_one_record_is_no_matter_to_the_others() {
    let memory = Memory::default();
    let mut batch: Vec<Value> = (0..6).map(|offset| call(0, offset, "a", "call_initiated")).collect();
    batch[0]["headers"] = json!([null, { "traceparent": null }, { "a": [1, -2] }, { "b": "c" }]);
    batch[1]["headers"] = Value::Null;
    batch[2]["key"] = json!({ "id": 1 });
    batch[3]["timestamp"] = Value::Null;
    batch[4]["offset"] = json!("4");
    batch[5]["value"] = json!(7);
    let taken = take(&intake(&memory), &batch).await.unwrap();
    assert_eq!((taken.applied, taken.quarantined), (5, 1));
    assert_eq!(seen(&memory, "a")["totalAttempts"], 5);
}

#[tokio::test]
async fn only_partitions_that_are_not_stored_have_to_come_again_and_from_their_first_record_that_is_not() {
    let batch = [
        call(0, 10, "a", "call_initiated"),
        call(0, 11, "b", "call_initiated"),
        call(0, 12, "a", "call_initiated"),
        call(1, 5, "a", "call_initiated"),
        record(2, 7, b"{"),
    ];
    let memory = Memory::default();
    memory.state().unwritable = Some("campaign:b".to_owned());
    let Err(IntakeError::NotStored { failed, resumptions, others, .. }) = take(&intake(&memory), &batch).await else {
        panic!("a slice that cannot be written is stored");
    };
    let from = |partition, offset| Resumption { topic: TOPIC.to_owned(), partition, offset };
    assert_eq!((failed, resumptions), (1, vec![from(0, 11)]));
    // What partition 0 has stored by then comes again and will be seen.
    let expected = Taken { slices: 1, applied: 1, quarantined: 1, gauges_below_zero: 1, ..taken_of(2) };
    assert_eq!(others.as_deref(), Some(&expected));

    memory.state().unwritable = None;
    let again = take(&intake(&memory), &batch[1..3]).await.unwrap();
    assert_eq!((again.applied, again.seen), (1, 1));
    assert_eq!((&seen(&memory, "a")["totalAttempts"], &seen(&memory, "b")["totalAttempts"]), (&json!(3), &json!(1)));
}

#[tokio::test]
async fn a_payload_that_is_no_msk_event_is_an_error() {
    let error = intake(&Memory::default()).take(r#"{"Records":[]}"#, now).await.unwrap_err();
    assert!(matches!(error, IntakeError::NotAnEvent(_)));
}

fn fault() -> impl Strategy<Value = Option<Fault>> {
    prop_oneof![6 => Just(None), 1 => Just(Some(Fault::Before)), 1 => Just(Some(Fault::After))]
}

proptest! {
    /// Records of two partitions are delivered as the mapping would: in order, in batches of any size, again from
    /// before the last acknowledged one, to containers that are replaced, over storage that fails.
    #[test]
    fn whatever_fails_the_counts_are_those_of_a_recount(
        calls in prop::collection::vec((0..4_usize, 0..4_usize, 1..3_i64), 1..40),
        deliveries in prop::collection::vec((1..10_usize, 0..4_usize, any::<bool>()), 1..30),
        faults in prop::collection::vec(fault(), 0..60),
    ) {
        let events = ["call_queued", "call_initiated", "call_answered", "call_ended"];
        let mut offset = 0;
        let records: Vec<Value> = calls.iter().map(|(campaign, event, hole)| {
            offset += hole;
            let partition = i32::try_from(campaign % 2).unwrap();
            call(partition, offset, &format!("c{campaign}"), events[*event])
        }).collect();

        let memory = Memory::default();
        memory.state().faults = faults;
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            let mut container = intake(&memory);
            let mut acknowledged = 0;
            let mut deliver = async |from: usize, to: usize, is_new: bool| {
                if is_new {
                    container = intake(&memory);
                }
                take(&container, &records[from..to]).await.is_ok()
            };
            for (length, again, is_new) in deliveries {
                let from = acknowledged - again.min(acknowledged);
                let to = (acknowledged + length).min(records.len());
                if deliver(from, to, is_new).await {
                    acknowledged = to;
                }
            }
            while !deliver(acknowledged, records.len(), false).await {}
        });

        for campaign in 0..4 {
            let mut recount = String::new();
            let mut shown = String::new();
            let view = seen(&memory, &format!("c{campaign}"));
            let of = |event| calls.iter().filter(|(c, e, _)| *c == campaign && *e == event).count();
            write!(recount, "{} {} {}", of(1), of(2), of(0).saturating_sub(of(1))).unwrap();
            write!(shown, "{} {} {}", view["totalAttempts"], view["answered"], view["queueDepth"]).unwrap();
            prop_assert_eq!(shown, recount);
        }
    }
}

#[test]
fn kinds_without_an_id_are_not_listed() {
    // Guards what `Intake` relies on: only channels with an id are ever listed by a collection.
    for kind in Kind::ALL {
        assert!(kind.collection().is_none() || kind.is_keyed());
    }
}
