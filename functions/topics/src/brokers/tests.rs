use serde_json::json;
use tokio::time::{Instant, timeout};

use super::{
    broker::{Broker, Knows},
    *,
};
use crate::reconcile::{PATIENCE, reconcile};

fn wanted(topics: &[&str], more: &serde_json::Value) -> Wanted {
    let mut properties = json!({
        "ClusterArn": "arn:aws:kafka:eu-central-1:123456789012:cluster/livefold/1",
        "Topics": topics, "Partitions": "3", "ReplicationFactor": "2",
    });
    properties.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    Wanted::parse(&properties, None).unwrap()
}

fn names(names: &[&str]) -> Vec<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

fn knows(topics: &[(&str, i32)]) -> Knows {
    Knows { topics: topics.iter().map(|(name, count)| ((*name).to_owned(), *count)).collect(), ..Knows::default() }
}

fn soon() -> Instant {
    Instant::now() + Duration::from_secs(30)
}

#[tokio::test]
async fn topics_are_made_over_tls_by_whoever_shows_a_signed_token() {
    let broker = Broker::start(knows(&[("a", 9), ("other", 1)])).await;
    let ways = [Brokers::new(&broker.address, broker.access.clone(), false)];
    let outcome = reconcile(&ways, &wanted(&["a", "b", "c"], &json!({})), soon()).await;
    assert_eq!((outcome.made, outcome.existing), (names(&["b", "c"]), names(&["a"])));
    assert_eq!((outcome.missing, outcome.reasons), (names(&[]), names(&[])));

    let known = broker.knows.lock().unwrap();
    assert_eq!(known.topics, knows(&[("a", 9), ("b", 3), ("c", 3), ("other", 1)]).topics);
    assert_eq!(known.replication, [2, 2]);
    assert!(!known.tokens.is_empty());
    for token in &known.tokens {
        assert!(
            token.starts_with("https://kafka.eu-central-1.amazonaws.com/?Action=kafka-cluster%3AConnect&"),
            "{token}"
        );
        assert!(token.contains("X-Amz-Security-Token=session&") && token.contains("X-Amz-Expires=900&"), "{token}");
    }
}

#[tokio::test]
async fn a_cluster_that_decides_about_copies_is_left_to_and_topics_that_cannot_be_configured_are_told() {
    let broker = Broker::start(Knows::default()).await;
    let ways = [Brokers::new(&broker.address, broker.access.clone(), true)];
    let outcome = reconcile(&ways, &wanted(&["a"], &json!({ "RetentionHours": "72" })), soon()).await;
    assert_eq!((outcome.made, outcome.unconfigured), (names(&["a"]), names(&["a"])));
    assert_eq!(broker.knows.lock().unwrap().replication, [-1]);
}

#[tokio::test]
async fn a_topic_that_is_made_by_somebody_else_meanwhile_exists_and_one_that_is_refused_is_missing() {
    let broker = Broker::start(Knows { hidden: names(&["a"]), ..Knows::default() }).await;
    let ways = [Brokers::new(&broker.address, broker.access.clone(), false)];
    let outcome = reconcile(&ways, &wanted(&["a", "forbidden", "b"], &json!({})), soon()).await;
    assert_eq!((outcome.existing, outcome.made), (names(&["a"]), names(&["b"])));
    assert_eq!(outcome.missing, names(&["forbidden"]));
    assert!(outcome.reasons[0].ends_with("Access denied"), "{:?}", outcome.reasons);
}

#[tokio::test]
async fn more_partitions_are_not_made_over_this_way_and_the_topic_stays_as_it_is() {
    let broker = Broker::start(knows(&[("a", 1)])).await;
    let ways = [Brokers::new(&broker.address, broker.access.clone(), false)];
    let mut wanted = wanted(&["a"], &json!({}));
    wanted.is_raised = true;
    let outcome = reconcile(&ways, &wanted, soon()).await;
    assert_eq!((outcome.existing, outcome.fewer), (names(&["a"]), names(&["a"])));
    assert_eq!(broker.knows.lock().unwrap().topics, knows(&[("a", 1)]).topics);
}

/// What an unreachable way says, before anybody loses patience.
async fn unreachable(brokers: Brokers) -> String {
    let listed = timeout(PATIENCE, brokers.list(&names(&["a"]))).await.expect("it gives up by itself");
    let Err(AdminError::Unreachable(why)) = listed else { panic!("{listed:?}") };
    why
}

#[tokio::test]
async fn who_is_not_let_in_or_does_not_believe_the_broker_or_finds_none_learns_why_and_shows_no_token() {
    let closed = Broker::start(Knows { is_closed: true, ..Knows::default() }).await;
    let unbelieved = Broker::start(Knows::default()).await;
    let stranger = Access { tls: tls_with(RootCertStore::empty()).unwrap(), ..unbelieved.access.clone() };
    let (refused, unknown, absent) = tokio::join!(
        unreachable(Brokers::new(&closed.address, closed.access.clone(), false)),
        unreachable(Brokers::new(&unbelieved.address, stranger, false)),
        unreachable(Brokers::new("127.0.0.1:1", closed.access.clone(), false)),
    );
    assert!(refused.starts_with("Sasl handshake failed"), "{refused}");
    assert!(unknown.to_lowercase().contains("certificate"), "{unknown}");
    assert!(absent.contains("refused"), "{absent}");
    assert_eq!(unbelieved.knows.lock().unwrap().tokens, names(&[]));
    let token = "aHR0cHM6Ly9rYWZrYS5";
    assert!([refused, unknown, absent].iter().all(|why| !why.contains(token) && !why.contains("X-Amz")));
}
