//! What a batch leaves in the journal of channels, so that publishers learn of it.
#![expect(clippy::unwrap_used, reason = "clippy knows tests only by their attribute")]
#![allow(dead_code, reason = "of the storage in memory other tests use more")]

mod memory;

use base64::{Engine, engine::general_purpose::STANDARD};
use ingest::{
    batch::Reading,
    intake::{Intake, IntakeError, Taken},
};
use memory::Memory;
use projections::{Offset, TenantId, Timestamp};
use serde_json::{Value, json};
use store::{ListingChange, Moved};

const TOPIC: &str = "campaign.events.v1";

fn now() -> Timestamp {
    Timestamp::from_millis(1_768_473_000_000)
}

fn intake(memory: &Memory) -> Intake<Memory> {
    Intake::new(memory.clone(), Reading { default_tenant: TenantId::parse("acme").ok(), epoch: 1 })
}

/// A call of a campaign, made a millisecond later for each offset.
fn call(offset: Offset, campaign: &str) -> Value {
    let value = format!(r#"{{"eventType":"call_queued","campaignId":"{campaign}","callId":"k{offset}"}}"#);
    json!({
        "topic": TOPIC, "partition": 0, "offset": offset, "timestamp": now().as_millis() - 1_000 + offset,
        "timestampType": "CREATE_TIME", "value": STANDARD.encode(value), "headers": [],
    })
}

async fn take(intake: &Intake<Memory>, records: &[Value]) -> Result<Taken, IntakeError> {
    intake.take(&json!({ "records": { "campaign.events.v1-0": records } }).to_string(), now).await
}

/// The channels that were entered since the last look, with their watermarks and what the directory says of them.
fn entered(memory: &Memory) -> Vec<(String, Offset, ListingChange)> {
    let mut moved = std::mem::take(&mut memory.state().journal);
    moved.sort_by_key(|moved| moved.channel.to_string());
    moved
        .into_iter()
        .map(|Moved { channel, watermark, listing, .. }| (channel.to_string(), watermark, listing))
        .collect()
}

fn campaign(name: &str, watermark: Offset, listing: ListingChange) -> (String, Offset, ListingChange) {
    (format!("campaign:{name}"), watermark, listing)
}

#[tokio::test]
async fn each_slice_is_entered_with_its_watermark_and_the_newest_of_its_records() {
    let memory = Memory::default();
    let intake = intake(&memory);
    take(&intake, &[call(5, "a"), call(6, "b"), call(9, "a")]).await.unwrap();
    let mut latest: Vec<i64> = memory.state().journal.iter().map(|moved| moved.latest.as_millis()).collect();
    latest.sort_unstable();
    assert_eq!(latest, [6, 9].map(|offset| now().as_millis() - 1_000 + offset));
    let slice = memory.state().journal[0].slice.clone();
    assert_eq!((slice.epoch, slice.topic.as_str(), slice.partition), (1, TOPIC, 0));
    let new = ListingChange::Listing;
    assert_eq!(entered(&memory), [campaign("a", 9, new), campaign("b", 6, new)]);
    take(&intake, &[call(10, "a")]).await.unwrap();
    assert_eq!(entered(&memory), [campaign("a", 10, ListingChange::None)]);
}

#[tokio::test]
async fn a_batch_that_was_seen_already_is_entered_again_for_its_first_container_may_not_have_come_to_it() {
    let memory = Memory::default();
    let batch = [call(5, "a"), call(6, "b")];
    for _ in 0..2 {
        take(&intake(&memory), &batch).await.unwrap();
        assert_eq!(entered(&memory).iter().map(|(_, watermark, _)| *watermark).collect::<Vec<_>>(), [5, 6]);
    }
    let warm = intake(&memory);
    take(&warm, &[call(7, "a")]).await.unwrap();
    entered(&memory);
    let taken = take(&warm, &batch).await.unwrap();
    assert_eq!((taken.applied, taken.seen), (0, 2));
    let watermarks: Vec<_> = entered(&memory).into_iter().map(|(_, watermark, _)| watermark).collect();
    assert_eq!(watermarks, [7, 6], "as it is stored by now");
}

#[tokio::test]
async fn without_its_entry_a_batch_is_not_acknowledged_and_counts_once_when_it_comes_again() {
    let memory = Memory::default();
    let intake = intake(&memory);
    let batch = [call(5, "a"), call(6, "b")];
    memory.state().is_journal_full = true;
    let Err(IntakeError::NotStored { failed, resumptions, .. }) = take(&intake, &batch).await else {
        panic!("it is acknowledged");
    };
    assert_eq!((failed, resumptions.len(), resumptions[0].offset), (2, 1, 5));

    memory.state().is_journal_full = false;
    let again = take(&intake, &batch).await.unwrap();
    assert_eq!((again.applied, again.seen), (0, 2));
    let new = ListingChange::Listing;
    assert_eq!(entered(&memory), [campaign("a", 5, new), campaign("b", 6, new)], "nobody knows of their listing yet");
}

#[tokio::test]
async fn what_is_stored_of_a_batch_is_entered_also_where_the_rest_comes_again() {
    let memory = Memory::default();
    let intake = intake(&memory);
    let batch = [call(5, "a"), call(6, "b"), call(7, "c")];
    memory.state().unwritable = Some("campaign:b".to_owned());
    take(&intake, &batch).await.unwrap_err();
    let new = ListingChange::Listing;
    assert_eq!(entered(&memory), [campaign("a", 5, new), campaign("c", 7, new)]);

    memory.state().unwritable = None;
    take(&intake, &batch[1..]).await.unwrap();
    assert_eq!(entered(&memory), [campaign("b", 6, new), campaign("c", 7, ListingChange::None)]);
}

#[tokio::test]
async fn a_batch_of_which_nothing_counts_enters_nothing() {
    let memory = Memory::default();
    let mut bad = call(5, "a");
    bad["value"] = json!(STANDARD.encode("{"));
    take(&intake(&memory), &[bad]).await.unwrap();
    assert!(entered(&memory).is_empty());
}
