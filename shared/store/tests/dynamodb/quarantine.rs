use std::collections::BTreeSet;

use aws_sdk_dynamodb::types::AttributeValue;
use store::{Channels, KEPT_BYTES, MAX_KEPT, Omitted, Quarantined};
use testing::{TestTable, s};

use crate::{after, now};

const TOPIC: &str = "campaign.events.v1";

fn bad(offset: i64, value: &[u8]) -> Quarantined {
    Quarantined::new(TOPIC, 2, offset, "not a JSON object", value, now())
}

async fn kept(channels: &Channels) -> Vec<Quarantined> {
    channels.quarantined(TOPIC, 2, 1_000).await.unwrap().records
}

/// All items of the table.
async fn items(table: &TestTable) -> Vec<std::collections::HashMap<String, AttributeValue>> {
    table.client.scan().table_name(&table.name).send().await.unwrap().items.unwrap_or_default()
}

#[tokio::test]
async fn bad_records_are_kept_for_two_weeks_whatever_their_bytes_and_in_one_item() {
    let table = TestTable::create().await;
    let channels = table.channels(None);
    let keyed = Quarantined { key: Some(b"c-17\xff".to_vec()), ..bad(7, b"\xff\x00\xfe") };
    channels.quarantine(&[keyed.clone(), bad(8, b"")]).await.unwrap();
    assert_eq!(kept(&channels).await, [bad(8, b""), keyed]);
    let items = items(&table).await;
    assert_eq!(items.len(), 1);
    assert_eq!(items[0]["ttl"], AttributeValue::N((now().as_seconds() + 14 * 86_400).to_string()));
    assert_eq!(items[0]["pk"], s("quarantine#campaign.events.v1#2#7"));
}

#[tokio::test]
async fn of_a_value_too_large_for_an_item_the_beginning_is_kept() {
    let channels = TestTable::create().await.channels(None);
    let value: Vec<u8> = (0..1_000_000_u32).map(|n| n.to_le_bytes()[0]).collect();
    channels.quarantine(&[bad(1, &value)]).await.unwrap();
    let kept = kept(&channels).await.remove(0);
    assert_eq!((kept.value.as_slice(), kept.length, kept.is_whole()), (&value[..KEPT_BYTES], 1_000_000, false));
    assert_eq!(kept.sha256, bad(1, &value).sha256);
}

#[tokio::test]
async fn of_a_flood_the_first_are_kept_in_few_items_and_the_others_counted_with_their_offsets() {
    let table = TestTable::create().await;
    let channels = table.channels(None);
    let flood: Vec<Quarantined> = (0..10_000).map(|n| bad(100 + n * 2, b"{\"eventType\":\"call_queued\"}")).collect();
    channels.quarantine(&flood).await.unwrap();
    assert!(items(&table).await.len() <= 2);
    let contents = channels.quarantined(TOPIC, 2, 1_000).await.unwrap();
    let offsets: BTreeSet<i64> = contents.records.iter().map(|bad| bad.offset).collect();
    assert_eq!(offsets, (0..1_000).map(|n| 100 + n * 2).collect());
    let (records, first, last) = (9_000, 100 + 1_000 * 2, 100 + 9_999 * 2);
    let omitted = Omitted { topic: TOPIC.to_owned(), partition: 2, records, first, last, seen_at: now() };
    assert_eq!((contents.omitted, MAX_KEPT), (vec![omitted], 1_000));
}

#[tokio::test]
async fn the_batches_of_a_partition_are_spread_over_keys() {
    let table = TestTable::create().await;
    let channels = table.channels(None);
    for offset in 0..16 {
        channels.quarantine(&[bad(offset, b"x")]).await.unwrap();
    }
    let keys: BTreeSet<String> = items(&table).await.iter().map(|item| item["pk"].as_s().unwrap().clone()).collect();
    assert_eq!((keys.len(), kept(&channels).await.len()), (8, 16));
}

#[tokio::test]
async fn a_batch_that_comes_again_is_kept_once_with_the_time_when_it_was_first_met() {
    let channels = TestTable::create().await.channels(None);
    let first = [bad(1, b"x"), bad(4, b"y")];
    let later = first.clone().map(|bad| Quarantined { seen_at: after(60), ..bad });
    channels.quarantine(&first).await.unwrap();
    channels.quarantine(&later).await.unwrap();
    assert_eq!(kept(&channels).await, [first[1].clone(), first[0].clone()]);
    // In other pieces it is there twice, and read once.
    channels.quarantine(&later[1..]).await.unwrap();
    assert_eq!(kept(&channels).await.len(), 2);
}

#[tokio::test]
async fn another_record_at_the_same_offset_of_a_topic_made_again_is_kept_beside_the_first() {
    let channels = TestTable::create().await.channels(None);
    channels.quarantine(&[bad(1, b"x")]).await.unwrap();
    channels.quarantine(&[bad(1, b"y")]).await.unwrap();
    let values: BTreeSet<Vec<u8>> = kept(&channels).await.into_iter().map(|bad| bad.value).collect();
    assert_eq!(values, BTreeSet::from([b"x".to_vec(), b"y".to_vec()]));
}

#[tokio::test]
async fn the_newest_come_first_over_pages_and_it_is_said_when_there_are_more() {
    let channels = TestTable::create().await.channels(None);
    // More than the megabyte that a page holds, and all of one key.
    let value = vec![b'x'; KEPT_BYTES];
    for offset in [8, 64, 32, 16, 24, 40] {
        channels.quarantine(&[bad(offset, &value)]).await.unwrap();
    }
    let offsets = async |limit| {
        let contents = channels.quarantined(TOPIC, 2, limit).await.unwrap();
        (contents.records.iter().map(|bad| bad.offset).collect::<Vec<_>>(), contents.is_cut)
    };
    assert_eq!(offsets(10).await, (vec![64, 40, 32, 24, 16, 8], false));
    assert_eq!(offsets(2).await, (vec![64, 40], true));
    assert_eq!(channels.quarantined(TOPIC, 1, 10).await.unwrap(), store::Contents::default());
}

#[tokio::test]
async fn an_item_of_one_record_as_they_were_written_at_first_is_read() {
    let table = TestTable::create().await;
    let old = Quarantined { seen_at: now(), ..bad(7, b"+15550100") };
    let number = |number: i64| AttributeValue::N(number.to_string());
    let put = table.client.put_item().table_name(&table.name);
    let put = put.item("pk", s("quarantine#campaign.events.v1#2")).item("sk", s("0000000000000000007"));
    let put = put.item("topic", s(TOPIC)).item("partition", number(2)).item("offset", number(7));
    let put = put.item("reason", s(&old.reason)).item("value", AttributeValue::B(old.value.clone().into()));
    let put = put.item("length", number(9)).item("sha256", s(&old.sha256)).item("seen_at", s(&now().to_string()));
    put.item("ttl", number(now().as_seconds())).send().await.unwrap();
    assert_eq!(kept(&table.channels(None)).await, [old]);
}
