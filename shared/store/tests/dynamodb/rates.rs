use std::collections::BTreeSet;

use futures_util::future::{join, join_all};
use projections::Timestamp;
use store::{CloseReason, Connections, RATE_WINDOW};
use testing::TestTable;

use crate::{
    acme, ada, after,
    connections::{connect, connection},
    now, of_tenant,
};

async fn messages(connections: &Connections, id: &str, at: Timestamp) -> u64 {
    connections.message(id, at).await.unwrap().unwrap().1
}

#[tokio::test]
async fn messages_are_counted_by_the_minute_of_the_clock() {
    let connections = TestTable::create().await.connections(1);
    connect(&connections, "a", now()).await.unwrap();
    for n in 1..=119 {
        assert_eq!(messages(&connections, "a", after(n / 2)).await, n);
    }
    assert_eq!(messages(&connections, "a", after(59)).await, 120);
    assert_eq!(messages(&connections, "a", now().plus(RATE_WINDOW)).await, 1);
    assert_eq!(messages(&connections, "a", after(61)).await, 2);
    assert_eq!(messages(&connections, "a", after(3_600)).await, 1);
}

#[tokio::test]
async fn a_message_brings_the_connection_as_it_is() {
    let connections = TestTable::create().await.connections(1);
    connect(&connections, "a", now()).await.unwrap();
    for count in 1..=2 {
        assert_eq!(connections.message("a", now()).await.unwrap(), Some((connection("a"), count)));
    }
    connections.end("a", CloseReason::Revoked, now()).await.unwrap();
    let (ending, _) = connections.message("a", now()).await.unwrap().unwrap();
    assert_eq!(ending.ending, Some(CloseReason::Revoked));
}

#[tokio::test]
async fn of_messages_at_once_none_is_lost_even_where_a_minute_begins() {
    let connections = TestTable::create().await.connections(1);
    connect(&connections, "a", now()).await.unwrap();
    for minute in 0..3 {
        let at = after(minute * 60);
        let counts = join_all((0..20).map(|_| messages(&connections, "a", at))).await;
        assert_eq!(counts.into_iter().collect::<BTreeSet<_>>(), (1..=20).collect());
    }
}

#[tokio::test]
async fn a_clock_that_is_behind_counts_in_the_minute_that_has_begun() {
    let connections = TestTable::create().await.connections(1);
    connect(&connections, "a", now()).await.unwrap();
    assert_eq!(messages(&connections, "a", after(60)).await, 1);
    assert_eq!(messages(&connections, "a", after(59)).await, 2);
    assert_eq!(messages(&connections, "a", after(60)).await, 3);
}

#[tokio::test]
async fn the_connections_of_one_user_are_counted_apart() {
    let connections = TestTable::create().await.connections(1);
    for id in ["a", "b"] {
        connect(&connections, id, now()).await.unwrap();
        assert_eq!(messages(&connections, id, now()).await, 1);
    }
}

#[tokio::test]
async fn a_message_of_a_connection_that_is_gone_leaves_nothing_behind() {
    let table = TestTable::create().await;
    let connections = table.connections(1);
    assert_eq!(connections.message("a", now()).await.unwrap(), None);
    assert_eq!(table.item("shard#0", "a").await, None);

    connect(&connections, "a", now()).await.unwrap();
    let many = join_all((0..20).map(|n| connections.message("a", after(n * 60))));
    let (counted, disconnected) = join(many, connections.disconnect("a")).await;
    disconnected.unwrap();
    assert!(counted.iter().all(Result::is_ok));
    assert_eq!(table.item("shard#0", "a").await, None);
}

#[tokio::test]
async fn requests_are_counted_by_user_and_minute() {
    let requests = TestTable::create().await.requests();
    for n in 1..=3 {
        assert_eq!(requests.count(&acme(), "ada#1", after(n)).await, Ok(n));
    }
    assert_eq!(requests.count(&acme(), "ada", now()).await, Ok(1));
    assert_eq!(requests.count(&of_tenant("other", ada()).tenant, "ada#1", now()).await, Ok(1));
    assert_eq!(requests.count(&acme(), "ada#1", after(60)).await, Ok(1));
    assert_eq!(requests.count(&acme(), "ada#1", after(59)).await, Ok(2), "a clock that is behind");
    assert_eq!(requests.count_as(&acme(), "ada#1", 40, after(61)).await, Ok(42), "one as costly as forty");
    assert_eq!(requests.count_as(&acme(), "ada#1", 40, after(120)).await, Ok(40));
}

#[tokio::test]
async fn of_requests_at_once_none_is_lost() {
    let (requests, tenant) = (TestTable::create().await.requests(), acme());
    for minute in 0..3 {
        let at = after(minute * 60);
        let counts = join_all((0..20).map(|_| requests.count(&tenant, "ada#1", at))).await;
        let counts: BTreeSet<u64> = counts.into_iter().map(Result::unwrap).collect();
        assert_eq!(counts, (1..=20).collect());
    }
}

#[tokio::test]
async fn a_counter_of_requests_expires_and_leaves_the_users_places_alone() {
    let table = TestTable::create().await;
    let connections = table.connections(1);
    connect(&connections, "a", now()).await.unwrap();
    table.requests().count(&acme(), "ada#1", after(59)).await.unwrap();
    assert_eq!(table.ttl("user#acme#ada#1", "#requests").await, Some(after(59 + 120).as_seconds()));
    assert_eq!(connections.of_user(&acme(), "ada#1").await.unwrap(), ["a"]);
}
