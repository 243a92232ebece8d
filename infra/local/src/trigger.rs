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
use crate::{backoff::Backoff, console, deliveries::Deliveries, invoke::Invoke, kafka};

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

/// Chunks of records that a poller's reader may have ready for it, beside the one that it holds.
const READY_CHUNKS: usize = 2;

/// How often partitions are looked for that were added meanwhile.
const LOOK: Duration = Duration::from_secs(20);

/// Runs a mapping until `stop`. It waits for brokers and topics that are not there, and fails only where the function
/// does not exist.
pub(crate) async fn run<I: Invoke>(
    mapping: Mapping,
    kafka: String,
    invoker: Arc<I>,
    deliveries: Deliveries,
    stop: CancellationToken,
) -> anyhow::Result<()> {
    run_and_look(mapping, kafka, invoker, deliveries, stop, LOOK).await
}

async fn run_and_look<I: Invoke>(
    mapping: Mapping,
    kafka: String,
    invoker: Arc<I>,
    deliveries: Deliveries,
    stop: CancellationToken,
    look: Duration,
) -> anyhow::Result<()> {
    let Some(known) = stop.run_until_cancelled(partitions(&kafka, &mapping.topic)).await else { return Ok(()) };
    let Mapping { topic, function, consumer_group, .. } = &mapping;
    tracing::debug!(topic, function, consumer_group, known, "reading");
    let source = Arc::new(Source::new(&kafka, topic));
    let mut readers = Vec::new();
    let mut reading = JoinSet::new();
    let mut pollers = JoinSet::new();
    let pollers_wanted = mapping.pollers.clamp(1, usize::try_from(known).unwrap_or(1).max(1));
    for n in 0..pollers_wanted {
        let (ready, chunks) = mpsc::channel(READY_CHUNKS);
        let reader = Arc::new(Reader::new(&kafka, topic, consumer_group)?);
        reader.add((0..known).skip(n).step_by(pollers_wanted))?;
        readers.push(Arc::clone(&reader));
        // A reader ends when its poller has.
        reading.spawn(async move { reader.run(ready).await });
        let poller =
            Poller::new(mapping.clone(), Arc::clone(&source), Arc::clone(&invoker), deliveries.clone(), chunks);
        let stop = stop.clone();
        pollers.spawn(async move { poller.run(stop).await });
    }
    tokio::select! {
        () = add_partitions(&kafka, topic, known, &readers, look) => Ok(()),
        ended = async {
            while let Some(ended) = pollers.join_next().await {
                ended??;
            }
            Ok(())
        } => ended,
    }
}

/// Gives each partition that is added to a topic to one of its readers, for ever.
async fn add_partitions(kafka: &str, topic: &str, mut known: i32, readers: &[Arc<Reader>], every: Duration) {
    loop {
        tokio::time::sleep(every).await;
        // Where nothing answers, readers say so.
        let Some(there) = kafka::partitions(kafka).await.ok().and_then(|topics| topics.get(topic).copied()) else {
            continue;
        };
        if there > known {
            tracing::info!("{topic} has {there} partitions now");
        }
        let shares = (0..there).zip(readers.iter().cycle());
        for (partition, reader) in shares.filter(|(partition, _)| *partition >= known) {
            if let Err(error) = reader.add(std::iter::once(partition)) {
                console::warn(&format!("{topic}-{partition} is not read: {error}"));
            }
        }
        known = known.max(there);
    }
}

/// How many partitions a topic has, as soon as there is a broker that has it.
async fn partitions(kafka: &str, topic: &str) -> i32 {
    let mut backoff = Backoff::default();
    loop {
        let missing = match kafka::partitions(kafka).await {
            Ok(topics) => match topics.get(topic) {
                Some(partitions) => return *partitions,
                None => format!("Kafka at {kafka} has no topic {topic}"),
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
