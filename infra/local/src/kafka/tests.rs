//! The embedded broker as a client meets it on the wire.

use std::time::Instant;

use rskafka::client::partition::{OffsetAt, PartitionClient, UnknownTopicHandling};

use super::*;
use crate::producer::{Outgoing, Producer};

const TOPIC: &str = "t";

async fn broker() -> EmbeddedBroker {
    let broker = EmbeddedBroker::start(0).await.unwrap();
    create_topics(&broker.address(), &[TOPIC.to_owned()], 1).await.unwrap();
    broker
}

async fn partition(broker: &EmbeddedBroker) -> PartitionClient {
    let client = connect(&broker.address()).await.unwrap();
    client.partition_client(TOPIC, 0, UnknownTopicHandling::Error).await.unwrap()
}

async fn send(broker: &EmbeddedBroker, values: &[&str]) {
    let producer = Producer::connect(&broker.address(), &[TOPIC]).await.unwrap();
    let outgoing = |value: &&str| Outgoing { topic: TOPIC, key: "k".to_owned(), value: (*value).to_owned() };
    producer.send(values.iter().map(outgoing).collect()).await.unwrap();
}

#[tokio::test]
async fn a_port_in_use_is_told_with_what_to_do() {
    let taken = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let port = taken.local_addr().unwrap().port();
    let error = EmbeddedBroker::start(port).await.err().unwrap().to_string();
    assert!(error.contains(&format!("port {port} is in use")) && error.contains("--kafka-port"), "{error}");
}

#[tokio::test]
async fn creating_topics_again_leaves_them_as_they_are() {
    let broker = broker().await;
    create_topics(&broker.address(), &[TOPIC.to_owned(), "u".to_owned()], 3).await.unwrap();
    let mut topics = connect(&broker.address()).await.unwrap().list_topics().await.unwrap();
    topics.sort_by(|a, b| a.name.cmp(&b.name));
    let partitions: Vec<_> = topics.iter().map(|topic| (topic.name.as_str(), topic.partitions.len())).collect();
    assert_eq!(partitions, [(TOPIC, 1), ("u", 3)]);
}

#[tokio::test]
async fn a_fetch_that_waits_is_answered_when_a_record_comes() {
    let broker = broker().await;
    let partition = partition(&broker).await;
    let begun = Instant::now();
    let (fetched, ()) = tokio::join!(partition.fetch_records(0, 1..1_000_000, 20_000), async {
        tokio::time::sleep(Duration::from_millis(50)).await;
        send(&broker, &["v"]).await;
    });
    let (records, end) = fetched.unwrap();
    assert_eq!((records[0].record.value.as_deref(), end), (Some("v".as_bytes()), 1));
    assert!(begun.elapsed() < Duration::from_secs(10), "not held for all of its maximum wait");
}

#[tokio::test]
async fn a_fetch_without_records_is_answered_after_its_maximum_wait() {
    let broker = broker().await;
    let (records, end) = partition(&broker).await.fetch_records(0, 1..1_000_000, 30).await.unwrap();
    assert_eq!((records.len(), end), (0, 0));
}

#[tokio::test]
async fn deleted_records_are_gone_and_later_ones_keep_their_offsets() {
    let broker = broker().await;
    let partition = partition(&broker).await;
    send(&broker, &["a", "b"]).await;
    partition.delete_records(2, 1000).await.unwrap();
    send(&broker, &["c"]).await;
    assert_eq!(partition.get_offset(OffsetAt::Earliest).await.unwrap(), 2);
    assert_eq!(partition.get_offset(OffsetAt::Latest).await.unwrap(), 3);
    let out_of_range = partition.fetch_records(0, 1..1_000_000, 0).await.unwrap_err();
    let KafkaError::ServerError { protocol_error, .. } = out_of_range else { panic!("{out_of_range}") };
    assert_eq!(protocol_error, ProtocolError::OffsetOutOfRange);
    let (records, _) = partition.fetch_records(2, 1..1_000_000, 0).await.unwrap();
    assert_eq!((records[0].offset, records[0].record.value.as_deref()), (2, Some("c".as_bytes())));
}

#[tokio::test]
async fn a_topic_made_again_begins_anew() {
    let broker = broker().await;
    send(&broker, &["a"]).await;
    let client = connect(&broker.address()).await.unwrap();
    client.controller_client().unwrap().delete_topic(TOPIC, 1000).await.unwrap();
    create_topics(&broker.address(), &[TOPIC.to_owned()], 1).await.unwrap();
    assert_eq!(partition(&broker).await.get_offset(OffsetAt::Latest).await.unwrap(), 0);
}
