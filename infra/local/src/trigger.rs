//! The MSK trigger: reads a topic and invokes a function with its records, as Lambda's event source mapping does.
//!
//! At least once, and each partition in order with one invocation at a time: a batch that fails is delivered again,
//! for ever, before anything that follows it.
//!
//! It begins with the earliest record that the topic still has, at each start. That is right for a local system:
//! what has been counted is known by the watermarks in DynamoDB alone, so what is delivered again is skipped, and
//! when DynamoDB was in memory and is empty again, it all counts again. A committed offset would lose it.

mod batch;
mod event;
mod poller;
mod reader;
mod response;

use std::{sync::Arc, time::Duration};

use tokio::{sync::mpsc, task::JoinSet};
use tokio_util::sync::CancellationToken;

use self::{event::Source, poller::Poller, reader::Reader};
use crate::{backoff::Backoff, invoke::Invoke, kafka};

/// How an event source mapping is configured.
#[derive(Clone, Debug)]
pub(crate) struct Mapping {
    /// The topic that it reads.
    pub(crate) topic: String,
    /// The function that it invokes.
    pub(crate) function: String,
    /// The most records of an invocation.
    pub(crate) batch_size: usize,
    /// How long a batch may gather; zero to invoke as soon as there is a record.
    pub(crate) window: Duration,
    /// How many invocations run at a time; the partitions are shared among them.
    pub(crate) pollers: usize,
    /// Whether it reads from the function's response which partitions have to come again (`ReportBatchItemFailures`). One
    /// that does not takes every response for success.
    pub(crate) reads_responses: bool,
    /// The consumer group that the mapping would commit its offsets to. Here nothing is committed; see the module.
    pub(crate) consumer_group: String,
}

/// Chunks of records that a poller's readers may have ready for it, beside the one that each holds.
const READY_CHUNKS: usize = 2;

/// Runs a mapping until `stop`. It waits for brokers and topics that are not there, and fails only where the function
/// does not exist.
pub(crate) async fn run<I: Invoke>(
    mapping: Mapping,
    kafka: String,
    invoker: Arc<I>,
    stop: CancellationToken,
) -> anyhow::Result<()> {
    let Some(partitions) = stop.run_until_cancelled(partitions(&kafka, &mapping.topic)).await else {
        return Ok(());
    };
    let Mapping { topic, function, consumer_group, .. } = &mapping;
    tracing::debug!(topic, function, consumer_group, partitions = partitions.len(), "reading");
    let source = Arc::new(Source::new(&kafka, &mapping.topic));
    let mut readers = JoinSet::new();
    let mut pollers = JoinSet::new();
    let pollers_wanted = mapping.pollers.clamp(1, partitions.len().max(1));
    for n in 0..pollers_wanted {
        let (ready, chunks) = mpsc::channel(READY_CHUNKS);
        for partition in partitions.iter().skip(n).step_by(pollers_wanted) {
            let reader = Reader::new(kafka.clone(), mapping.topic.clone(), *partition);
            readers.spawn(reader.run(ready.clone()));
        }
        let poller = Poller::new(mapping.clone(), Arc::clone(&source), Arc::clone(&invoker), chunks);
        let stop = stop.clone();
        pollers.spawn(async move { poller.run(stop).await });
    }
    // A reader ends only when its poller has.
    while let Some(ended) = pollers.join_next().await {
        ended??;
    }
    Ok(())
}

/// The partitions of a topic, as soon as there is a broker that has it.
async fn partitions(kafka: &str, topic: &str) -> Vec<i32> {
    let mut backoff = Backoff::default();
    loop {
        let missing = match kafka::connect(kafka).await {
            Ok(client) => match client.list_topics().await {
                Ok(topics) => match topics.into_iter().find(|there| there.name == topic) {
                    Some(there) => return there.partitions.into_iter().collect(),
                    None => format!("Kafka at {kafka} has no topic {topic}"),
                },
                Err(_) => format!("Kafka at {kafka} does not list its topics"),
            },
            Err(error) => error.to_string(),
        };
        let pause = backoff.next_pause();
        tracing::warn!("{missing}; asking again in {pause:?}");
        tokio::time::sleep(pause).await;
    }
}

#[cfg(test)]
mod tests;
