//! Sends records to Kafka, for the simulator and the load test.

use std::collections::{BTreeMap, HashMap};

use anyhow::Context as _;
use futures_util::future::try_join_all;
use rskafka::{
    chrono::Utc,
    client::partition::{Compression, PartitionClient, UnknownTopicHandling},
    record::Record,
};

use crate::kafka;

/// The partitions of the topics that are written to.
pub(crate) struct Producer {
    topics: HashMap<&'static str, Vec<PartitionClient>>,
}

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
    /// Connects to the partitions of `topics`, which have to exist.
    pub(crate) async fn connect(kafka: &str, topics: &[&'static str]) -> anyhow::Result<Self> {
        let client = kafka::connect_for_good(kafka).await?;
        let existing = client.list_topics().await?;
        let mut clients = HashMap::new();
        for topic in topics {
            let there = existing.iter().find(|there| there.name == *topic);
            let there = there.with_context(|| format!("Kafka at {kafka} has no topic {topic}"))?;
            let partitions = there.partitions.iter();
            let connecting =
                partitions.map(|partition| client.partition_client(*topic, *partition, UnknownTopicHandling::Retry));
            clients.insert(*topic, try_join_all(connecting).await?);
        }
        Ok(Self { topics: clients })
    }

    /// Sends records, all of a partition in one batch and in their order, and waits until they are stored.
    pub(crate) async fn send(&self, records: Vec<Outgoing>) -> anyhow::Result<()> {
        let mut batches: BTreeMap<(&str, usize), Vec<Record>> = BTreeMap::new();
        for record in records {
            let Some(partitions) = self.topics.get(record.topic).filter(|partitions| !partitions.is_empty()) else {
                continue;
            };
            let partition = partition_of(record.key.as_bytes(), partitions.len());
            batches.entry((record.topic, partition)).or_default().push(Record {
                key: Some(record.key.into_bytes()),
                value: Some(record.value.into_bytes()),
                headers: BTreeMap::new(),
                timestamp: Utc::now(),
            });
        }
        let sending = batches.into_iter().map(|((topic, partition), batch)| {
            self.topics[topic][partition].produce(batch, Compression::NoCompression)
        });
        try_join_all(sending).await.context("Kafka does not take the records")?;
        Ok(())
    }
}

/// The partition that Java's producer, and those that follow it, choose for a key: a campaign's records stay in one
/// partition, whoever sends them.
fn partition_of(key: &[u8], partitions: usize) -> usize {
    (murmur2(key) & 0x7fff_ffff) as usize % partitions
}

/// `org.apache.kafka.common.utils.Utils.murmur2`.
fn murmur2(data: &[u8]) -> u32 {
    const M: u32 = 0x5bd1_e995;
    let mix = |word: u32| {
        let word = word.wrapping_mul(M);
        (word ^ (word >> 24)).wrapping_mul(M)
    };
    #[expect(clippy::cast_possible_truncation, reason = "a key is shorter than 4 GB")]
    let mut hash = 0x9747_b28c_u32 ^ data.len() as u32;
    let (words, rest) = data.as_chunks::<4>();
    for word in words {
        hash = hash.wrapping_mul(M) ^ mix(u32::from_le_bytes(*word));
    }
    if !rest.is_empty() {
        let word = rest.iter().rev().fold(0, |word, byte| word << 8 | u32::from(*byte));
        hash = (hash ^ word).wrapping_mul(M);
    }
    hash = (hash ^ (hash >> 13)).wrapping_mul(M);
    hash ^ (hash >> 15)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hash_is_kafkas() {
        // From Kafka's own UtilsTest.
        let cases = [
            ("21", -973_932_308),
            ("foobar", -790_332_482),
            ("a-little-bit-long-string", -985_981_536),
            ("a-little-bit-longer-string", -1_486_304_829),
            ("lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8", -58_897_971),
        ];
        for (key, expected) in cases {
            assert_eq!(murmur2(key.as_bytes()).cast_signed(), expected, "{key}");
        }
    }
}
