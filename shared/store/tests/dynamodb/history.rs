//! History and windows of time, as they lie in the table.

use std::time::Duration;

use aws_sdk_dynamodb::types::AttributeValue;
use projections::{
    Event, HistoryEntry, Offset, Record, Slice, Timestamp, campaign::CampaignEntry, topic, window::Minute,
};
use store::{
    Channels, Committer, Consistency, Entry, HistoryRange, Resolution, SliceId, SliceKey, SliceTable, StoreError,
    visible,
};
use testing::TestTable;

use crate::{acme, channel, now};

const TOPIC: &str = "campaign.events.v1";

fn later(seconds: i64) -> Timestamp {
    Timestamp::from_millis(now().as_millis() + seconds * 1000)
}

fn key() -> SliceKey {
    let slice = SliceId { epoch: 1, topic: TOPIC.into(), partition: 0 };
    SliceKey { tenant: acme(), channel: channel("campaign:c"), slice }
}

fn event(fields: &str) -> Event {
    let value = format!(r#"{{"campaignId":"c",{fields}}}"#);
    let tenant = acme();
    let record = Record { topic: TOPIC, timestamp: now(), default_tenant: Some(&tenant), value: value.as_bytes() };
    topic::decode(&record).unwrap().remove(0).event
}

/// A call that was answered, named by its offset.
fn call(offset: Offset) -> Entry {
    call_at(offset, now())
}

fn call_at(offset: Offset, at: Timestamp) -> Entry {
    Entry { offset, at, event: event(&format!(r#""eventType":"call_answered","callId":"k{offset}""#)) }
}

fn calls(offsets: impl IntoIterator<Item = Offset>) -> Vec<Entry> {
    offsets.into_iter().map(call).collect()
}

async fn stored(channels: &Channels) -> Slice {
    channels.read(&key(), now()).await.unwrap().unwrap()
}

/// The offsets of a part of the history, and whether it is whole.
async fn offsets(channels: &Channels, after: Option<Offset>, limit: usize) -> (Vec<Offset>, bool) {
    let range = HistoryRange { through: stored(channels).await.history(), after, limit };
    let history = channels.history(&key(), range, Consistency::Strong, now()).await.unwrap();
    (history.entries.iter().map(HistoryEntry::offset).collect(), history.is_whole)
}

#[tokio::test]
async fn history_is_read_from_the_newest_back_to_what_is_known_or_wanted() {
    let channels = TestTable::create().await.channels(None);
    let committer = Committer::new(channels.clone());
    // More chunks than one query asks for.
    for first in (0..400).step_by(4) {
        committer.commit(&key(), &calls(first..first + 4), now()).await.unwrap();
    }
    assert_eq!(offsets(&channels, None, usize::MAX).await, ((0..400).collect(), true));
    assert_eq!(offsets(&channels, Some(397), usize::MAX).await, (vec![398, 399], true));
    assert_eq!(offsets(&channels, Some(399), usize::MAX).await, (vec![], true));
    assert_eq!(offsets(&channels, None, 3).await, (vec![396, 397, 398, 399], true));
}

#[tokio::test]
async fn a_batch_that_comes_again_adds_nothing_and_what_an_overtaken_writer_left_behind_did_not_happen() {
    let channels = TestTable::create().await.channels(None);
    let overtaken = Committer::new(channels.clone());
    overtaken.commit(&key(), &calls(0..3), now()).await.unwrap();
    let newest = Committer::new(channels.clone());
    newest.commit(&key(), &calls(0..6), now()).await.unwrap();
    // It still takes offset 2 for the last one, and folds these in before it is refused.
    overtaken.commit(&key(), &calls(5..8), now()).await.unwrap();
    newest.commit(&key(), &calls(4..8), now()).await.unwrap();
    assert_eq!(offsets(&channels, None, usize::MAX).await, ((0..8).collect(), true));
    assert_eq!(stored(&channels).await.history().total, 8);
}

#[tokio::test]
async fn history_that_has_expired_is_told_to_be_missing() {
    let table = TestTable::create().await;
    let channels = table.channels(None);
    let committer = Committer::new(channels.clone());
    committer.commit(&key(), &calls(0..3), now()).await.unwrap();
    let week_later = now().plus(Duration::from_hours(7 * 24));
    committer.commit(&key(), &[call_at(3, week_later)], week_later).await.unwrap();
    let range = HistoryRange { through: stored(&channels).await.history(), after: None, limit: usize::MAX };
    let history = channels.history(&key(), range, Consistency::Eventual, week_later).await.unwrap();
    assert_eq!((history.entries.len(), history.is_whole), (1, false));
    let (newest, is_whole) = offsets(&channels, Some(2), usize::MAX).await;
    assert_eq!((newest, is_whole), (vec![3], true), "what is asked for is there");
}

#[tokio::test]
async fn history_is_kept_no_longer_than_the_channel() {
    let table = TestTable::create().await;
    let committer = Committer::new(table.channels(Some(Duration::from_hours(48))));
    committer.commit(&key(), &calls(0..1), now()).await.unwrap();
    let sk = "history#1#campaign.events.v1#0#0000000000000000000#0000000000000000000#";
    assert_eq!(table.ttl("acme#campaign:c", sk).await, Some(now().as_seconds() + 48 * 3600));
}

#[tokio::test]
async fn ten_thousand_records_of_one_campaign_in_one_batch_are_one_slice_and_all_of_history() {
    let channels = TestTable::create().await.channels(None);
    let committed = Committer::new(channels.clone()).commit(&key(), &calls(0..10_000), now()).await.unwrap();
    assert_eq!(committed.applied, 10_000);
    assert_eq!(offsets(&channels, None, usize::MAX).await, ((0..10_000).collect(), true));
}

#[tokio::test]
async fn a_change_of_status_tells_what_was_before_though_it_was_in_another_batch() {
    let channels = TestTable::create().await.channels(None);
    let status = |offset, status: &str| {
        let event = event(&format!(r#""eventType":"campaign_status_changed","status":"{status}""#));
        Entry { offset, at: now(), event }
    };
    Committer::new(channels.clone()).commit(&key(), &[status(0, "active")], now()).await.unwrap();
    Committer::new(channels.clone()).commit(&key(), &[status(1, "paused")], now()).await.unwrap();
    let range = HistoryRange { through: stored(&channels).await.history(), after: Some(0), limit: usize::MAX };
    let history = channels.history(&key(), range, Consistency::Strong, now()).await.unwrap();
    let [HistoryEntry::Campaign(entry)] = &history.entries[..] else { panic!("one entry") };
    assert!(matches!(entry.what, CampaignEntry::StatusChange { previous_status: Some(_), .. }));
}

/// Calls by minute (after the first), as a reader sees them.
async fn by_window(channels: &Channels, resolution: Resolution) -> Vec<(i64, u64)> {
    let slice = stored(channels).await;
    let (from, to) = (now(), later(26 * 3600));
    let items = channels.windows(&key(), resolution, from, to, now()).await.unwrap();
    let seen = visible(resolution, &slice, &items);
    assert!(seen.overtaken.is_empty());
    let answered = |counts: &projections::Counts| counts.values(Duration::from_mins(1))["answered"].as_u64().unwrap();
    seen.counts.iter().map(|(minute, counts)| (minute.0 - Minute::of(now()).0, answered(counts))).collect()
}

#[tokio::test]
async fn an_hour_of_backlog_in_one_batch_is_counted_in_its_minutes_and_quarters() {
    let channels = TestTable::create().await.channels(None);
    let entries: Vec<Entry> = (0..120).map(|n| call_at(n, later(30 * n))).collect();
    Committer::new(channels.clone()).commit(&key(), &entries, later(3600)).await.unwrap();
    let minutes: Vec<_> = (0..60).map(|minute| (minute, 2)).collect();
    assert_eq!(by_window(&channels, Resolution::Minute).await, minutes);
    assert_eq!(by_window(&channels, Resolution::Hour).await, [(0, 30), (15, 30), (30, 30), (45, 30)]);
}

#[tokio::test]
async fn more_minutes_than_a_commit_closes_are_committed_in_parts_and_late_records_are_added() {
    let channels = TestTable::create().await.channels(None);
    let writer = Committer::new(channels.clone());
    // A minute a record, from the last to the first: all but two are late.
    let entries: Vec<Entry> = (0..1_440).map(|n| call_at(n, later((1_439 - n) * 60))).collect();
    let committed = writer.commit(&key(), &entries, later(86_400)).await.unwrap();
    assert_eq!((committed.applied, committed.conflicts), (1_440, 0));
    let minutes: Vec<_> = (0..1_440).map(|minute| (minute, 1)).collect();
    assert_eq!(by_window(&channels, Resolution::Minute).await, minutes);
    assert_eq!(by_window(&channels, Resolution::Hour).await.iter().map(|(_, calls)| calls).sum::<u64>(), 1_440);
    // Once more, by a container that knows nothing.
    let again = Committer::new(channels.clone()).commit(&key(), &entries, later(86_400)).await.unwrap();
    assert_eq!((again.applied, again.seen), (0, 1_440));
    assert_eq!(by_window(&channels, Resolution::Minute).await, minutes);
}

#[tokio::test]
async fn the_newest_window_before_a_time_is_found() {
    let channels = TestTable::create().await.channels(None);
    let entries = [call_at(0, later(0)), call_at(1, later(600)), call_at(2, later(1_200))];
    Committer::new(channels.clone()).commit(&key(), &entries, later(1_200)).await.unwrap();
    let before = async |seconds| {
        let found = channels.window_before(&key(), Resolution::Minute, later(seconds), now()).await.unwrap();
        found.keys().map(|minute| minute.0 - Minute::of(now()).0).collect::<Vec<_>>()
    };
    assert_eq!((before(601).await, before(600).await, before(0).await), (vec![10], vec![0], vec![]));
}

#[tokio::test]
async fn a_campaigns_item_stays_below_one_write_unit() {
    let table = TestTable::create().await;
    let channels = table.channels(Some(Duration::from_hours(30 * 24)));
    let tenant = projections::TenantId::parse("3f2504e0-4f89-11d3-9a0c-0305e82c3301").unwrap();
    let slice = SliceId { epoch: 12, topic: TOPIC.into(), partition: 123 };
    let id = "campaign:9b2d7c1e-5a3f-4c8e-b1d6-2f7a9e0c4d58";
    let key = SliceKey { tenant: tenant.clone(), channel: channel(id), slice };
    let committer = Committer::new(channels.clone());
    // A long life: hundreds of millions of calls, here by their sums.
    let name = "Spring offers for everybody who bought skis last winter (second try)";
    let mut entries = Vec::new();
    let mut add = |seconds: i64, fields: &str| {
        let offset = 9_000_000_000 + i64::try_from(entries.len()).unwrap();
        entries.push(Entry { offset, at: later(seconds), event: event(fields) });
    };
    add(0, &format!(r#""eventType":"campaign_status_changed","status":"completed","name":"{name}""#));
    add(0, r#""eventType":"queue_sampled","queueDepth":4000000,"activeCalls":90000"#);
    for second in 0..240 {
        for _ in 0..9 {
            add(second, r#""eventType":"call_initiated","callId":"k""#);
            add(second, r#""eventType":"call_answered","callId":"k""#);
            add(
                second,
                r#""eventType":"call_ended","callId":"k","status":"busy","outcome":"converted","duration":86400,"cost":900"#,
            );
            add(
                second,
                r#""eventType":"call_ended","callId":"k","status":"failed","outcome":"opted_out","duration":86400,"cost":900"#,
            );
        }
    }
    committer.commit(&key, &entries, later(240)).await.unwrap();
    let pk = format!("{tenant}#{id}");
    let item = table.item(&pk, &key.slice.to_string()).await.unwrap();
    let size: usize = item.iter().map(|(name, value)| name.len() + size_of(value)).sum();
    assert!(size <= 1024, "{size} bytes: {item:?}");
}

/// The size of a value by DynamoDB's rules: <https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/CapacityUnitCalculations.html>.
fn size_of(value: &AttributeValue) -> usize {
    match value {
        AttributeValue::S(text) => text.len(),
        AttributeValue::N(number) => {
            number.trim_matches('-').len().div_ceil(2) + 1 + usize::from(number.starts_with('-'))
        }
        AttributeValue::L(list) => 3 + list.iter().map(|value| 1 + size_of(value)).sum::<usize>(),
        AttributeValue::M(map) => 3 + map.iter().map(|(name, value)| 1 + name.len() + size_of(value)).sum::<usize>(),
        _ => 1,
    }
}

#[tokio::test]
async fn a_chunk_of_a_newer_version_is_not_guessed_at() {
    let table = TestTable::create().await;
    let channels = table.channels(None);
    Committer::new(channels.clone()).commit(&key(), &calls(0..1), now()).await.unwrap();
    let sk = "history#1#campaign.events.v1#0#0000000000000000000#0000000000000000000#";
    table.set("acme#campaign:c", sk, "version", AttributeValue::N("3".into())).await;
    let range = HistoryRange { through: stored(&channels).await.history(), after: None, limit: 1 };
    let read = channels.history(&key(), range, Consistency::Strong, now()).await;
    assert!(matches!(read, Err(StoreError::Corrupt { key, .. }) if key.contains(sk)));
}
