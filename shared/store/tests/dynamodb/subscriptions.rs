use futures_util::future::join_all;
use store::{Connections, SubscribeError};
use testing::TestTable;

use crate::{channel, connections::connect, now};

async fn channels(connections: &Connections, id: &str) -> Vec<(String, String)> {
    let connection = connections.get(id).await.unwrap().unwrap();
    connection.channels.into_iter().map(|(channel, cursor)| (channel.to_string(), cursor)).collect()
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
async fn unsubscribing_from_what_is_not_watched_is_no_change_that_the_publisher_would_read() {
    let connections = TestTable::create().await.connections(1);
    connect(&connections, "a", now()).await.unwrap();
    connections.subscribe("a", &channel("event:1"), "", 9).await.unwrap();
    let version = connections.version(0).await.unwrap();
    connections.unsubscribe("a", &channel("event:2")).await.unwrap();
    assert_eq!(connections.version(0).await.unwrap(), version);
    connections.unsubscribe("a", &channel("event:1")).await.unwrap();
    assert_eq!(connections.version(0).await.unwrap(), version + 1);
}

#[tokio::test]
async fn nobody_subscribes_for_a_connection_that_is_gone() {
    let connections = TestTable::create().await.connections(1);
    assert_eq!(connections.subscribe("a", &channel("event:1"), "", 2).await, Err(SubscribeError::Gone));
    assert_eq!(connections.unsubscribe("a", &channel("event:1")).await, Err(SubscribeError::Gone));
    assert_eq!(connections.get("a").await.unwrap(), None);
}
