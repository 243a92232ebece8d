//! What is counted of transactions. The embedded Kafka has none: `tests/parity/run` gives these tests a real one.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests fail by panicking")]

use std::time::Duration;

use e2e::{Options, Rest, System, eventually};
use rdkafka::{
    ClientConfig,
    producer::{FutureProducer, FutureRecord, Producer as _},
};
use serde_json::json;

const PATIENCE: Duration = Duration::from_secs(30);

/// A transactional producer, for a thread that may wait.
fn transactional(kafka: &str) -> FutureProducer {
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", kafka).set("transactional.id", "payments");
    let producer: FutureProducer = config.create().unwrap();
    producer.init_transactions(PATIENCE).unwrap();
    producer
}

/// Sends calls in one transaction, which is committed or aborted.
fn transaction(producer: &FutureProducer, calls: usize, is_committed: bool) {
    producer.begin_transaction().unwrap();
    let call = json!({"eventType": "call_initiated", "campaignId": "c", "callId": "k"}).to_string();
    for _ in 0..calls {
        let record = FutureRecord::to("campaign.events.v1").key("c").payload(&call);
        producer.send_result(record).map_err(|(error, _)| error).unwrap();
    }
    // Also an aborted one has its records in the log.
    producer.flush(PATIENCE).unwrap();
    if is_committed {
        producer.commit_transaction(PATIENCE).unwrap();
    } else {
        producer.abort_transaction(PATIENCE).unwrap();
    }
}

async fn counted(rest: &Rest, calls: usize) {
    let what = format!("{calls} calls are counted");
    eventually(&what, async || rest.campaign("c").await.filter(|metrics| metrics["totalAttempts"] == calls)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs a real Kafka, which tests/parity/run gives it"]
async fn committed_records_count_aborted_ones_do_not_and_other_producers_of_the_partition_go_on() {
    let system = System::start(Options::default()).await.unwrap();
    let token = system.tenant_token("acme").await.unwrap();
    let (plain, rest) = (system.producer().unwrap(), system.rest(Some(&token)));
    let call = json!({"eventType": "call_initiated", "campaignId": "c", "callId": "k"});
    plain.send_campaign(&call).await.unwrap();
    counted(&rest, 1).await;

    let kafka = system.kafka().to_owned();
    tokio::task::spawn_blocking(move || {
        let producer = transactional(&kafka);
        transaction(&producer, 2, true);
        transaction(&producer, 40, false);
        transaction(&producer, 3, true);
        transaction(&producer, 50, false);
    })
    .await
    .unwrap();
    // It lies behind all of them in the partition: once it counts, whatever of them ever counts has been counted.
    plain.send_campaign(&call).await.unwrap();
    counted(&rest, 7).await;
}
