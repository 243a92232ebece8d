use futures_util::future::join_all;
use store::{Connection, Connections, SubscribeError, Terms};
use testing::TestTable;

use crate::{channel, connections::connect, now};

async fn channels(connections: &Connections, id: &str) -> Vec<(String, String)> {
    let connection = connections.get(id).await.unwrap().unwrap();
    connection.channels.into_iter().map(|(channel, cursor)| (channel.to_string(), cursor)).collect()
}

const fn terms(max: usize) -> Terms {
    Terms { max, batch: false }
}

async fn get(connections: &Connections) -> Connection {
    connections.get("a").await.unwrap().unwrap()
}

/// Subscribes to all of these, with what is known.
async fn subscribe_all(connections: &Connections, known: &Connection, names: &[&str], max: usize) -> Vec<String> {
    let answered: Vec<_> = names.iter().map(|name| (channel(name), format!("f{name}"))).collect();
    let refused = connections.subscribe_all(known, &answered, terms(max)).await.unwrap();
    refused.iter().map(ToString::to_string).collect()
}

#[tokio::test]
async fn the_first_subscription_takes_the_place_of_what_every_new_connection_watches() {
    let connections = TestTable::create().await.connections(1);
    connect(&connections, "a", now()).await.unwrap();
    connections.subscribe("a", &channel("campaign:c-17"), "5.x", terms(10)).await.unwrap();
    assert_eq!(channels(&connections, "a").await, [("campaign:c-17".into(), "5.x".into())]);
    assert!(!connections.get("a").await.unwrap().unwrap().is_default);

    connections.subscribe("a", &channel("event:e"), "", terms(10)).await.unwrap();
    connections.subscribe("a", &channel("campaign:c-17"), "9.y", terms(10)).await.unwrap();
    let expected = [("campaign:c-17".to_owned(), "9.y".to_owned()), ("event:e".into(), String::new())];
    assert_eq!(channels(&connections, "a").await, expected);
}

#[tokio::test]
async fn a_connection_watches_as_many_channels_as_allowed() {
    let connections = TestTable::create().await.connections(1);
    connect(&connections, "a", now()).await.unwrap();
    for name in ["event:1", "event:2", "event:2"] {
        connections.subscribe("a", &channel(name), "", terms(2)).await.unwrap();
    }
    assert_eq!(connections.subscribe("a", &channel("event:3"), "", terms(2)).await, Err(SubscribeError::TooMany));
    connections.unsubscribe("a", &channel("event:1")).await.unwrap();
    connections.subscribe("a", &channel("event:3"), "", terms(2)).await.unwrap();
}

#[tokio::test]
async fn subscriptions_at_once_are_all_kept() {
    let connections = TestTable::create().await.connections(1);
    connect(&connections, "a", now()).await.unwrap();
    let wanted: Vec<_> = (0..8).map(|n| channel(&format!("event:{n}"))).collect();
    for result in join_all(wanted.iter().map(|channel| connections.subscribe("a", channel, "", terms(8)))).await {
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
    let table = TestTable::create().await;
    let connections = table.connections(1);
    connect(&connections, "a", now()).await.unwrap();
    connections.subscribe("a", &channel("event:1"), "", terms(9)).await.unwrap();
    let entered = table.entered(0).await.len();
    connections.unsubscribe("a", &channel("event:2")).await.unwrap();
    assert_eq!(table.entered(0).await.len(), entered);
    connections.unsubscribe("a", &channel("event:1")).await.unwrap();
    assert_eq!(table.entered(0).await.len(), entered + 1);
}

#[tokio::test]
async fn nobody_subscribes_for_a_connection_that_is_gone() {
    let connections = TestTable::create().await.connections(1);
    assert_eq!(connections.subscribe("a", &channel("event:1"), "", terms(2)).await, Err(SubscribeError::Gone));
    assert_eq!(connections.unsubscribe("a", &channel("event:1")).await, Err(SubscribeError::Gone));
    assert_eq!(connections.get("a").await.unwrap(), None);
}

#[tokio::test]
async fn a_list_takes_the_place_of_the_defaults_in_one_write_and_adds_to_what_was_chosen() {
    let table = TestTable::create().await;
    let connections = table.connections(1);
    connect(&connections, "a", now()).await.unwrap();
    let entered = table.entered(0).await.len();
    assert!(subscribe_all(&connections, &get(&connections).await, &["event:1", "event:2"], 9).await.is_empty());
    let expected = [("event:1".to_owned(), "fevent:1".to_owned()), ("event:2".into(), "fevent:2".into())];
    assert_eq!(channels(&connections, "a").await, expected);
    assert!(subscribe_all(&connections, &get(&connections).await, &["event:2", "event:3"], 9).await.is_empty());
    assert_eq!(channels(&connections, "a").await.len(), 3);
    assert_eq!(table.entered(0).await.len(), entered + 2, "the publisher looks once for each list");
}

#[tokio::test]
async fn of_a_list_that_is_too_long_the_first_are_watched() {
    let table = TestTable::create().await;
    let connections = table.connections(1);
    connect(&connections, "a", now()).await.unwrap();
    connections.subscribe("a", &channel("event:1"), "", terms(3)).await.unwrap();
    let known = get(&connections).await;
    let refused = subscribe_all(&connections, &known, &["event:2", "event:1", "event:3", "event:4"], 3).await;
    assert_eq!(refused, ["event:4"]);
    let (known, entered) = (get(&connections).await, table.entered(0).await.len());
    assert_eq!(subscribe_all(&connections, &known, &["event:4", "event:5"], 3).await, ["event:4", "event:5"]);
    assert_eq!(table.entered(0).await.len(), entered, "nothing has changed");
    assert_eq!(get(&connections).await, known);
}

#[tokio::test]
async fn who_knows_an_older_state_of_a_connection_undoes_nothing() {
    let connections = TestTable::create().await.connections(1);
    connect(&connections, "a", now()).await.unwrap();
    let known = get(&connections).await;
    connections.subscribe("a", &channel("event:1"), "", terms(3)).await.unwrap();
    assert_eq!(subscribe_all(&connections, &known, &["event:2", "event:3", "event:4"], 3).await, ["event:4"]);
    let watched = ["event:1", "event:2", "event:3"];
    let names: Vec<String> = channels(&connections, "a").await.into_iter().map(|(name, _)| name).collect();
    assert_eq!(names, watched);
    connections.unsubscribe_all(&known, &[]).await.unwrap();
    let seen = get(&connections).await;
    connections.unsubscribe("a", &channel("event:1")).await.unwrap();
    connections.unsubscribe_all(&seen, &["event:1", "event:2", "event:9"].map(channel)).await.unwrap();
    assert_eq!(channels(&connections, "a").await, [("event:3".to_owned(), "fevent:3".to_owned())]);
}

#[tokio::test]
async fn leaving_a_list_of_which_nothing_is_watched_is_no_change() {
    let table = TestTable::create().await;
    let connections = table.connections(1);
    connect(&connections, "a", now()).await.unwrap();
    let (known, entered) = (get(&connections).await, table.entered(0).await.len());
    connections.unsubscribe_all(&known, &["event:1", "event:2"].map(channel)).await.unwrap();
    assert_eq!(table.entered(0).await.len(), entered);
    connections.unsubscribe_all(&known, &["campaigns", "system"].map(channel)).await.unwrap();
    assert!(channels(&connections, "a").await.is_empty());
    connections.disconnect("a").await.unwrap();
    let gone = connections.unsubscribe_all(&known, &["system"].map(channel)).await;
    assert_eq!(gone, Err(SubscribeError::Gone));
}

#[tokio::test]
async fn who_once_asked_for_batches_gets_them_from_then_on() {
    let connections = TestTable::create().await.connections(1);
    connect(&connections, "a", now()).await.unwrap();
    let asking = |batch| Terms { max: 9, batch };
    connections.subscribe("a", &channel("event:1"), "", asking(false)).await.unwrap();
    assert!(!get(&connections).await.batch);
    connections.subscribe("a", &channel("event:2"), "", asking(true)).await.unwrap();
    assert!(get(&connections).await.batch);
    connections.subscribe("a", &channel("event:3"), "", asking(false)).await.unwrap();
    assert!(get(&connections).await.batch, "it holds");

    connect(&connections, "b", now()).await.unwrap();
    let known = connections.get("b").await.unwrap().unwrap();
    connections.subscribe_all(&known, &[(channel("event:1"), String::new())], asking(true)).await.unwrap();
    assert!(connections.get("b").await.unwrap().unwrap().batch);
}
