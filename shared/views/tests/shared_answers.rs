//! How often what many ask for is read, counted in requests to a real table.

#![allow(clippy::unwrap_used, reason = "tests fail by panicking")]

use std::time::Duration;

use futures_util::future::join_all;
use projections::{ChannelId, Record, TenantId, Timestamp, campaign::Status, topic};
use serde_json::Value;
use store::{Channels, Committer, Entry, SliceId, SliceKey};
use testing::{RequestCounter, TestTable};
use views::Reader;

const TOPIC: &str = "campaign.events.v1";

fn now() -> Timestamp {
    "2026-01-15T10:30:00Z".parse().unwrap()
}

fn after(millis: u64) -> Timestamp {
    now().plus(Duration::from_millis(millis))
}

fn tenant(name: &str) -> TenantId {
    TenantId::parse(name).unwrap()
}

/// Takes in the first call of a campaign, as ingest does.
async fn call(channels: &Channels, tenant: &TenantId, campaign: &str) {
    let value = format!(r#"{{"campaignId":"{campaign}","callId":"k","eventType":"call_initiated"}}"#);
    let record = Record { topic: TOPIC, timestamp: now(), default_tenant: Some(tenant), value: value.as_bytes() };
    let routed = topic::decode(&record).unwrap().remove(0);
    let slice = SliceId { epoch: 1, topic: TOPIC.to_owned(), partition: 0 };
    let key = SliceKey { tenant: tenant.clone(), channel: routed.channel.clone(), slice };
    let entry = Entry { offset: 0, at: routed.at, event: routed.event };
    let committed = Committer::new(channels.clone()).commit(&key, &[entry], now()).await.unwrap();
    channels.describe(tenant, &routed.channel, committed.listing.as_ref(), now(), now()).await.unwrap();
}

/// A reader of a table with two campaigns of acme's and one of globex's, whose requests are counted.
async fn counted() -> (Reader, Channels, RequestCounter) {
    let (table, requests) = (TestTable::create().await, RequestCounter::default());
    let channels = table.channels(None);
    for (name, campaign) in [("acme", "a"), ("acme", "b"), ("globex", "c")] {
        call(&channels, &tenant(name), campaign).await;
    }
    let counted = TestTable { client: requests.on(&table.client), name: table.name.clone() };
    (Reader::new(counted.channels(None), counted.leases(), 1), channels, requests)
}

async fn shown(reader: &Reader, who: &str, channel: &str, at: Timestamp) -> Value {
    let channel: ChannelId = channel.parse().unwrap();
    let rendered = reader.view(&tenant(who), &channel, true, at).await.unwrap();
    serde_json::from_str(rendered.data.get()).unwrap()
}

#[tokio::test]
async fn what_a_tenant_has_one_of_is_read_once_a_second_whoever_asks() {
    let (reader, channels, requests) = counted().await;
    for (channel, at_least) in [("campaigns", 3), ("system", 5)] {
        let first = shown(&reader, "acme", channel, now()).await;
        let reading = requests.take();
        assert!(reading >= at_least, "{channel} takes {reading} requests");
        let askers = (0..40).map(|n| {
            let reader = reader.clone();
            async move { shown(&reader, "acme", channel, after(n * 25 % 1_000)).await }
        });
        assert!(join_all(askers).await.into_iter().all(|other| other == first));
        assert_eq!(requests.take(), 0, "{channel}");
        shown(&reader, "acme", channel, after(1_000)).await;
        assert_eq!(requests.take(), reading, "{channel} a second later");
    }
    call(&channels, &tenant("acme"), "later").await;
    assert_eq!(shown(&reader, "acme", "campaigns", after(1_999)).await.as_array().unwrap().len(), 2);
    assert_eq!(shown(&reader, "acme", "campaigns", after(2_000)).await.as_array().unwrap().len(), 3);
}

#[tokio::test]
async fn who_ask_at_once_are_answered_by_one_reading() {
    let (reader, _, requests) = counted().await;
    shown(&reader, "acme", "system", now()).await;
    let reading = requests.take();
    join_all((0..40).map(|n| {
        let reader = reader.clone();
        async move { shown(&reader, "acme", "system", after(5_000 + n)).await }
    }))
    .await;
    assert_eq!(requests.take(), reading);
}

#[tokio::test]
async fn campaigns_of_a_status_are_read_once_a_second_each() {
    let (reader, _, requests) = counted().await;
    let count = async |status, at| {
        let rendered = reader.campaigns(&tenant("acme"), status, false, at).await.unwrap();
        serde_json::from_str::<Vec<Value>>(rendered.data.get()).unwrap().len()
    };
    for at in [now(), after(999)] {
        assert_eq!((count(Status::Active, at).await, count(Status::Completed, at).await), (2, 0));
    }
    let both = requests.take();
    count(Status::Active, after(1_000)).await;
    count(Status::Completed, after(1_000)).await;
    assert_eq!(requests.take(), both, "each was read once");
}

#[tokio::test]
async fn no_tenant_is_shown_what_was_read_for_another() {
    let (reader, _, _) = counted().await;
    for _ in 0..2 {
        let of = async |who| shown(&reader, who, "campaigns", now()).await.as_array().unwrap().len();
        assert_eq!((of("acme").await, of("globex").await, of("initech").await), (2, 1, 0));
    }
}

#[tokio::test]
async fn a_reading_that_failed_answers_nobody_else() {
    let (reader, _, requests) = counted().await;
    requests.cut(true);
    reader.view(&tenant("acme"), &ChannelId::campaigns(), true, now()).await.unwrap_err();
    requests.cut(false);
    assert_eq!(shown(&reader, "acme", "campaigns", now()).await.as_array().unwrap().len(), 2);
}

#[tokio::test]
async fn a_channel_of_many_is_read_for_each_who_asks() {
    let (reader, _, requests) = counted().await;
    shown(&reader, "acme", "campaign:a", now()).await;
    let reading = requests.take();
    shown(&reader, "acme", "campaign:a", now()).await;
    assert_eq!((requests.take(), reading > 0), (reading, true));
}
