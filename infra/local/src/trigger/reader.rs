//! Reads partitions, each from its earliest record on.

use std::{
    sync::Mutex,
    time::{Duration, Instant},
};

use futures_util::StreamExt as _;
use rdkafka::{
    ClientContext, Offset, TopicPartitionList,
    config::RDKafkaLogLevel,
    consumer::{Consumer as _, ConsumerContext, StreamConsumer},
    error::{KafkaError, KafkaResult},
    message::Message,
};
use tokio::sync::mpsc;

use super::{batch::MAX_PAYLOAD_BYTES, event::Encoded};
use crate::{console, kafka};

/// The most records that are handed on at once: those of the greatest batch.
const CHUNK: usize = 10_000;

/// The most that waits in memory to be read. A few invocations' worth.
const QUEUED_KB: &str = "16384";

/// An error that goes on is told again after this long.
const SILENCE: Duration = Duration::from_secs(10);

/// Reads some of a topic's partitions.
///
/// The client is librdkafka: it reads what is committed of transactions and leaves out what is aborted, as Lambda's pollers do.
pub(super) struct Reader {
    topic: String,
    consumer: StreamConsumer<Warnings>,
    told: Mutex<Option<(KafkaError, Instant)>>,
}

/// Passes on what librdkafka says itself.
struct Warnings {
    topic: String,
}

impl ClientContext for Warnings {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        // Records were deleted that had not been read: no error, but nobody else says so.
        if facility == "OFFSET" && matches!(level, RDKafkaLogLevel::Warning) {
            tracing::warn!("{}: records that were to be read are no longer there ({message})", self.topic);
        }
    }

    fn error(&self, _: KafkaError, _: &str) {
        // It comes to whoever reads as well.
    }
}

impl ConsumerContext for Warnings {}

impl Reader {
    /// A reader that reads no partition yet.
    pub(super) fn new(kafka: &str, topic: &str, group: &str) -> KafkaResult<Self> {
        let mut config = kafka::config(kafka);
        // No offset is committed, and no group is joined; the library wants the name of one.
        config.set("group.id", group).set("enable.auto.commit", "false");
        config.set("isolation.level", "read_committed").set("auto.offset.reset", "earliest");
        config.set("queued.max.messages.kbytes", QUEUED_KB).set("fetch.queue.backoff.ms", "10");
        // A partition that was added, or a broker that is new, is known soon.
        config.set("topic.metadata.refresh.interval.ms", "10000").set("fetch.error.backoff.ms", "100");
        let consumer = config.create_with_context(Warnings { topic: topic.to_owned() })?;
        Ok(Self { topic: topic.to_owned(), consumer, told: Mutex::default() })
    }

    /// Begins to read these partitions.
    pub(super) fn add(&self, partitions: impl Iterator<Item = i32>) -> KafkaResult<()> {
        let mut added = TopicPartitionList::new();
        for partition in partitions {
            added.add_partition_offset(&self.topic, partition, Offset::Beginning)?;
        }
        self.consumer.incremental_assign(&added)
    }

    /// Reads for as long as somebody takes what is read.
    pub(super) async fn run(&self, ready: mpsc::Sender<Vec<Encoded>>) {
        let mut messages = self.consumer.stream().ready_chunks(CHUNK);
        loop {
            let read = tokio::select! {
                Some(read) = messages.next() => read,
                () = ready.closed() => return,
            };
            let chunk: Vec<Encoded> = read.into_iter().filter_map(|message| self.encode(message)).collect();
            if !chunk.is_empty() && ready.send(chunk).await.is_err() {
                return;
            }
        }
    }

    /// A record as it goes into an invocation; nothing of one that none could carry.
    fn encode(&self, message: KafkaResult<impl Message>) -> Option<Encoded> {
        let message = message.inspect_err(|error| self.tell(error)).ok()?;
        let encoded = Encoded::new(&message);
        let encoded = encoded.inspect_err(|error| console::warn(&format!("{}: {error}", self.topic))).ok()?;
        if encoded.bytes() < MAX_PAYLOAD_BYTES {
            return Some(encoded);
        }
        console::warn(&format!(
            "{}-{}: the record at offset {} is left out: in base64 it has {} bytes, and an invocation carries {MAX_PAYLOAD_BYTES}. \
             Lambda could not deliver it either; the topic's max.message.bytes should be below 4 MB",
            self.topic,
            message.partition(),
            message.offset(),
            encoded.bytes(),
        ));
        None
    }

    /// Says that nothing can be read. It is tried again until it can.
    fn tell(&self, error: &KafkaError) {
        let mut told = self.told.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let is_news = told.as_ref().is_none_or(|(before, at)| before != error || at.elapsed() > SILENCE);
        if is_news {
            tracing::warn!("{}: Kafka cannot be read ({error}); trying again", self.topic);
            *told = Some((error.clone(), Instant::now()));
        }
    }
}
