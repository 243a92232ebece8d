//! The trigger between a real broker and a function that fails.

use std::{
    collections::BTreeMap,
    sync::{
        Mutex,
        atomic::{AtomicUsize, Ordering},
    },
};

use bytes::Bytes;
use rdkafka::{
    message::{Header, OwnedHeaders},
    producer::{FutureProducer, FutureRecord},
};
use serde_json::Value;
use tokio::time::timeout;

use super::*;
use crate::{
    invoke::InvokeError,
    kafka::EmbeddedBroker,
    producer::{Outgoing, Producer},
};

const TOPIC: &str = "t";

/// A function that fails as it is told to, and keeps what it was invoked with.
#[derive(Default)]
struct Faulty {
    /// Which invocations fail, counted from 0.
    failing: Vec<usize>,
    invocations: Mutex<Vec<Seen>>,
    running: AtomicUsize,
    most_running: AtomicUsize,
}

/// Offsets by partition, as one invocation got them.
type Seen = BTreeMap<i64, Vec<i64>>;

impl Invoke for Faulty {
    async fn invoke(&self, _: &str, payload: Bytes) -> Result<Bytes, InvokeError> {
        let running = self.running.fetch_add(1, Ordering::SeqCst) + 1;
        self.most_running.fetch_max(running, Ordering::SeqCst);
        tokio::time::sleep(Duration::from_millis(2)).await;
        self.running.fetch_sub(1, Ordering::SeqCst);
        let event: Value = serde_json::from_slice(&payload).unwrap();
        let mut seen = Seen::new();
        for record in event["records"].as_object().unwrap().values().flat_map(|records| records.as_array().unwrap()) {
            let partition = record["partition"].as_i64().unwrap();
            seen.entry(partition).or_default().push(record["offset"].as_i64().unwrap());
        }
        let mut invocations = self.invocations.lock().unwrap();
        invocations.push(seen);
        if self.failing.contains(&(invocations.len() - 1)) { Err(InvokeError::Crashed) } else { Ok(Bytes::new()) }
    }
}

impl Faulty {
    fn invocations(&self) -> Vec<Seen> {
        self.invocations.lock().unwrap().clone()
    }

    /// Offsets by partition over all invocations that did not fail.
    fn accepted(&self) -> Seen {
        let mut accepted = Seen::new();
        for (n, seen) in self.invocations().into_iter().enumerate().filter(|(n, _)| !self.failing.contains(n)) {
            for (partition, offsets) in seen {
                assert!(!offsets.is_empty(), "invocation {n}");
                accepted.entry(partition).or_default().extend(offsets);
            }
        }
        accepted
    }
}

fn mapping(batch_size: usize, pollers: usize) -> Mapping {
    Mapping {
        topic: TOPIC.to_owned(),
        function: "ingest".to_owned(),
        batch_size,
        window: Duration::ZERO,
        pollers,
        reads_responses: false,
        consumer_group: "g".to_owned(),
    }
}

async fn produce(kafka: &str, records: usize) {
    let producer = Producer::connect(kafka, &[TOPIC]).await.unwrap();
    for n in 0..records {
        let outgoing = Outgoing { topic: TOPIC, key: format!("k{n}"), value: n.to_string() };
        producer.send(vec![outgoing]).await.unwrap();
    }
}

/// Runs a mapping over `records` records until the function has accepted as many.
async fn run_over(function: Faulty, mapping: Mapping, records: usize) -> Arc<Faulty> {
    let broker = EmbeddedBroker::start(0).await.unwrap();
    kafka::create_topics(&broker.address(), &[TOPIC.to_owned()], 3).await.unwrap();
    produce(&broker.address(), records).await;
    let function = Arc::new(function);
    let stop = CancellationToken::new();
    let running =
        tokio::spawn(run(mapping, broker.address(), Arc::clone(&function), Deliveries::default(), stop.clone()));
    let accepted = async {
        while function.accepted().values().map(Vec::len).sum::<usize>() < records {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    timeout(Duration::from_secs(20), accepted).await.expect("all records are accepted in time");
    stop.cancel();
    running.await.unwrap().unwrap();
    function
}

fn in_order_from_the_first(accepted: &Seen) {
    for offsets in accepted.values() {
        assert_eq!(*offsets, (0..i64::try_from(offsets.len()).unwrap()).collect::<Vec<_>>());
    }
}

#[tokio::test]
async fn a_failed_batch_comes_again_before_anything_that_follows_it() {
    let failing = vec![0, 1, 4];
    let function = run_over(Faulty { failing: failing.clone(), ..Faulty::default() }, mapping(10, 1), 60).await;
    let invocations = function.invocations();
    for n in failing {
        assert_eq!(invocations[n], invocations[n + 1], "the batch of invocation {n} follows itself");
    }
    in_order_from_the_first(&function.accepted());
    assert!(invocations.iter().all(|seen| seen.values().map(Vec::len).sum::<usize>() <= 10));
    assert_eq!(function.most_running.load(Ordering::SeqCst), 1);
}

/// A function that stores nothing of partition 0 the first three times, and says so in its response.
#[derive(Default)]
struct Partial(Faulty);

impl Invoke for Partial {
    async fn invoke(&self, function: &str, payload: Bytes) -> Result<Bytes, InvokeError> {
        self.0.invoke(function, payload).await?;
        let invocations = self.0.invocations();
        match invocations.last().unwrap().get(&0) {
            Some(offsets) if invocations.iter().filter(|seen| seen.contains_key(&0)).count() <= 3 => {
                Ok(Bytes::from(format!(
                    r#"{{"batchItemFailures":[{{"itemIdentifier":{{"partition":"{TOPIC}-0","offset":{}}}}}]}}"#,
                    offsets[0],
                )))
            }
            _ => Ok(Bytes::from_static(b"null")),
        }
    }
}

/// Runs a mapping over 60 records until each of them was delivered; the offsets of partition 0 as they came.
async fn partition_0_of(reads_responses: bool) -> Vec<i64> {
    let broker = EmbeddedBroker::start(0).await.unwrap();
    kafka::create_topics(&broker.address(), &[TOPIC.to_owned()], 3).await.unwrap();
    produce(&broker.address(), 60).await;
    let function = Arc::new(Partial::default());
    let stop = CancellationToken::new();
    let mapping = Mapping { reads_responses, ..mapping(10, 1) };
    let running =
        tokio::spawn(run(mapping, broker.address(), Arc::clone(&function), Deliveries::default(), stop.clone()));
    let delivered = async {
        let distinct = || {
            let seen = function.0.invocations().into_iter().flatten();
            seen.flat_map(|(partition, offsets)| offsets.into_iter().map(move |offset| (partition, offset)))
                .collect::<std::collections::BTreeSet<_>>()
        };
        while distinct().len() < 60 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    timeout(Duration::from_secs(20), delivered).await.expect("all records are delivered in time");
    stop.cancel();
    running.await.unwrap().unwrap();
    function.0.invocations().into_iter().flat_map(|mut seen| seen.remove(&0).unwrap_or_default()).collect()
}

#[tokio::test]
async fn a_mapping_that_reads_responses_brings_back_what_failed_before_anything_that_follows_it() {
    let mut delivered = partition_0_of(true).await;
    let stored = delivered.split_off(delivered.iter().rposition(|offset| *offset == 0).unwrap());
    assert_eq!(delivered.iter().filter(|offset| **offset == 0).count(), 3, "{delivered:?}");
    assert_eq!(stored, (0..i64::try_from(stored.len()).unwrap()).collect::<Vec<_>>());
}

#[tokio::test]
async fn a_mapping_that_does_not_takes_every_response_for_success() {
    let delivered = partition_0_of(false).await;
    assert_eq!(delivered, (0..i64::try_from(delivered.len()).unwrap()).collect::<Vec<_>>());
}

#[tokio::test]
async fn pollers_share_the_partitions_and_each_stays_in_order() {
    let function = run_over(Faulty { failing: vec![0, 3], ..Faulty::default() }, mapping(7, 2), 60).await;
    in_order_from_the_first(&function.accepted());
    for seen in function.invocations() {
        let is_first_poller = seen.contains_key(&0) || seen.contains_key(&2);
        assert!(!(is_first_poller && seen.contains_key(&1)), "a partition belongs to one poller: {seen:?}");
    }
}

#[tokio::test]
async fn a_mapping_to_a_function_that_is_not_there_ends_with_an_error() {
    struct Nothing;
    impl Invoke for Nothing {
        async fn invoke(&self, _: &str, _: Bytes) -> Result<Bytes, InvokeError> {
            Err(InvokeError::Unknown)
        }
    }
    let broker = EmbeddedBroker::start(0).await.unwrap();
    kafka::create_topics(&broker.address(), &[TOPIC.to_owned()], 3).await.unwrap();
    produce(&broker.address(), 1).await;
    let running =
        run(mapping(10, 1), broker.address(), Arc::new(Nothing), Deliveries::default(), CancellationToken::new());
    let error = timeout(Duration::from_secs(20), running).await.unwrap().unwrap_err();
    assert!(error.to_string().contains("no such function"), "{error}");
}

#[tokio::test]
async fn a_broker_that_is_lost_is_found_again_and_read_from_its_first_record() {
    let broker = EmbeddedBroker::start(0).await.unwrap();
    let address = broker.address();
    let port = address.rsplit(':').next().unwrap().parse().unwrap();
    kafka::create_topics(&address, &[TOPIC.to_owned()], 1).await.unwrap();
    produce(&address, 5).await;
    let function = Arc::new(Faulty::default());
    let stop = CancellationToken::new();
    let running =
        tokio::spawn(run(mapping(10, 1), address.clone(), Arc::clone(&function), Deliveries::default(), stop.clone()));
    let accepted = async |count: usize| {
        while function.accepted().values().map(Vec::len).sum::<usize>() < count {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    timeout(Duration::from_secs(20), accepted(5)).await.expect("the first broker is read");
    drop(broker);
    // The port is free as soon as the broker's task has ended.
    let again = async {
        loop {
            match EmbeddedBroker::start(port).await {
                Ok(broker) => return broker,
                Err(_) => tokio::time::sleep(Duration::from_millis(20)).await,
            }
        }
    };
    let _broker = timeout(Duration::from_secs(20), again).await.expect("the port is free again");
    kafka::create_topics(&address, &[TOPIC.to_owned()], 1).await.unwrap();
    produce(&address, 3).await;
    timeout(Duration::from_secs(30), accepted(8)).await.expect("the second broker is read");
    assert_eq!(function.accepted()[&0], [0, 1, 2, 3, 4, 0, 1, 2]);
    stop.cancel();
    running.await.unwrap().unwrap();
}

/// Waits until a condition holds of what the function has accepted.
async fn until(function: &Faulty, what: &str, holds: impl Fn(&Seen) -> bool) {
    let waiting = async {
        while !holds(&function.accepted()) {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    timeout(Duration::from_secs(30), waiting).await.unwrap_or_else(|_| panic!("never: {what}"));
}

#[tokio::test]
async fn a_header_without_a_value_stops_nothing() {
    let broker = EmbeddedBroker::start(0).await.unwrap();
    kafka::create_topics(&broker.address(), &[TOPIC.to_owned()], 1).await.unwrap();
    let producer: FutureProducer = kafka::config(&broker.address()).create().unwrap();
    let headers = OwnedHeaders::new().insert(Header::<&[u8]> { key: "traceparent", value: None });
    let odd = FutureRecord::<str, str>::to(TOPIC).payload("0").headers(headers);
    producer.send(odd, Duration::from_secs(20)).await.unwrap();
    produce(&broker.address(), 1).await;
    let function = Arc::new(Faulty::default());
    let stop = CancellationToken::new();
    let running =
        tokio::spawn(run(mapping(10, 1), broker.address(), Arc::clone(&function), Deliveries::default(), stop.clone()));
    until(&function, "both records are delivered", |seen| seen.get(&0).is_some_and(|offsets| *offsets == [0, 1])).await;
    stop.cancel();
    running.await.unwrap().unwrap();
}

#[tokio::test]
async fn a_record_that_no_invocation_can_carry_is_left_out_and_the_partition_goes_on() {
    let broker = EmbeddedBroker::start(0).await.unwrap();
    kafka::create_topics(&broker.address(), &[TOPIC.to_owned()], 1).await.unwrap();
    let mut config = kafka::config(&broker.address());
    let producer: FutureProducer =
        config.set("compression.type", "zstd").set("message.max.bytes", "9000000").create().unwrap();
    let value = "x".repeat(5_000_000);
    let large = FutureRecord::<str, str>::to(TOPIC).payload(&value);
    producer.send(large, Duration::from_secs(20)).await.unwrap();
    produce(&broker.address(), 1).await;
    let function = Arc::new(Faulty::default());
    let stop = CancellationToken::new();
    let running =
        tokio::spawn(run(mapping(10, 1), broker.address(), Arc::clone(&function), Deliveries::default(), stop.clone()));
    until(&function, "the second record is delivered", |seen| seen.get(&0).is_some_and(|offsets| *offsets == [1]))
        .await;
    stop.cancel();
    running.await.unwrap().unwrap();
}

#[tokio::test]
async fn partitions_that_are_added_are_read_too() {
    let broker = EmbeddedBroker::start(0).await.unwrap();
    let address = broker.address();
    kafka::create_topics(&address, &[TOPIC.to_owned()], 1).await.unwrap();
    produce(&address, 1).await;
    let function = Arc::new(Faulty::default());
    let stop = CancellationToken::new();
    let look = Duration::from_millis(50);
    let running = tokio::spawn(run_and_look(
        mapping(10, 1),
        address.clone(),
        Arc::clone(&function),
        Deliveries::default(),
        stop.clone(),
        look,
    ));
    until(&function, "the first partition is read", |seen| seen.contains_key(&0)).await;
    // The embedded broker adds none to a topic, but a topic may be made again with more.
    let client = rskafka::client::ClientBuilder::new(vec![address.clone()]).build().await.unwrap();
    client.controller_client().unwrap().delete_topic(TOPIC, 10_000).await.unwrap();
    kafka::create_topics(&address, &[TOPIC.to_owned()], 3).await.unwrap();
    produce(&address, 60).await;
    until(&function, "the others are read from their first record", |seen| {
        [1, 2].iter().all(|partition| seen.get(partition).is_some_and(|offsets| offsets[0] == 0))
    })
    .await;
    stop.cancel();
    running.await.unwrap().unwrap();
}
