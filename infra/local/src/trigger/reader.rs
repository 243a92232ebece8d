//! Reads one partition, from its earliest record on.

use std::time::Duration;

use rskafka::{
    client::{
        error::{Error, ProtocolError},
        partition::{OffsetAt, PartitionClient, UnknownTopicHandling},
    },
    record::RecordAndOffset,
};
use tokio::{sync::mpsc, time::timeout};

use super::event::Encoded;
use crate::{backoff::Backoff, kafka};

/// How long the broker may hold a fetch until there is something. It answers as soon as there is, so this costs no
/// latency; it is what an idle partition costs: two requests a second.
const HOLD_MS: i32 = 500;

/// A broker that has not answered by then is lost.
const LOST_AFTER: Duration = Duration::from_secs(10);

/// The most that is read at once. A few invocations' worth: more would only wait in memory.
const FETCH_BYTES: i32 = 4 << 20;

/// Between two fetches of which the first found nothing although there is something: markers of transactions.
const PAST_MARKERS: Duration = Duration::from_millis(100);

/// Reads one partition.
pub(super) struct Reader {
    kafka: String,
    topic: String,
    partition: i32,
    /// The offset of the next record to read; the earliest there is, if none.
    next: Option<i64>,
}

/// Why reading stopped.
enum Interruption {
    /// The broker is gone or does not know the partition.
    Lost(String),
    /// The records from `next` on are no longer there.
    OutOfRange,
    /// Nobody wants the records any more.
    Unwanted,
}

impl From<Error> for Interruption {
    fn from(error: Error) -> Self {
        match error {
            Error::ServerError { protocol_error: ProtocolError::OffsetOutOfRange, .. } => Self::OutOfRange,
            error => Self::Lost(error.to_string()),
        }
    }
}

impl Reader {
    pub(super) fn new(kafka: String, topic: String, partition: i32) -> Self {
        Self { kafka, topic, partition, next: None }
    }

    /// Reads for as long as somebody takes what is read.
    pub(super) async fn run(mut self, ready: mpsc::Sender<Vec<Encoded>>) {
        let mut backoff = Backoff::default();
        loop {
            let before = self.next;
            let interruption = tokio::select! {
                Err(interruption) = self.read(&ready) => interruption,
                () = ready.closed() => return,
            };
            if self.next != before {
                backoff.reset();
            }
            let (topic, partition) = (&self.topic, self.partition);
            match interruption {
                Interruption::Unwanted => return,
                Interruption::OutOfRange => {
                    let from = self.next.take().unwrap_or_default();
                    tracing::warn!(
                        "{topic}-{partition}: the records from offset {from} on are no longer there; \
                         reading from the earliest that is"
                    );
                }
                Interruption::Lost(reason) => {
                    let pause = backoff.next_pause();
                    tracing::warn!("{topic}-{partition}: Kafka is lost ({reason}); reading again in {pause:?}");
                    tokio::time::sleep(pause).await;
                }
            }
        }
    }

    async fn read(&mut self, ready: &mpsc::Sender<Vec<Encoded>>) -> Result<(), Interruption> {
        let client = self.connect().await?;
        let mut next = match self.next {
            Some(next) => next,
            None => answered(client.get_offset(OffsetAt::Earliest)).await?,
        };
        loop {
            self.next = Some(next);
            let (records, end) = answered(client.fetch_records(next, 1..FETCH_BYTES, HOLD_MS)).await?;
            let Some(last) = records.last() else {
                if end > next {
                    tokio::time::sleep(PAST_MARKERS).await;
                }
                continue;
            };
            next = last.offset + 1;
            let chunk = self.encode(&records).map_err(|error| Interruption::Lost(error.to_string()))?;
            ready.send(chunk).await.map_err(|_| Interruption::Unwanted)?;
        }
    }

    async fn connect(&self) -> Result<PartitionClient, Interruption> {
        let client = kafka::connect(&self.kafka).await.map_err(|error| Interruption::Lost(error.to_string()))?;
        answered(client.partition_client(self.topic.as_str(), self.partition, UnknownTopicHandling::Error)).await
    }

    fn encode(&self, records: &[RecordAndOffset]) -> serde_json::Result<Vec<Encoded>> {
        records.iter().map(|record| Encoded::new(&self.topic, self.partition, record)).collect()
    }
}

async fn answered<T>(request: impl Future<Output = Result<T, Error>>) -> Result<T, Interruption> {
    match timeout(LOST_AFTER, request).await {
        Ok(answer) => Ok(answer?),
        Err(_) => Err(Interruption::Lost("no answer".to_owned())),
    }
}
