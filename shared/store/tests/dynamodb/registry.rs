//! Which connections a shard has, and which of them have changed.

use std::{collections::HashMap, num::NonZeroU32, time::Duration};

use aws_sdk_dynamodb::types::{AttributeValue, PutRequest, WriteRequest};
use projections::Timestamp;
use store::{CloseReason, Connections, Follower, Terms};
use testing::{TestTable, s};

use crate::{
    ada, after, channel,
    connections::{LIMITS, connect, connection},
    now,
};

const NINE: Terms = Terms { max: 9, batch: false };

/// Connections that enter all their changes at one moment.
fn registry(table: &TestTable) -> Connections {
    Connections::new(table.client.clone(), table.name.clone(), NonZeroU32::MIN, now)
}

/// A table with its registry, and with a reader of it who knows of nothing.
async fn followed() -> (TestTable, Connections, Follower) {
    let table = TestTable::create().await;
    let registry = registry(&table);
    (table, registry, Follower::new(now()))
}

/// What is new, all of which has to be readable.
async fn changes(registry: &Connections, follower: &mut Follower) -> Vec<String> {
    let news = registry.changes(0, follower, now()).await.unwrap();
    assert!(news.is_complete);
    news.entries
}

/// An entry of this moment in the journal of the only shard, in whatever form.
fn entry(at: Timestamp, name: &str, attribute: &str, value: &str) -> HashMap<String, AttributeValue> {
    let sk = format!("{:013}#{name}", at.as_millis());
    [("pk", "shard#0#journal"), ("sk", &sk), (attribute, value)].map(|(name, value)| (name.into(), s(value))).into()
}

#[tokio::test]
async fn each_change_of_a_connection_is_told_once() {
    let (_table, registry, mut follower) = followed().await;
    let mut told = async || {
        let told = changes(&registry, &mut follower).await;
        assert!(changes(&registry, &mut follower).await.is_empty(), "told twice");
        told
    };
    connect(&registry, "a", now()).await.unwrap();
    assert_eq!(told().await, ["a"], "connect");
    registry.subscribe("a", &channel("event:1"), "", NINE).await.unwrap();
    assert_eq!(told().await, ["a"], "subscribe");
    registry.subscribe("a", &channel("event:2"), "", NINE).await.unwrap();
    assert_eq!(told().await, ["a"], "subscribe once more");
    registry.unsubscribe("a", &channel("event:1")).await.unwrap();
    assert_eq!(told().await, ["a"], "unsubscribe");
    let known = registry.get("a").await.unwrap().unwrap();
    registry.subscribe_all(&known, &[(channel("event:3"), String::new())], NINE).await.unwrap();
    assert_eq!(told().await, ["a"], "a list");
    let known = registry.get("a").await.unwrap().unwrap();
    registry.unsubscribe_all(&known, &["event:2", "event:3"].map(channel)).await.unwrap();
    assert_eq!(told().await, ["a"], "leaving a list");
    registry.renew("a", &ada(), &[], now()).await.unwrap();
    assert_eq!(told().await, ["a"], "renew");
    for _ in 0..2 {
        registry.end("a", CloseReason::Revoked, now()).await.unwrap();
        assert_eq!(told().await, ["a"], "the first time may not have come to it");
    }
    registry.disconnect("a").await.unwrap();
    assert_eq!(told().await, ["a"], "disconnect");
}

#[tokio::test]
async fn what_a_publisher_would_do_nothing_about_is_not_entered() {
    let (table, registry, mut follower) = followed().await;
    connect(&registry, "a", now()).await.unwrap();
    assert_eq!(changes(&registry, &mut follower).await, ["a"]);
    registry.message("a", now()).await.unwrap();
    registry.unsubscribe("a", &channel("event:1")).await.unwrap();
    let known = registry.get("a").await.unwrap().unwrap();
    registry.unsubscribe_all(&known, &["event:1", "event:2"].map(channel)).await.unwrap();
    registry.expire("a", after(9_999)).await.unwrap();
    registry.end("never-there", CloseReason::Revoked, now()).await.unwrap();
    assert_eq!(table.entered(0).await, ["a"]);
    assert!(changes(&registry, &mut follower).await.is_empty());
}

#[tokio::test]
async fn of_a_connection_that_changed_often_each_reader_hears_once() {
    let (_table, registry, mut first) = followed().await;
    let mut second = first.clone();
    for id in ["b", "a"] {
        connect(&registry, id, now()).await.unwrap();
        registry.subscribe(id, &channel("event:1"), "", NINE).await.unwrap();
    }
    for follower in [&mut first, &mut second] {
        assert_eq!(changes(&registry, follower).await, ["a", "b"]);
        assert!(changes(&registry, follower).await.is_empty());
    }
}

#[tokio::test]
async fn a_reader_hears_of_what_was_under_way_when_it_came_and_of_nothing_older() {
    let (_table, registry, _) = followed().await;
    connect(&registry, "a", now()).await.unwrap();
    for (seconds, expected) in [(2, 1), (60, 0)] {
        let mut follower = Follower::new(after(seconds));
        let news = registry.changes(0, &mut follower, after(seconds)).await.unwrap();
        assert_eq!(news.entries.len(), expected, "{seconds} s later");
    }
}

#[tokio::test]
async fn each_shard_has_a_journal_of_its_own() {
    let table = TestTable::create().await;
    let registry = Connections::new(table.client.clone(), table.name.clone(), NonZeroU32::new(4).unwrap(), now);
    for n in 0..12 {
        connect(&registry, &format!("c{n}="), now()).await.unwrap();
    }
    let mut told = 0;
    for shard in 0..4 {
        let news = registry.changes(shard, &mut Follower::new(now()), now()).await.unwrap();
        assert!(news.entries.iter().all(|id| registry.shard_of(id) == shard));
        told += news.entries.len();
    }
    assert_eq!(told, 12);
}

#[tokio::test]
async fn an_entry_is_kept_for_an_hour() {
    let (table, registry, _) = followed().await;
    connect(&registry, "a", now()).await.unwrap();
    let entries = table.items("shard#0#journal").await;
    let expiry = after(3_600).as_seconds().to_string();
    assert_eq!(entries.iter().map(|entry| entry["ttl"].as_n().unwrap()).collect::<Vec<_>>(), [&expiry]);
    assert!(entries[0]["sk"].as_s().unwrap().starts_with("4102444800000#"), "sorted by time: {:?}", entries[0]["sk"]);
}

#[tokio::test]
async fn an_entry_of_another_form_hides_no_other_and_is_not_passed_over_in_silence() {
    let (table, registry, mut follower) = followed().await;
    for name in ["0", "~"] {
        table.put(entry(now(), name, "connections", "several")).await;
    }
    connect(&registry, "a", now()).await.unwrap();
    let news = registry.changes(0, &mut follower, now()).await.unwrap();
    assert_eq!((news.entries, news.is_complete), (vec!["a".to_owned()], false));
    connect(&registry, "b", now()).await.unwrap();
    assert_eq!(changes(&registry, &mut follower).await, ["b"], "once is enough");
}

#[tokio::test]
async fn of_more_changes_than_are_read_at_once_none_is_passed_over_in_silence() {
    let (table, registry, mut follower) = followed().await;
    let ids: Vec<usize> = (0..10_000).collect();
    for ids in ids.chunks(25) {
        let put = |n: &usize| {
            let put = PutRequest::builder().set_item(Some(entry(now(), &n.to_string(), "connection", "a"))).build();
            WriteRequest::builder().put_request(put.unwrap()).build()
        };
        let request = table.client.batch_write_item();
        request.request_items(&table.name, ids.iter().map(put).collect()).send().await.unwrap();
    }
    // As long as a read goes back to them.
    for seconds in 0..=4 {
        let news = registry.changes(0, &mut follower, after(seconds)).await.unwrap();
        assert_eq!((news.entries.len(), news.is_complete), (0, false), "after {seconds} s");
    }
    table.put(entry(after(5), "later", "connection", "b")).await;
    let news = registry.changes(0, &mut follower, after(5)).await.unwrap();
    assert_eq!((news.entries, news.is_complete), (vec!["b".to_owned()], true), "it goes on from there");
}

#[tokio::test]
async fn page_by_page_all_connections_come_in_order_and_then_it_ends() {
    for count in [0, 1, 200, 450] {
        let table = TestTable::create().await;
        let registry = registry(&table);
        registry.connect(&connection("first="), LIMITS, now()).await.unwrap();
        let item = table.item("shard#0", "first=").await.unwrap();
        registry.disconnect("first=").await.unwrap();
        // What an earlier build keeps there is none of them.
        table.set("shard#0", "#version", "version", AttributeValue::N("7".into())).await;
        let ids: Vec<String> = (0..count).map(|n| format!("{}{n:04}=", if n < 100 { '+' } else { 'c' })).collect();
        for id in ids.iter().rev() {
            table.put(item.clone().into_iter().chain([("sk".to_owned(), s(id))]).collect()).await;
        }
        let (mut found, mut after, mut pages) = (Vec::new(), None, 0);
        loop {
            let page = registry.page(0, after.as_deref()).await.unwrap();
            assert!(page.connections.len() <= 200);
            found.extend(page.connections.into_iter().map(|connection| connection.id));
            pages += 1;
            after = page.next;
            if after.is_none() {
                break;
            }
        }
        assert_eq!(found, ids);
        assert_eq!(pages, count / 200 + 1);
    }
}

#[tokio::test]
async fn a_connection_that_cannot_be_read_is_left_out_of_its_page_and_ends_nothing() {
    let table = TestTable::create().await;
    let registry = registry(&table);
    for id in ["a", "b", "c"] {
        connect(&registry, id, now()).await.unwrap();
    }
    table.set("shard#0", "c", "channels", s("no such thing")).await;
    let page = registry.page(0, Some("a")).await.unwrap();
    assert_eq!(page.connections.iter().map(|connection| connection.id.as_str()).collect::<Vec<_>>(), ["b"]);
    assert_eq!(page.next, None);
}

#[tokio::test]
async fn a_shard_is_empty_until_somebody_comes_and_after_the_last_has_left() {
    let table = TestTable::create().await;
    let registry = registry(&table);
    table.set("shard#0", "#version", "version", AttributeValue::N("7".into())).await;
    table.leases().acquire(0, "p", now(), Duration::from_secs(9)).await.unwrap();
    assert!(registry.is_empty(0).await.unwrap());
    connect(&registry, "+a=", now()).await.unwrap();
    assert!(!registry.is_empty(0).await.unwrap());
    registry.disconnect("+a=").await.unwrap();
    assert!(registry.is_empty(0).await.unwrap());
}
