//! A channel lives and ends as a whole, whichever of its slices records come to.

use std::time::Duration;

use projections::{Event, Kind, Listing, Timestamp, live_event};
use store::{Channels, Committer, Consistency, Entry, SliceId, SliceKey};
use testing::TestTable;

use crate::{acme, after, channel};

const DAY: u64 = 86_400;
const RETENTION: Duration = Duration::from_hours(8 * 24);

fn key(topic: &str, epoch: u32, partition: i32) -> SliceKey {
    SliceKey { tenant: acme(), channel: channel("event:e"), slice: SliceId { epoch, topic: topic.into(), partition } }
}

fn day(day: u64) -> Timestamp {
    after(day * DAY + 36_000)
}

/// A record comes to a slice, to a container that was never there before.
async fn write(channels: &Channels, key: &SliceKey, offset: i64, at: Timestamp) {
    let entry = Entry { offset, at, event: Event::LiveEvent(live_event::Event::MessageSent) };
    Committer::new(channels.clone()).commit(key, &[entry], at).await.unwrap();
    let listing = Some(Listing { name: None, status: Some("active"), active: true, at });
    channels.describe(&key.tenant, &key.channel, listing.as_ref(), at, at).await.unwrap();
    channels.extend(&key.tenant, &key.channel, at).await.unwrap();
}

/// How many messages a reader sees, and whether the channel is listed.
async fn seen(channels: &Channels, at: Timestamp) -> (u64, bool) {
    let slices = channels.slices(&acme(), &channel("event:e"), Consistency::Strong, at).await.unwrap();
    let messages = slices.iter().map(|(_, slice)| serde_json::to_value(slice).unwrap()["state"]["messages"].as_u64());
    let listed = channels.directory(&acme(), Kind::LiveEvent, Consistency::Eventual, at).await.unwrap();
    (messages.map(Option::unwrap).sum(), !listed.is_empty())
}

async fn a_slice_rests_while_its_channel_lives(resting: SliceKey, moving: SliceKey) {
    let table = TestTable::create().await;
    let channels = table.channels(Some(RETENTION));
    write(&channels, &resting, 1, day(0)).await;
    for n in 1..=10 {
        write(&channels, &moving, i64::try_from(n).unwrap(), day(n * 3)).await;
    }
    assert_eq!(seen(&channels, day(30)).await, (11, true));
    // It is kept as long as it was promised after the last record, and then it ends at once.
    let end = after(30 * DAY + 2 * DAY + RETENTION.as_secs());
    assert_eq!(seen(&channels, day(38)).await, (11, true));
    assert_eq!(seen(&channels, end).await, (0, false));
    for slice in [&resting, &moving] {
        assert_eq!(table.ttl("acme#event:e", &slice.slice.to_string()).await, Some(end.as_seconds()));
    }
}

const TOPIC: &str = "platform.analytics.events.v1";

#[tokio::test]
async fn a_slice_of_another_partition_does_not_expire_while_its_channel_lives() {
    a_slice_rests_while_its_channel_lives(key(TOPIC, 1, 0), key(TOPIC, 1, 7)).await;
}

#[tokio::test]
async fn a_slice_of_an_earlier_epoch_does_not_expire_while_its_channel_lives() {
    a_slice_rests_while_its_channel_lives(key(TOPIC, 1, 0), key(TOPIC, 2, 0)).await;
}

#[tokio::test]
async fn a_slice_of_another_topic_does_not_expire_while_its_channel_lives() {
    a_slice_rests_while_its_channel_lives(key("platform.analytics.check-in.v1", 1, 0), key(TOPIC, 1, 0)).await;
}

#[tokio::test]
async fn what_rests_is_moved_once_a_day_however_many_writers_there_are() {
    let table = TestTable::create().await;
    let channels = table.channels(Some(RETENTION));
    write(&channels, &key(TOPIC, 1, 0), 1, day(0)).await;
    write(&channels, &key(TOPIC, 1, 1), 1, day(1)).await;
    let sk = key(TOPIC, 1, 0).slice.to_string();
    let moved = table.ttl("acme#event:e", &sk).await;
    assert_eq!(moved, Some(after(3 * DAY + RETENTION.as_secs()).as_seconds()));
    for later in [1, 3_600, 13 * 3_600] {
        channels.extend(&acme(), &channel("event:e"), day(1).plus(Duration::from_secs(later))).await.unwrap();
        assert_eq!(table.ttl("acme#event:e", &sk).await, moved);
    }
}

#[tokio::test]
async fn a_channel_that_begins_anew_is_not_joined_by_its_past_before_that_is_deleted() {
    let table = TestTable::create().await;
    let channels = table.channels(Some(RETENTION));
    write(&channels, &key(TOPIC, 1, 0), 1, day(0)).await;
    write(&channels, &key(TOPIC, 1, 1), 1, day(0)).await;
    // Both have expired and lie there still.
    write(&channels, &key(TOPIC, 1, 1), 2, day(20)).await;
    assert_eq!(seen(&channels, day(20)).await, (1, true));
    write(&channels, &key(TOPIC, 1, 0), 2, day(20)).await;
    assert_eq!(seen(&channels, day(20)).await, (2, true));
}

#[tokio::test]
async fn a_warm_writer_notices_that_its_slice_has_expired() {
    let channels = TestTable::create().await.channels(Some(RETENTION));
    let committer = Committer::new(channels.clone());
    for (offset, at) in [(1, day(0)), (2, day(20))] {
        let entry = Entry { offset, at, event: Event::LiveEvent(live_event::Event::MessageSent) };
        committer.commit(&key(TOPIC, 1, 0), &[entry], at).await.unwrap();
    }
    assert_eq!(seen(&channels, day(20)).await.0, 1);
}

#[tokio::test]
async fn an_entry_that_has_expired_tells_nothing_of_the_channel_that_begins_anew() {
    let channels = TestTable::create().await.channels(Some(RETENTION));
    let paused = Listing { name: Some("Old".into()), status: Some("paused"), active: false, at: day(0) };
    channels.describe(&acme(), &channel("event:e"), Some(&paused), day(0), day(0)).await.unwrap();
    assert!(channels.directory(&acme(), Kind::LiveEvent, Consistency::Eventual, day(20)).await.unwrap().is_empty());
    channels.describe(&acme(), &channel("event:e"), None, day(20), day(20)).await.unwrap();
    let listed = channels.directory(&acme(), Kind::LiveEvent, Consistency::Eventual, day(20)).await.unwrap().remove(0);
    assert_eq!((listed.name, listed.status, listed.active, listed.last_activity), (None, None, true, day(20)));
}

#[tokio::test]
async fn a_retention_that_is_given_up_holds_for_what_rests_too() {
    let table = TestTable::create().await;
    write(&table.channels(Some(RETENTION)), &key(TOPIC, 1, 0), 1, day(0)).await;
    write(&table.channels(None), &key(TOPIC, 1, 1), 1, day(1)).await;
    assert_eq!(seen(&table.channels(None), day(3_000)).await, (2, true));
}

#[tokio::test]
async fn a_retention_that_is_new_holds_for_what_was_kept_for_ever() {
    let table = TestTable::create().await;
    write(&table.channels(None), &key(TOPIC, 1, 0), 1, day(0)).await;
    let channels = table.channels(Some(RETENTION));
    write(&channels, &key(TOPIC, 1, 1), 1, day(1)).await;
    assert_eq!(seen(&channels, day(20)).await, (0, false));
}
