//! The embedded broker as clients meet it on the wire: librdkafka, rskafka, and bytes.

use std::{
    net::Ipv4Addr,
    time::{Duration, Instant},
};

use bytes::{Buf as _, Bytes};
use rdkafka::{
    ClientConfig,
    error::{KafkaError, RDKafkaErrorCode},
    message::{Header, OwnedHeaders},
    producer::{FutureProducer, FutureRecord, Producer as _},
};
use rskafka::client::{
    Client, ClientBuilder,
    error::{Error, ProtocolError},
    partition::{OffsetAt, PartitionClient, UnknownTopicHandling},
};
use tansu_sans_io::{ApiKey as _, ApiVersionsRequest, ApiVersionsResponse, Body, ErrorCode, Frame};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
};

use super::*;
use crate::producer::{Outgoing, Producer};

const TOPIC: &str = "t";

async fn broker() -> EmbeddedBroker {
    let broker = EmbeddedBroker::start(0).await.unwrap();
    create_topics(&broker.address(), &[TOPIC.to_owned()], 1).await.unwrap();
    broker
}

async fn connect(address: &str) -> Client {
    ClientBuilder::new(vec![address.to_owned()]).build().await.unwrap()
}

async fn partition(broker: &EmbeddedBroker) -> PartitionClient {
    connect(&broker.address()).await.partition_client(TOPIC, 0, UnknownTopicHandling::Error).await.unwrap()
}

async fn send(broker: &EmbeddedBroker, values: &[&str]) {
    let producer = Producer::connect(&broker.address(), &[TOPIC]).await.unwrap();
    let outgoing = |value: &&str| Outgoing { topic: TOPIC, key: "k".to_owned(), value: (*value).to_owned() };
    producer.send(values.iter().map(outgoing).collect()).await.unwrap();
}

/// librdkafka with one setting of its own.
fn producer(broker: &EmbeddedBroker, setting: &str, value: &str) -> FutureProducer {
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", broker.address()).set("message.timeout.ms", "20000").set(setting, value);
    config.create().unwrap()
}

/// A connection that speaks in bytes.
async fn raw(broker: &EmbeddedBroker) -> TcpStream {
    TcpStream::connect(broker.address()).await.unwrap()
}

/// The next answer, without its length.
async fn answer(stream: &mut TcpStream) -> Bytes {
    let mut bytes = vec![0; stream.read_u32().await.unwrap() as usize];
    stream.read_exact(&mut bytes).await.unwrap();
    bytes.into()
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
    let mut topics = connect(&broker.address()).await.list_topics().await.unwrap();
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
    let Error::ServerError { protocol_error, .. } = out_of_range else { panic!("{out_of_range}") };
    assert_eq!(protocol_error, ProtocolError::OffsetOutOfRange);
    let (records, _) = partition.fetch_records(2, 1..1_000_000, 0).await.unwrap();
    assert_eq!((records[0].offset, records[0].record.value.as_deref()), (2, Some("c".as_bytes())));
}

#[tokio::test]
async fn a_topic_made_again_begins_anew() {
    let broker = broker().await;
    send(&broker, &["a"]).await;
    let client = connect(&broker.address()).await;
    client.controller_client().unwrap().delete_topic(TOPIC, 1000).await.unwrap();
    create_topics(&broker.address(), &[TOPIC.to_owned()], 1).await.unwrap();
    assert_eq!(partition(&broker).await.get_offset(OffsetAt::Latest).await.unwrap(), 0);
}

#[tokio::test]
async fn the_newest_client_is_told_which_versions_are_known() {
    // `ApiVersions` in version 5, as Java's client 4.4 sends it: header with client id and tags, then the client's name and
    // version, the cluster's id and the node's.
    let mut request = vec![0, 18, 0, 5, 0, 0, 0, 7, 0, 1, b'c', 0];
    request.extend([5, b'j', b'a', b'v', b'a', 6, b'4', b'.', b'4', b'.', b'0', 8]);
    request.extend(*b"cluster");
    request.extend([0, 0, 0, 1, 0]);
    let broker = broker().await;
    let mut stream = raw(&broker).await;
    stream.write_u32(u32::try_from(request.len()).unwrap()).await.unwrap();
    stream.write_all(&request).await.unwrap();
    let mut answer = answer(&mut stream).await;
    assert_eq!((answer.get_i32(), answer.get_i16()), (7, ErrorCode::UnsupportedVersion.into()));
    // An array of one: the request itself, its oldest and its newest version.
    assert_eq!((answer.get_i32(), answer.get_i16(), answer.get_i16()), (1, 18, 0));
    let newest = answer.get_i16();
    assert!((3..5).contains(&newest) && answer.is_empty(), "{newest}, then {answer:?}");

    ask_versions(&mut stream, newest).await;
}

/// Asks for versions in one that is known, and gets them.
async fn ask_versions(stream: &mut TcpStream, version: i16) {
    let header = tansu_sans_io::Header::Request {
        api_key: ApiVersionsRequest::KEY,
        api_version: version,
        correlation_id: 8,
        client_id: Some("c".to_owned()),
    };
    let body = ApiVersionsRequest::default()
        .client_software_name(Some("java".to_owned()))
        .client_software_version(Some("4.4.0".to_owned()));
    stream.write_all(&Frame::request(header, body.into()).unwrap()).await.unwrap();
    let mut length = stream.read_u32().await.unwrap().to_be_bytes().to_vec();
    let mut rest = vec![0; u32::from_be_bytes(length[..].try_into().unwrap()) as usize];
    stream.read_exact(&mut rest).await.unwrap();
    length.append(&mut rest);
    let frame = Frame::response_from_bytes(Bytes::from(length), ApiVersionsRequest::KEY, version).unwrap();
    assert_eq!(frame.correlation_id().unwrap(), 8);
    let Body::ApiVersionsResponse(ApiVersionsResponse { error_code, api_keys, .. }) = frame.body else {
        panic!("{frame:?}")
    };
    assert_eq!((error_code, api_keys.unwrap().len() > 10), (0, true));
}

#[tokio::test]
async fn a_producer_that_wants_no_acknowledgement_gets_none_and_all_is_stored() {
    let broker = broker().await;
    let producer = producer(&broker, "acks", "0");
    let sending = (0..200).map(|n: i32| {
        let value = n.to_string();
        let producer = &producer;
        async move { producer.send(FutureRecord::<str, str>::to(TOPIC).payload(&value), Duration::ZERO).await }
    });
    for sent in futures_util::future::join_all(sending).await {
        sent.unwrap();
    }
    // Without acknowledgements nobody knows when the last has come.
    let partition = partition(&broker).await;
    let all = async { while partition.get_offset(OffsetAt::Latest).await.unwrap() < 200 {} };
    tokio::time::timeout(Duration::from_secs(20), all).await.expect("200 records are stored");
    // What is answered next is an answer to what is asked next.
    let asked = tokio::task::spawn_blocking(move || {
        producer.flush(Duration::from_secs(20)).unwrap();
        producer.client().fetch_metadata(Some(TOPIC), Duration::from_secs(20)).is_ok()
    });
    assert!(asked.await.unwrap());
}

#[tokio::test]
async fn a_transactional_producer_is_told_that_there_are_no_transactions() {
    let broker = broker().await;
    let producer = producer(&broker, "transactional.id", "payments");
    let error = tokio::task::spawn_blocking(move || producer.init_transactions(Duration::from_secs(20))).await.unwrap();
    let error = error.unwrap_err().to_string();
    assert!(error.contains("the embedded Kafka of `cargo dev` has no transactions"), "{error}");
}

#[tokio::test]
async fn a_record_that_kafka_would_not_take_is_refused() {
    let broker = broker().await;
    let producer = producer(&broker, "message.max.bytes", "10000000");
    let value = vec![b'x'; 2_000_000];
    let sent = producer.send(FutureRecord::<str, [u8]>::to(TOPIC).payload(&value), Duration::ZERO).await;
    let (error, _) = sent.unwrap_err();
    assert_eq!(error, KafkaError::MessageProduction(RDKafkaErrorCode::MessageSizeTooLarge));
    send(&broker, &["small"]).await;
}

#[tokio::test]
async fn a_header_without_a_value_is_stored() {
    let broker = broker().await;
    let headers = OwnedHeaders::new().insert(Header::<&[u8]> { key: "traceparent", value: None });
    let record = FutureRecord::<str, str>::to(TOPIC).payload("v").headers(headers);
    producer(&broker, "linger.ms", "0").send(record, Duration::ZERO).await.unwrap();
    assert_eq!(partition(&broker).await.get_offset(OffsetAt::Latest).await.unwrap(), 1);
}
