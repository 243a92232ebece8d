use futures_util::future::join_all;
use projections::Timestamp;
use store::{ConnectError, Connection, Connections, MAX_CONNECTION_AGE, StoreError, SubscribeError};

use crate::{
    acme, after, channel, now,
    table::{TestTable, s},
};

const LIMIT: usize = 3;

fn connection(id: &str) -> Connection {
    Connection {
        id: id.into(),
        tenant: acme(),
        user: "ada#1".into(),
        permissions: vec!["dashboard:read:live".into()],
        channels: [channel("campaigns"), channel("system")].map(|channel| (channel, String::new())).into(),
        is_default: true,
        connected_at: now(),
        expires_at: after(900),
    }
}

async fn connect(connections: &Connections, id: &str, at: Timestamp) -> Result<(), ConnectError> {
    connections.connect(&Connection { connected_at: at, ..connection(id) }, LIMIT, at).await
}

async fn channels(connections: &Connections, id: &str) -> Vec<(String, String)> {
    let connection = connections.get(id).await.unwrap().unwrap();
    connection.channels.into_iter().map(|(channel, cursor)| (channel.to_string(), cursor)).collect()
}

#[tokio::test]
async fn a_connection_is_kept_in_one_item_that_outlives_it_by_ten_minutes() {
    let table = TestTable::create().await;
    let connections = table.connections(1);
    connections.connect(&connection("L0SM9cOFvHcCIhw="), LIMIT, now()).await.unwrap();
    assert_eq!(connections.get("L0SM9cOFvHcCIhw=").await.unwrap(), Some(connection("L0SM9cOFvHcCIhw=")));
    assert_eq!(connections.connections(0).await.unwrap(), [connection("L0SM9cOFvHcCIhw=")]);
    assert_eq!(table.ttl("shard#0", "L0SM9cOFvHcCIhw=").await, Some(now().as_seconds() + 7_800));
    assert_eq!(table.ttl("user#acme#ada#1", "#connections").await, Some(now().as_seconds() + 7_800));
}

#[tokio::test]
async fn connections_are_found_in_their_shard_without_what_the_publisher_keeps_there() {
    let table = TestTable::create().await;
    let connections = table.connections(4);
    let ids: Vec<String> = (0..40).map(|n| format!("c{n}=")).collect();
    for id in &ids {
        connections.connect(&connection(id), 100, now()).await.unwrap();
    }
    for shard in 0..4 {
        table.leases().acquire(shard, "p", now(), MAX_CONNECTION_AGE).await.unwrap();
        let found = connections.connections(shard).await.unwrap();
        let expected = ids.iter().filter(|id| connections.shard_of(id) == shard).count();
        assert!(expected > 0, "the hash spreads");
        assert_eq!(found.len(), expected);
        assert_eq!(connections.version(shard).await.unwrap(), expected as u64);
    }
}

#[tokio::test]
async fn a_connections_shard_never_changes() {
    let connections = TestTable::create().await.connections(4);
    assert_eq!(["L0SM9cOFvHcCIhw=", "a", "b", ""].map(|id| connections.shard_of(id)), [1, 2, 2, 2]);
}

#[tokio::test]
async fn a_user_has_as_many_connections_as_allowed() {
    let connections = TestTable::create().await.connections(1);
    for id in ["a", "b", "c"] {
        connect(&connections, id, now()).await.unwrap();
    }
    assert_eq!(connect(&connections, "d", now()).await, Err(ConnectError::TooMany));
    assert_eq!(connections.get("d").await.unwrap(), None);
    connections.connect(&Connection { user: "bob".into(), ..connection("e") }, LIMIT, now()).await.unwrap();

    connections.disconnect("b").await.unwrap();
    connect(&connections, "d", now()).await.unwrap();
    assert_eq!(connect(&connections, "f", now()).await, Err(ConnectError::TooMany));
}

#[tokio::test]
async fn connecting_again_as_a_retry_does_takes_no_second_place() {
    let connections = TestTable::create().await.connections(1);
    for id in ["a", "b", "c", "c", "a"] {
        connect(&connections, id, now()).await.unwrap();
    }
    assert_eq!(connections.connections(0).await.unwrap().len(), 3);
}

#[tokio::test]
async fn connections_at_once_never_exceed_the_limit() {
    let connections = TestTable::create().await.connections(1);
    let ids: Vec<String> = (0..10).map(|n| format!("c{n}")).collect();
    let results = join_all(ids.iter().map(|id| connect(&connections, id, now()))).await;
    assert_eq!(results.iter().filter(|result| result.is_ok()).count(), LIMIT);
    assert!(results.iter().all(|result| matches!(result, Ok(()) | Err(ConnectError::TooMany))));
}

#[tokio::test]
async fn a_lost_disconnect_does_not_lock_the_user_out() {
    let connections = TestTable::create().await.connections(1);
    for (id, at) in [("a", now()), ("b", after(10)), ("c", after(20))] {
        connect(&connections, id, at).await.unwrap();
    }
    let age = MAX_CONNECTION_AGE.as_secs();
    assert_eq!(connect(&connections, "d", after(age - 1)).await, Err(ConnectError::TooMany));
    connect(&connections, "d", after(age + 10)).await.unwrap();
    connect(&connections, "e", after(age + 10)).await.unwrap();
    assert_eq!(connect(&connections, "f", after(age + 10)).await, Err(ConnectError::TooMany), "c may be open still");
}

#[tokio::test]
async fn nobody_is_let_in_where_no_connection_is_allowed() {
    let connections = TestTable::create().await.connections(1);
    assert_eq!(connections.connect(&connection("a"), 0, now()).await, Err(ConnectError::TooMany));
}

#[tokio::test]
async fn a_connection_that_could_not_enter_leaves_no_place_taken() {
    let table = TestTable::create().await;
    let connections = table.connections(1);
    // No item can hold this, so that the write after the place's fails.
    let large = Connection { permissions: vec!["p".repeat(500 * 1024)], ..connection("a") };
    assert!(matches!(
        connections.connect(&large, LIMIT, now()).await,
        Err(ConnectError::Store(StoreError::Refused(_)))
    ));
    let places = table.item("user#acme#ada#1", "#connections").await.unwrap();
    assert!(places["connections"].as_m().unwrap().is_empty());
}

#[tokio::test]
async fn the_first_subscription_takes_the_place_of_what_every_new_connection_watches() {
    let connections = TestTable::create().await.connections(1);
    connect(&connections, "a", now()).await.unwrap();
    connections.subscribe("a", &channel("campaign:c-17"), "5.x", 10).await.unwrap();
    assert_eq!(channels(&connections, "a").await, [("campaign:c-17".into(), "5.x".into())]);
    assert!(!connections.get("a").await.unwrap().unwrap().is_default);

    connections.subscribe("a", &channel("event:e"), "", 10).await.unwrap();
    connections.subscribe("a", &channel("campaign:c-17"), "9.y", 10).await.unwrap();
    let expected = [("campaign:c-17".to_owned(), "9.y".to_owned()), ("event:e".into(), String::new())];
    assert_eq!(channels(&connections, "a").await, expected);
}

#[tokio::test]
async fn a_connection_watches_as_many_channels_as_allowed() {
    let connections = TestTable::create().await.connections(1);
    connect(&connections, "a", now()).await.unwrap();
    for name in ["event:1", "event:2", "event:2"] {
        connections.subscribe("a", &channel(name), "", 2).await.unwrap();
    }
    assert_eq!(connections.subscribe("a", &channel("event:3"), "", 2).await, Err(SubscribeError::TooMany));
    connections.unsubscribe("a", &channel("event:1")).await.unwrap();
    connections.subscribe("a", &channel("event:3"), "", 2).await.unwrap();
}

#[tokio::test]
async fn subscriptions_at_once_are_all_kept() {
    let connections = TestTable::create().await.connections(1);
    connect(&connections, "a", now()).await.unwrap();
    let wanted: Vec<_> = (0..8).map(|n| channel(&format!("event:{n}"))).collect();
    for result in join_all(wanted.iter().map(|channel| connections.subscribe("a", channel, "", 8))).await {
        result.unwrap();
    }
    assert_eq!(channels(&connections, "a").await.len(), 8);
}

#[tokio::test]
async fn unsubscribing_from_everything_leaves_the_connection_silent_and_there() {
    let connections = TestTable::create().await.connections(1);
    connect(&connections, "a", now()).await.unwrap();
    for name in ["campaigns", "system", "system"] {
        connections.unsubscribe("a", &channel(name)).await.unwrap();
    }
    assert!(channels(&connections, "a").await.is_empty());
}

#[tokio::test]
async fn nobody_subscribes_for_a_connection_that_is_gone() {
    let connections = TestTable::create().await.connections(1);
    assert_eq!(connections.subscribe("a", &channel("event:1"), "", 2).await, Err(SubscribeError::Gone));
    assert_eq!(connections.unsubscribe("a", &channel("event:1")).await, Err(SubscribeError::Gone));
    assert_eq!(connections.get("a").await.unwrap(), None);
}

#[tokio::test]
async fn every_change_raises_the_version() {
    let connections = TestTable::create().await.connections(1);
    assert_eq!(connections.version(0).await.unwrap(), 0);
    connect(&connections, "a", now()).await.unwrap();
    assert_eq!(connections.version(0).await.unwrap(), 1);
    connections.subscribe("a", &channel("event:1"), "", 2).await.unwrap();
    connections.subscribe("a", &channel("event:2"), "", 2).await.unwrap();
    assert_eq!(connections.version(0).await.unwrap(), 3);
    connections.unsubscribe("a", &channel("event:1")).await.unwrap();
    assert_eq!(connections.version(0).await.unwrap(), 4);
    connections.disconnect("a").await.unwrap();
    assert_eq!(connections.version(0).await.unwrap(), 5);
}

#[tokio::test]
async fn disconnecting_twice_is_no_error() {
    let connections = TestTable::create().await.connections(1);
    connect(&connections, "a", now()).await.unwrap();
    for _ in 0..2 {
        connections.disconnect("a").await.unwrap();
        assert!(connections.connections(0).await.unwrap().is_empty());
    }
    connections.disconnect("never-there").await.unwrap();
}

#[tokio::test]
async fn a_connection_that_cannot_be_read_does_not_silence_the_others() {
    let table = TestTable::create().await;
    let connections = table.connections(1);
    for id in ["a", "b"] {
        connect(&connections, id, now()).await.unwrap();
    }
    table.set("shard#0", "a", "tenant", s("no tenant#")).await;
    assert_eq!(connections.connections(0).await.unwrap(), [connection("b")]);
    assert!(matches!(connections.get("a").await, Err(StoreError::Corrupt { .. })));
}

#[tokio::test]
async fn more_connections_than_a_page_holds_are_all_found() {
    let connections = TestTable::create().await.connections(1);
    // Some 20 KB each, so that a page ends after fifty.
    let permissions = vec!["p".repeat(20 * 1024)];
    for n in 0..60 {
        let connection = Connection { permissions: permissions.clone(), ..connection(&format!("c{n}")) };
        connections.connect(&connection, 100, now()).await.unwrap();
    }
    assert_eq!(connections.connections(0).await.unwrap().len(), 60);
}
