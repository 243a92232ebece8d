use store::{KEPT_BYTES, Quarantined};
use testing::TestTable;

use crate::{after, now};

fn bad(offset: i64, value: &[u8]) -> Quarantined {
    Quarantined::new("campaign.events.v1", 2, offset, "not a JSON object", value, now())
}

#[tokio::test]
async fn a_bad_record_is_kept_for_two_weeks_whatever_its_bytes() {
    let table = TestTable::create().await;
    let channels = table.channels(None);
    for (offset, value) in [(7, b"\xff\x00\xfe".as_slice()), (8, b"")] {
        channels.quarantine(&bad(offset, value)).await.unwrap();
    }
    let kept = channels.quarantined("campaign.events.v1", 2, 10).await.unwrap();
    assert_eq!(kept, [bad(8, b""), bad(7, b"\xff\x00\xfe")]);
    let ttl = table.ttl("quarantine#campaign.events.v1#2", "0000000000000000007").await;
    assert_eq!(ttl, Some(now().as_seconds() + 14 * 86_400));
}

#[tokio::test]
async fn of_a_value_too_large_for_an_item_the_beginning_is_kept() {
    let channels = TestTable::create().await.channels(None);
    let value: Vec<u8> = (0..1_000_000_u32).map(|n| n.to_le_bytes()[0]).collect();
    channels.quarantine(&bad(1, &value)).await.unwrap();
    let kept = channels.quarantined("campaign.events.v1", 2, 1).await.unwrap().remove(0);
    assert_eq!((kept.value.as_slice(), kept.length), (&value[..KEPT_BYTES], 1_000_000));
    assert_eq!(kept.sha256, bad(1, &value).sha256);
}

#[tokio::test]
async fn a_record_that_comes_again_is_kept_once_with_the_time_when_it_was_first_met() {
    let channels = TestTable::create().await.channels(None);
    let first = bad(1, b"x");
    channels.quarantine(&first).await.unwrap();
    channels.quarantine(&Quarantined { seen_at: after(60), ..first.clone() }).await.unwrap();
    assert_eq!(channels.quarantined("campaign.events.v1", 2, 10).await.unwrap(), [first]);
}

#[tokio::test]
async fn another_record_at_the_same_offset_of_a_topic_made_again_takes_its_place() {
    let channels = TestTable::create().await.channels(None);
    channels.quarantine(&bad(1, b"x")).await.unwrap();
    let other = Quarantined { seen_at: after(60), ..bad(1, b"y") };
    channels.quarantine(&other).await.unwrap();
    assert_eq!(channels.quarantined("campaign.events.v1", 2, 10).await.unwrap(), [other]);
}

#[tokio::test]
async fn the_newest_come_first_up_to_the_limit_and_over_pages() {
    let channels = TestTable::create().await.channels(None);
    // More than the megabyte that a page holds.
    let value = vec![b'x'; KEPT_BYTES];
    for offset in [2, 100, 30, 4, 9, 10] {
        channels.quarantine(&bad(offset, &value)).await.unwrap();
    }
    let offsets = async |limit| -> Vec<i64> {
        let kept = channels.quarantined("campaign.events.v1", 2, limit).await.unwrap();
        kept.iter().map(|bad| bad.offset).collect()
    };
    assert_eq!(offsets(10).await, [100, 30, 10, 9, 4, 2]);
    assert_eq!(offsets(2).await, [100, 30]);
    assert!(channels.quarantined("campaign.events.v1", 1, 10).await.unwrap().is_empty());
}
