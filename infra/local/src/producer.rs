//! Sends records to Kafka, for the simulator and the load test.

use std::time::Duration;

use anyhow::{Context as _, bail};
use futures_util::future::try_join_all;
use rdkafka::producer::{FutureProducer, FutureRecord, future_producer::Delivery};

use crate::kafka;

/// How long a broker that went away may take to come back before a record is given up.
const PATIENCE: Duration = Duration::from_mins(5);

/// An ordinary producer.
pub(crate) struct Producer(FutureProducer);

/// A record to be sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Outgoing {
    /// Where to.
    pub(crate) topic: &'static str,
    /// What decides on its partition.
    pub(crate) key: String,
    /// Its value.
    pub(crate) value: String,
}

impl Producer {
    /// Connects to a Kafka that has these topics.
    pub(crate) async fn connect(kafka: &str, topics: &[&str]) -> anyhow::Result<Self> {
        let existing = kafka::partitions(kafka).await?;
        if let Some(topic) = topics.iter().find(|topic| !existing.contains_key(**topic)) {
            bail!("Kafka at {kafka} has no topic {topic}");
        }
        let mut config = kafka::config(kafka);
        // The partition that Java's producer, and those that follow it, choose for a key: a campaign's records stay in one
        // partition, whoever sends them.
        config.set("partitioner", "murmur2_random");
        // Who sends has gathered what goes together.
        config.set("linger.ms", "0");
        config.set("message.timeout.ms", PATIENCE.as_millis().to_string());
        // Tries again what was not acknowledged, and stores it once and in its order.
        config.set("enable.idempotence", "true");
        Ok(Self(config.create().context("the producer cannot be made")?))
    }

    /// Sends records, those of a key in their order, and waits until they are stored; says where each of them is.
    pub(crate) async fn send(&self, records: Vec<Outgoing>) -> anyhow::Result<Vec<Delivery>> {
        let sending = records.iter().map(|record| {
            let Outgoing { topic, key, value } = record;
            let record = FutureRecord::to(topic).key(key).payload(value);
            async { self.0.send(record, PATIENCE).await.map_err(|(error, _)| error) }
        });
        try_join_all(sending).await.context("Kafka does not take the records")
    }
}
