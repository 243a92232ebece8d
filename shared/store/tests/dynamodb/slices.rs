use std::{
    sync::atomic::{AtomicUsize, Ordering},
    time::Duration,
};

use aws_sdk_dynamodb::types::AttributeValue;
use futures_util::future::try_join_all;
use projections::{Event, Kind, Offset, Record, Slice, Timestamp, history::Chunk, live_event, topic};
use store::{
    Channels, CommitError, Committer, Consistency, Entry, MAX_WARM_SLICES, SliceId, SliceKey, SliceTable, StoreError,
    StoredWindow, WindowId, WriteError,
};
use testing::TestTable;

use crate::{acme, after, channel, now};

const TOPIC: &str = "platform.analytics.events.v1";
const PK: &str = "acme#event:e";
const SK: &str = "slice#1#platform.analytics.events.v1#0";

fn key() -> SliceKey {
    key_of("event:e", TOPIC, 1, 0)
}

fn key_of(name: &str, topic: &str, epoch: u32, partition: i32) -> SliceKey {
    SliceKey { tenant: acme(), channel: channel(name), slice: SliceId { epoch, topic: topic.into(), partition } }
}

fn messages(offsets: impl IntoIterator<Item = Offset>) -> Vec<Entry> {
    let event = Event::LiveEvent(live_event::Event::MessageSent);
    offsets.into_iter().map(|offset| Entry { offset, at: now(), event: event.clone() }).collect()
}

/// A slice that has counted these.
fn slice(offsets: impl IntoIterator<Item = Offset>) -> Slice {
    let mut slice = Kind::LiveEvent.empty_slice();
    for entry in messages(offsets) {
        slice.fold(entry.offset, entry.at, &entry.event).unwrap();
    }
    slice
}

fn json(slice: &Slice) -> serde_json::Value {
    serde_json::to_value(slice).unwrap()
}

/// A record decoded as ingest does it.
fn entry(topic: &str, offset: Offset, value: &str) -> Entry {
    let tenant = acme();
    let record = Record { topic, timestamp: now(), default_tenant: Some(&tenant), value: value.as_bytes() };
    let routed = topic::decode(&record).unwrap().remove(0);
    Entry { offset, at: routed.at, event: routed.event }
}

/// The table of channels, counting what it is asked.
struct Counted {
    channels: Channels,
    reads: AtomicUsize,
    writes: AtomicUsize,
}

impl Counted {
    fn new(channels: Channels) -> Self {
        Self { channels, reads: AtomicUsize::new(0), writes: AtomicUsize::new(0) }
    }

    fn requests(&self) -> (usize, usize) {
        (self.reads.swap(0, Ordering::Relaxed), self.writes.swap(0, Ordering::Relaxed))
    }
}

impl SliceTable for Counted {
    async fn read(&self, key: &SliceKey, now: Timestamp) -> Result<Option<Slice>, StoreError> {
        self.reads.fetch_add(1, Ordering::Relaxed);
        self.channels.read(key, now).await
    }

    async fn write_if(
        &self,
        key: &SliceKey,
        slice: &Slice,
        expected: Option<Offset>,
        now: Timestamp,
    ) -> Result<(), WriteError> {
        self.writes.fetch_add(1, Ordering::Relaxed);
        self.channels.write_if(key, slice, expected, now).await
    }

    async fn put_chunk(&self, key: &SliceKey, chunk: &Chunk, now: Timestamp) -> Result<(), StoreError> {
        self.writes.fetch_add(1, Ordering::Relaxed);
        self.channels.put_chunk(key, chunk, now).await
    }

    async fn read_window(
        &self,
        key: &SliceKey,
        window: WindowId,
        now: Timestamp,
    ) -> Result<Option<StoredWindow>, StoreError> {
        self.reads.fetch_add(1, Ordering::Relaxed);
        self.channels.read_window(key, window, now).await
    }

    async fn write_window_if(
        &self,
        key: &SliceKey,
        window: WindowId,
        stored: &StoredWindow,
        expected: Option<Offset>,
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        self.writes.fetch_add(1, Ordering::Relaxed);
        self.channels.write_window_if(key, window, stored, expected, now).await
    }
}

#[tokio::test]
async fn a_batch_costs_one_write_per_slice_and_while_warm_no_read() {
    let committer = Committer::new(Counted::new(TestTable::create().await.channels(None)));
    let first = committer.commit(&key(), &messages(0..1_000), now()).await.unwrap();
    assert_eq!((first.applied, first.was_warm, committer.table().requests()), (1_000, false, (1, 1)));
    let next = committer.commit(&key(), &messages(1_000..2_000), now()).await.unwrap();
    assert_eq!((next.applied, next.was_warm, committer.table().requests()), (1_000, true, (0, 1)));
}

#[tokio::test]
async fn a_batch_that_comes_again_costs_nothing_and_changes_nothing() {
    let committer = Committer::new(Counted::new(TestTable::create().await.channels(None)));
    committer.commit(&key(), &messages(0..10), now()).await.unwrap();
    committer.table().requests();
    let again = committer.commit(&key(), &messages(0..10), now()).await.unwrap();
    assert_eq!((again.applied, again.seen, again.watermark), (0, 10, Some(9)));
    assert_eq!(committer.table().requests(), (0, 0));
}

#[tokio::test]
async fn a_writer_that_came_second_continues_from_what_the_first_has_stored() {
    let channels = TestTable::create().await.channels(None);
    let (zombie, new) = (Committer::new(Counted::new(channels.clone())), Committer::new(channels.clone()));
    zombie.commit(&key(), &messages(0..5), now()).await.unwrap();
    new.commit(&key(), &messages(0..8), now()).await.unwrap();
    zombie.table().requests();

    let done = zombie.commit(&key(), &messages(5..12), now()).await.unwrap();
    assert_eq!((done.applied, done.seen, done.conflicts), (4, 3, 1));
    assert_eq!(zombie.table().requests(), (0, 2), "the conflict brings the stored slice along");
    assert_eq!(json(&channels.read(&key(), now()).await.unwrap().unwrap()), json(&slice(0..12)));
}

#[tokio::test]
async fn writers_at_once_count_every_record_once() {
    let channels = TestTable::create().await.channels(None);
    let writers: Vec<_> = (0..4).map(|_| Committer::new(channels.clone())).collect();
    let batches = [messages(0..10), messages(0..20), messages(0..30), messages(0..40)];
    let keyed = key();
    try_join_all(writers.iter().zip(&batches).map(|(writer, batch)| writer.commit(&keyed, batch, now())))
        .await
        .unwrap();
    assert_eq!(json(&channels.read(&keyed, now()).await.unwrap().unwrap()), json(&slice(0..40)));
}

#[tokio::test]
async fn a_batch_commits_its_slices_concurrently() {
    let channels = TestTable::create().await.channels(None);
    let committer = Committer::new(channels.clone());
    let keys: Vec<_> = (0..20).map(|partition| key_of("event:e", TOPIC, 1, partition)).collect();
    let batch = messages(0..5);
    try_join_all(keys.iter().map(|key| committer.commit(key, &batch, now()))).await.unwrap();
    let slices = channels.slices(&acme(), &channel("event:e"), Consistency::Strong, now()).await.unwrap();
    assert_eq!(slices.len(), 20);
    assert!(slices.iter().all(|(_, stored)| json(stored) == json(&slice(0..5))));
}

#[tokio::test]
async fn entries_out_of_order_are_not_taken_for_seen() {
    let committer = Committer::new(TestTable::create().await.channels(None));
    let done = committer.commit(&key(), &messages([7, 3, 5]), now()).await.unwrap();
    assert_eq!((done.applied, done.watermark), (3, Some(7)));
}

#[tokio::test]
async fn a_topic_made_again_without_a_new_epoch_is_reported() {
    let committer = Committer::new(TestTable::create().await.channels(None));
    committer.commit(&key(), &messages(50_000..50_010), now()).await.unwrap();
    let mut restarted = messages(0..3);
    for entry in &mut restarted {
        entry.at = after(1);
    }
    let done = committer.commit(&key(), &restarted, after(2)).await.unwrap();
    assert_eq!((done.applied, done.regressed), (0, 3));
}

#[tokio::test]
async fn a_record_of_another_kind_of_channel_is_not_stored() {
    let channels = TestTable::create().await.channels(None);
    let misrouted = entry("dialer.health.v1", 0, r#"{"nodeId":"n","cpuUsage":1,"memoryUsage":1}"#);
    let result = Committer::new(channels.clone()).commit(&key(), &[misrouted], now()).await;
    assert!(matches!(result, Err(CommitError::Misrouted)));
    assert!(channels.read(&key(), now()).await.unwrap().is_none());
}

#[tokio::test]
async fn the_slices_written_last_stay_warm_and_no_more_of_them_than_the_limit() {
    /// A table that takes everything and keeps nothing.
    struct Nowhere;
    impl SliceTable for Nowhere {
        async fn read(&self, _: &SliceKey, _: Timestamp) -> Result<Option<Slice>, StoreError> {
            Ok(None)
        }

        async fn write_if(&self, _: &SliceKey, _: &Slice, _: Option<Offset>, _: Timestamp) -> Result<(), WriteError> {
            Ok(())
        }

        async fn put_chunk(&self, _: &SliceKey, _: &Chunk, _: Timestamp) -> Result<(), StoreError> {
            Ok(())
        }

        async fn read_window(
            &self,
            _: &SliceKey,
            _: WindowId,
            _: Timestamp,
        ) -> Result<Option<StoredWindow>, StoreError> {
            Ok(None)
        }

        async fn write_window_if(
            &self,
            _: &SliceKey,
            _: WindowId,
            _: &StoredWindow,
            _: Option<Offset>,
            _: Timestamp,
        ) -> Result<bool, StoreError> {
            Ok(true)
        }
    }
    let committer = Committer::new(Nowhere);
    let limit = i32::try_from(MAX_WARM_SLICES.get()).unwrap();
    let keyed = |partition| key_of("event:e", TOPIC, 1, partition);
    for partition in 0..=limit {
        committer.commit(&keyed(partition), &messages(0..1), now()).await.unwrap();
    }
    let newest = committer.commit(&keyed(limit), &messages(1..2), now()).await.unwrap();
    let oldest = committer.commit(&keyed(0), &messages(1..2), now()).await.unwrap();
    assert!(newest.was_warm && !oldest.was_warm);
}

#[tokio::test]
async fn a_write_that_expects_another_watermark_gets_the_stored_slice() {
    let channels = TestTable::create().await.channels(None);
    channels.write_if(&key(), &slice(0..3), None, now()).await.unwrap();
    for expected in [None, Some(1), Some(3)] {
        let Err(WriteError::Conflict(Some(stored))) = channels.write_if(&key(), &slice(0..9), expected, now()).await
        else {
            panic!("no conflict for {expected:?}");
        };
        assert_eq!(json(&stored), json(&slice(0..3)));
    }
    channels.write_if(&key(), &slice(0..9), Some(2), now()).await.unwrap();
}

#[tokio::test]
async fn a_slice_that_has_expired_begins_anew() {
    let channels = TestTable::create().await.channels(None);
    let result = channels.write_if(&key(), &slice(0..3), Some(1), now()).await;
    assert!(matches!(result, Err(WriteError::Conflict(None))));

    let table = TestTable::create().await;
    let committer = Committer::new(table.channels(None));
    committer.commit(&key(), &messages(0..3), now()).await.unwrap();
    let request = table.client.delete_item().table_name(&table.name);
    request.key("pk", testing::s(PK)).key("sk", testing::s(SK)).send().await.unwrap();
    let done = committer.commit(&key(), &messages(3..5), now()).await.unwrap();
    assert_eq!((done.applied, done.watermark, done.conflicts), (2, Some(4), 1));
}

#[tokio::test]
async fn every_kind_of_state_reads_back_as_it_was_written() {
    let channels = TestTable::create().await.channels(None);
    let committer = Committer::new(channels.clone());
    let campaign = |offset, fields: &str| {
        entry("campaign.events.v1", offset, &format!(r#"{{"campaignId":"c","callId":"k{offset}",{fields}}}"#))
    };
    let kinds = [
        (
            "campaign:c",
            "campaign.events.v1",
            vec![
                campaign(0, r#""eventType":"call_initiated""#),
                campaign(
                    1,
                    r#""eventType":"call_ended","status":"busy","outcome":"converted","duration":41.57,"cost":0.1"#,
                ),
                campaign(2, r#""eventType":"campaign_status_changed","status":"active","name":"Früh jahr \" 🎉""#),
                campaign(9, r#""eventType":"queue_sampled","queueDepth":230"#),
                campaign(10, r#""eventType":"campaign_status_changed","status":"paused""#),
            ],
        ),
        (
            "event:e",
            TOPIC,
            vec![
                entry(TOPIC, 4, r#"{"type":"MESSAGE_SENT","eventId":"e"}"#),
                entry(TOPIC, 5, r#"{"type":"CHECK_IN_PROCESSED","eventId":"e","checkInData":{"id":"u","name":""}}"#),
            ],
        ),
        (
            "system",
            "dialer.health.v1",
            vec![entry(
                "dialer.health.v1",
                0,
                r#"{"nodeId":"n","cpuUsage":12.345,"memoryUsage":99.9,"activeCalls":3}"#,
            )],
        ),
    ];
    for (name, topic, entries) in kinds {
        let key = key_of(name, topic, 1, 0);
        committer.commit(&key, &entries, now()).await.unwrap();
        let mut folded = key.channel.kind().empty_slice();
        for entry in &entries {
            folded.fold(entry.offset, entry.at, &entry.event).unwrap();
        }
        folded.cut(None);
        assert_eq!(json(&channels.read(&key, now()).await.unwrap().unwrap()), json(&folded), "{name}");
    }
}

#[tokio::test]
async fn the_item_can_be_read_in_the_console_and_expires() {
    let table = TestTable::create().await;
    let channels = table.channels(Some(Duration::from_hours(30 * 24)));
    channels.write_if(&key(), &slice(0..3), None, now()).await.unwrap();
    let item = table.item(PK, SK).await.unwrap();
    assert_eq!(item["offset"], AttributeValue::N("2".into()));
    assert_eq!(item["event_time"], AttributeValue::N("4102444800000".into()));
    assert_eq!(item["version"], AttributeValue::N("2".into()));
    assert_eq!(item["state"].as_m().unwrap()["messages"], AttributeValue::N("3".into()));
    // The day of the record and the one after it are in there.
    assert_eq!(table.ttl(PK, SK).await, Some(now().as_seconds() + 32 * 86_400));
}

#[tokio::test]
async fn without_retention_nothing_expires() {
    let table = TestTable::create().await;
    table.channels(None).write_if(&key(), &slice(0..3), None, now()).await.unwrap();
    assert_eq!(table.ttl(PK, SK).await, None);
}

#[tokio::test]
async fn large_states_are_stored_and_read_over_pages() {
    let channels = TestTable::create().await.channels(None);
    let nodes: Vec<Entry> = (0..200)
        .map(|n| {
            let id = format!("{n}-{}", "n".repeat(120));
            let value = format!(r#"{{"nodeId":"{id}","cpuUsage":50.5,"memoryUsage":60.25,"activeCalls":{n}}}"#);
            entry("dialer.health.v1", n, &value)
        })
        .collect();
    // Some 40 KB each, and a page of the database ends after 1 MB.
    let committer = Committer::new(channels.clone());
    for partition in 0..40 {
        let key = key_of("system", "dialer.health.v1", 1, partition);
        committer.commit(&key, &nodes, now()).await.unwrap();
    }
    let slices = channels.slices(&acme(), &channel("system"), Consistency::Strong, now()).await.unwrap();
    assert_eq!(slices.len(), 40);
    assert!(slices.iter().all(|(_, slice)| json(slice)["state"].as_object().unwrap().len() == 200));
}

#[tokio::test]
async fn a_channel_is_read_with_the_slices_of_all_partitions_and_epochs() {
    let channels = TestTable::create().await.channels(None);
    let committer = Committer::new(channels.clone());
    for (epoch, partition) in [(1, 0), (1, 1), (2, 0)] {
        let key = key_of("event:e", TOPIC, epoch, partition);
        committer.commit(&key, &messages(0..4), now()).await.unwrap();
    }
    committer.commit(&key_of("event:e2", TOPIC, 1, 0), &messages(0..4), now()).await.unwrap();
    let slices = channels.slices(&acme(), &channel("event:e"), Consistency::Eventual, now()).await.unwrap();
    let ids: Vec<_> = slices.iter().map(|(id, _)| id.name()).collect();
    assert_eq!(
        ids,
        ["1/platform.analytics.events.v1/0", "1/platform.analytics.events.v1/1", "2/platform.analytics.events.v1/0"]
    );
    assert!(slices.iter().all(|(_, slice)| slice.watermark() == Some(3)));
    let other = projections::TenantId::parse("other").unwrap();
    assert!(channels.slices(&other, &channel("event:e"), Consistency::Strong, now()).await.unwrap().is_empty());
}

#[tokio::test]
async fn a_state_of_a_newer_version_is_neither_read_nor_overwritten() {
    let table = TestTable::create().await;
    let channels = table.channels(None);
    let warm = Committer::new(channels.clone());
    warm.commit(&key(), &messages(0..3), now()).await.unwrap();
    table.set(PK, SK, "version", AttributeValue::N("3".into())).await;
    table.set(PK, SK, "offset", AttributeValue::N("5".into())).await;

    let is_corrupt = |error: &StoreError| matches!(error, StoreError::Corrupt { key, .. } if key.contains(SK));
    assert!(is_corrupt(&channels.slices(&acme(), &channel("event:e"), Consistency::Strong, now()).await.unwrap_err()));
    for committer in [warm, Committer::new(channels)] {
        let Err(CommitError::Store(error)) = committer.commit(&key(), &messages(3..9), now()).await else {
            panic!("a newer state was written over");
        };
        assert!(is_corrupt(&error));
    }
    assert_eq!(table.item(PK, SK).await.unwrap()["offset"], AttributeValue::N("5".into()));
}

#[tokio::test]
async fn an_item_that_cannot_be_read_is_named_but_not_quoted() {
    let table = TestTable::create().await;
    let channels = table.channels(None);
    channels.write_if(&key(), &slice(0..3), None, now()).await.unwrap();
    table.set(PK, SK, "event_time", AttributeValue::S("+15550100".into())).await;
    let error = channels.read(&key(), now()).await.unwrap_err();
    assert_eq!(error.to_string(), format!("the item {PK} / {SK} cannot be read: not of its form"));
}

#[tokio::test]
async fn a_table_that_does_not_answer_is_told_from_one_that_refuses() {
    let table = TestTable::create().await;
    let channels = table.channels(None);
    channels.ping().await.unwrap();

    let missing = Channels::new(table.client.clone(), "no-such-table".into(), None);
    assert_eq!(missing.ping().await, Err(StoreError::Refused("ResourceNotFoundException".into())));

    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    drop(listener);
    let dead = Channels::new(testing::client(&url), table.name.clone(), None);
    assert!(matches!(dead.ping().await, Err(StoreError::Unavailable(_))));
    let result = Committer::new(dead).commit(&key(), &messages(0..3), now()).await;
    assert!(matches!(result, Err(CommitError::Store(StoreError::Unavailable(_)))));
}
