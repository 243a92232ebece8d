use std::time::Duration;

use projections::{Kind, Listing, Timestamp};
use store::{Channels, Consistency, Listed};
use testing::TestTable;

use crate::{acme, after, channel, now};

fn listing(status: &'static str, at: Timestamp) -> Listing {
    Listing { name: Some("Spring appeal".into()), status: Some(status), active: status == "active", at }
}

async fn describe(channels: &Channels, listing: Option<&Listing>, last_activity: Timestamp) {
    channels.describe(&acme(), &channel("campaign:c-17"), listing, last_activity, now()).await.unwrap();
}

async fn listed(channels: &Channels) -> Listed {
    let mut listed = channels.directory(&acme(), Kind::Campaign, Consistency::Eventual, now()).await.unwrap();
    assert_eq!(listed.len(), 1);
    listed.remove(0)
}

#[tokio::test]
async fn a_channel_that_never_said_how_it_stands_is_active() {
    let channels = TestTable::create().await.channels(None);
    describe(&channels, None, after(1)).await;
    let channel = channel("campaign:c-17");
    let expected = Listed { channel, name: None, status: None, active: true, last_activity: after(1) };
    assert_eq!(listed(&channels).await, expected);
}

#[tokio::test]
async fn activity_only_moves_forward() {
    let channels = TestTable::create().await.channels(None);
    for at in [after(5), after(3), after(7), after(6)] {
        describe(&channels, None, at).await;
    }
    assert_eq!(listed(&channels).await.last_activity, after(7));
}

#[tokio::test]
async fn activity_leaves_the_listing_as_it_is() {
    let channels = TestTable::create().await.channels(None);
    describe(&channels, Some(&listing("paused", after(1))), after(1)).await;
    describe(&channels, None, after(2)).await;
    let listed = listed(&channels).await;
    assert_eq!((listed.status.as_deref(), listed.active, listed.last_activity), (Some("paused"), false, after(2)));
    assert_eq!(listed.name.as_deref(), Some("Spring appeal"));
}

#[tokio::test]
async fn an_older_listing_changes_nothing_but_its_activity_counts() {
    let channels = TestTable::create().await.channels(None);
    describe(&channels, Some(&listing("paused", after(10))), after(10)).await;
    describe(&channels, Some(&listing("active", after(9))), after(20)).await;
    let listed = listed(&channels).await;
    assert_eq!((listed.status.as_deref(), listed.last_activity), (Some("paused"), after(20)));
}

#[tokio::test]
async fn a_newer_listing_holds_even_if_there_was_later_activity() {
    let channels = TestTable::create().await.channels(None);
    describe(&channels, Some(&listing("active", after(1))), after(30)).await;
    describe(&channels, Some(&listing("completed", after(2))), after(20)).await;
    let listed = listed(&channels).await;
    assert_eq!((listed.status.as_deref(), listed.active, listed.last_activity), (Some("completed"), false, after(30)));
}

#[tokio::test]
async fn the_order_in_which_descriptions_arrive_does_not_matter() {
    let descriptions = [
        (Some(listing("draft", after(1))), after(1)),
        (Some(listing("active", after(5))), after(6)),
        (None, after(9)),
        (Some(listing("paused", after(7))), after(7)),
    ];
    let channels = TestTable::create().await.channels(None);
    for start in 0..descriptions.len() {
        for step in [1, 3] {
            let id = format!("campaign:c-{start}-{step}");
            for index in 0..descriptions.len() {
                let (listing, at) = &descriptions[(start + index * step) % descriptions.len()];
                channels.describe(&acme(), &channel(&id), listing.as_ref(), *at, now()).await.unwrap();
            }
        }
    }
    let listed = channels.directory(&acme(), Kind::Campaign, Consistency::Eventual, now()).await.unwrap();
    assert_eq!(listed.len(), 8);
    for listed in listed {
        assert_eq!((listed.status.as_deref(), listed.active, listed.last_activity), (Some("paused"), false, after(9)));
    }
}

#[tokio::test]
async fn a_listing_from_the_future_gives_way_to_a_fresh_one() {
    let channels = TestTable::create().await.channels(None);
    describe(&channels, Some(&listing("completed", after(31_536_000))), after(1)).await;
    describe(&channels, Some(&listing("active", after(2))), after(2)).await;
    assert_eq!(listed(&channels).await.status.as_deref(), Some("active"));
    describe(&channels, Some(&listing("paused", after(1))), after(1)).await;
    assert_eq!(listed(&channels).await.status.as_deref(), Some("active"), "from then on the later one holds again");
}

#[tokio::test]
async fn what_was_paused_before_paused_campaigns_were_shown_is_shown() {
    let channels = TestTable::create().await.channels(None);
    describe(&channels, Some(&listing("paused", after(1))), after(1)).await;
    assert!(listed(&channels).await.is_shown());
    describe(&channels, Some(&listing("completed", after(2))), after(2)).await;
    assert!(!listed(&channels).await.is_shown());
}

#[tokio::test]
async fn kinds_and_tenants_are_listed_apart() {
    let channels = TestTable::create().await.channels(None);
    for name in ["campaign:a", "campaign:b", "event:a", "system"] {
        channels.describe(&acme(), &channel(name), None, now(), now()).await.unwrap();
    }
    let names = async |kind| -> Vec<String> {
        let listed = channels.directory(&acme(), kind, Consistency::Eventual, now()).await.unwrap();
        listed.into_iter().map(|listed| listed.channel.to_string()).collect()
    };
    assert_eq!(names(Kind::Campaign).await, ["campaign:a", "campaign:b"]);
    assert_eq!(names(Kind::LiveEvent).await, ["event:a"]);
    assert_eq!(names(Kind::System).await, ["system"]);
    let other = projections::TenantId::parse("acm").unwrap();
    assert!(channels.directory(&other, Kind::Campaign, Consistency::Eventual, now()).await.unwrap().is_empty());
}

#[tokio::test]
async fn a_description_expires_with_its_channel() {
    let table = TestTable::create().await;
    let channels = table.channels(Some(Duration::from_hours(24)));
    describe(&channels, Some(&listing("active", after(1))), after(1)).await;
    assert_eq!(table.ttl("acme#directory", "campaign:c-17").await, Some(now().as_seconds() + 3 * 86_400));
    let tomorrow = after(86_400);
    channels.describe(&acme(), &channel("campaign:c-17"), None, tomorrow, tomorrow).await.unwrap();
    assert_eq!(table.ttl("acme#directory", "campaign:c-17").await, Some(now().as_seconds() + 4 * 86_400));
}

#[tokio::test]
async fn the_last_record_of_a_topic_only_moves_forward() {
    let table = TestTable::create().await;
    let channels = table.channels(Some(Duration::from_hours(24)));
    for (topic, at) in [("a.v1", after(5)), ("a.v1", after(3)), ("b.v1", after(1))] {
        channels.note_records(&acme(), topic, at, now()).await.unwrap();
    }
    let last = channels.last_records(&acme()).await.unwrap();
    assert_eq!(last.into_iter().collect::<Vec<_>>(), [("a.v1".to_owned(), after(5)), ("b.v1".to_owned(), after(1))]);
    assert_eq!(table.ttl("acme#topics", "a.v1").await, Some(now().as_seconds() + 3 * 86_400));
}
