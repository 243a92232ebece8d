//! Which channels records have moved.

use std::{collections::BTreeSet, num::NonZeroU32};

use aws_sdk_dynamodb::types::AttributeValue;
use projections::{TenantId, Timestamp};
use store::{Channels, Follower, ListingChange, Moved, SliceId};
use testing::{TestTable, s};

use crate::{acme, after, channel, now};

fn moved(tenant: &TenantId, name: &str) -> Moved {
    Moved {
        tenant: tenant.clone(),
        channel: channel(name),
        slice: SliceId { epoch: 1, topic: "campaign.events.v1".into(), partition: 3 },
        watermark: 41,
        latest: now(),
        listing: ListingChange::None,
    }
}

/// What is new in a part of the journal, all of which has to be readable.
async fn moves(channels: &Channels, bucket: u32, follower: &mut Follower) -> Vec<Moved> {
    let news = channels.moves(bucket, follower, now()).await.unwrap();
    assert!(news.is_complete);
    news.entries
}

#[tokio::test]
async fn what_a_batch_has_moved_is_told_once_and_as_it_was_entered() {
    let channels = TestTable::create().await.channels(None);
    let batch = [
        Moved { watermark: i64::MAX, listing: ListingChange::Listing, ..moved(&acme(), "campaign:c-17") },
        Moved { latest: after(1), listing: ListingChange::Activity, ..moved(&acme(), "event:evt_1") },
        moved(&TenantId::parse("globex").unwrap(), "system"),
    ];
    let (mut first, mut second) = (Follower::new(now()), Follower::new(now()));
    channels.journal(batch.to_vec(), Some(now()), now()).await.unwrap();
    for follower in [&mut first, &mut second] {
        assert_eq!(moves(&channels, 0, follower).await, batch);
        assert!(moves(&channels, 0, follower).await.is_empty());
    }
    channels.journal(batch[..1].to_vec(), None, now()).await.unwrap();
    assert_eq!(moves(&channels, 0, &mut first).await, batch[..1], "it has moved again");
}

#[tokio::test]
async fn a_batch_of_1200_channels_is_several_entries_and_reads_back_whole() {
    let table = TestTable::create().await;
    let channels = table.channels(None);
    // As long as names may be.
    let tenant = TenantId::parse(&"t".repeat(128)).unwrap();
    let batch: Vec<Moved> = (0..1_200).map(|n| moved(&tenant, &format!("event:{n:0>128}"))).collect();
    channels.journal(batch.clone(), Some(now()), now()).await.unwrap();
    assert_eq!(table.items("journal#0").await.len(), 3);
    let names = |moves: &[Moved]| -> BTreeSet<String> { moves.iter().map(|moved| moved.channel.to_string()).collect() };
    let found = moves(&channels, 0, &mut Follower::new(now())).await;
    assert_eq!(found.len(), 1_200);
    assert_eq!(names(&found), names(&batch));
}

#[tokio::test]
async fn slices_of_several_topics_and_epochs_are_told_apart() {
    let table = TestTable::create().await;
    let channels = table.channels(None);
    let of = |epoch, topic: &str, partition| {
        let slice = SliceId { epoch, topic: topic.into(), partition };
        Moved { slice, ..moved(&acme(), "event:evt_1") }
    };
    let batch = [of(1, "a", 0), of(1, "a", 1), of(1, "b", 0), of(2, "a", 0)];
    channels.journal(batch.to_vec(), None, now()).await.unwrap();
    assert_eq!(table.items("journal#0").await.len(), 3, "one for each topic and epoch");
    let keys = |moves: &[Moved]| -> BTreeSet<SliceId> { moves.iter().map(|moved| moved.slice.clone()).collect() };
    assert_eq!(keys(&moves(&channels, 0, &mut Follower::new(now())).await), keys(&batch));
}

#[tokio::test]
async fn a_batch_that_has_moved_nothing_leaves_no_entry() {
    let table = TestTable::create().await;
    table.channels(None).journal(Vec::new(), Some(now()), now()).await.unwrap();
    assert!(table.items("journal#0").await.is_empty());
}

#[tokio::test]
async fn a_tenants_moves_are_in_its_own_bucket_only() {
    const BUCKETS: u32 = 4;
    let table = TestTable::create().await;
    let channels = table.channels(None).with_journal_buckets(NonZeroU32::new(BUCKETS).unwrap());
    let tenants: Vec<TenantId> = (0..20).map(|n| TenantId::parse(&format!("t{n}")).unwrap()).collect();
    let batch = tenants.iter().map(|tenant| moved(tenant, "event:evt_1")).collect();
    channels.journal(batch, None, now()).await.unwrap();
    let mut found = Vec::new();
    for bucket in 0..BUCKETS {
        let moves = moves(&channels, bucket, &mut Follower::new(now())).await;
        assert!(!moves.is_empty(), "the hash spreads");
        assert!(moves.iter().all(|moved| channels.journal_bucket(&moved.tenant) == bucket));
        found.extend(moves.into_iter().map(|moved| moved.tenant.to_string()));
    }
    found.sort_unstable();
    let mut expected: Vec<String> = tenants.iter().map(ToString::to_string).collect();
    expected.sort_unstable();
    assert_eq!(found, expected);
}

#[tokio::test]
async fn a_tenants_bucket_never_changes() {
    let channels = TestTable::create().await.channels(None);
    assert_eq!(channels.journal_bucket(&acme()), 0, "there is one at first");
    let channels = channels.with_journal_buckets(NonZeroU32::new(4).unwrap());
    let buckets = ["acme", "globex", "initech"].map(|name| channels.journal_bucket(&TenantId::parse(name).unwrap()));
    assert_eq!(buckets, [1, 1, 2]);
}

#[tokio::test]
async fn an_entry_is_as_short_as_can_be_read_and_is_kept_for_an_hour() {
    let table = TestTable::create().await;
    let batch = vec![Moved { listing: ListingChange::Activity, ..moved(&acme(), "campaign:c-17") }];
    table.channels(None).journal(batch, Some(Timestamp::from_millis(7)), now()).await.unwrap();
    let mut entry = table.items("journal#0").await.remove(0);
    assert!(entry.remove("sk").unwrap().as_s().unwrap().starts_with("4102444800000#"));
    let n = |number: i64| AttributeValue::N(number.to_string());
    let moved = [s("acme"), s("campaign:c-17"), n(3), n(41), n(now().as_millis()), s("a")];
    let expected = [
        ("pk", s("journal#0")),
        ("topic", s("campaign.events.v1")),
        ("epoch", n(1)),
        ("moved", AttributeValue::L(vec![AttributeValue::L(moved.to_vec())])),
        ("oldest", n(7)),
        ("ttl", n(after(3_600).as_seconds())),
    ];
    assert_eq!(entry, expected.map(|(name, value)| (name.to_owned(), value)).into());
}

#[tokio::test]
async fn an_entry_of_another_form_hides_no_other_and_is_not_passed_over_in_silence() {
    let table = TestTable::create().await;
    let channels = table.channels(None);
    for name in ["0", "~"] {
        let sk = format!("{:013}#{name}", now().as_millis());
        table.set("journal#0", &sk, "moved", s("everything")).await;
    }
    let entered = vec![moved(&acme(), "campaign:c-17")];
    channels.journal(entered.clone(), None, now()).await.unwrap();
    let mut follower = Follower::new(now());
    let news = channels.moves(0, &mut follower, now()).await.unwrap();
    assert_eq!((news.entries, news.is_complete), (entered, false));
    assert!(moves(&channels, 0, &mut follower).await.is_empty(), "once is enough");
}
