//! Makes batches of what was read, and delivers each until it succeeds.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::Arc,
};

use anyhow::bail;
use tokio::{
    sync::mpsc,
    time::{Instant, timeout_at},
};
use tokio_util::sync::CancellationToken;

use super::{
    Mapping,
    batch::{Batch, MAX_PAYLOAD_BYTES},
    event::{Encoded, Source},
    response,
};
use crate::{
    backoff::Backoff,
    deliveries::{Deliveries, Delivery, now_micros},
    invoke::{Invoke, InvokeError},
};

/// The most partitions of which a batch is thought to hold records, for its size.
const PARTITIONS: usize = 1_000;

/// One invocation at a time, with the records of its partitions.
pub(super) struct Poller<I> {
    mapping: Mapping,
    source: Arc<Source>,
    invoker: Arc<I>,
    deliveries: Deliveries,
    chunks: mpsc::Receiver<Vec<Encoded>>,
    /// Read, but in no batch yet.
    waiting: VecDeque<Encoded>,
}

impl<I: Invoke> Poller<I> {
    pub(super) fn new(
        mapping: Mapping,
        source: Arc<Source>,
        invoker: Arc<I>,
        deliveries: Deliveries,
        chunks: mpsc::Receiver<Vec<Encoded>>,
    ) -> Self {
        Self { mapping, source, invoker, deliveries, chunks, waiting: VecDeque::new() }
    }

    /// Delivers until `stop`; a batch on its way then is not awaited, as it would be delivered again anyway.
    pub(super) async fn run(mut self, stop: CancellationToken) -> anyhow::Result<()> {
        let mut backoff = Backoff::default();
        let delivering = async {
            while let Some(batch) = self.gather().await {
                let failed = self.deliver(&batch).await?;
                if failed.is_empty() {
                    backoff.reset();
                } else {
                    self.put_back(batch, &failed);
                    tokio::time::sleep(backoff.next_pause()).await;
                }
            }
            Ok(())
        };
        stop.run_until_cancelled(delivering).await.unwrap_or(Ok(()))
    }

    /// The next batch: full, or as much as came within the window after its first record.
    async fn gather(&mut self) -> Option<Batch> {
        let max_bytes = MAX_PAYLOAD_BYTES - self.source.envelope_bytes(PARTITIONS);
        let mut batch = Batch::new(self.mapping.batch_size, max_bytes);
        let mut deadline = Instant::now() + self.mapping.window;
        loop {
            while let Some(record) = self.waiting.pop_front() {
                if batch.is_empty() {
                    deadline = Instant::now() + self.mapping.window;
                }
                if let Err(refused) = batch.add(record) {
                    self.waiting.push_front(refused);
                    return Some(batch);
                }
            }
            let chunk = if batch.is_empty() {
                self.chunks.recv().await?
            } else {
                // What is there already comes along, even without a window.
                match timeout_at(deadline, self.chunks.recv()).await {
                    Ok(Some(chunk)) => chunk,
                    Ok(None) | Err(_) => return Some(batch),
                }
            };
            self.waiting.extend(chunk);
        }
    }

    /// What has failed of a batch comes again before anything that follows it in its partition.
    fn put_back(&mut self, batch: Batch, failed: &BTreeMap<i32, i64>) {
        let is_failed = |record: &Encoded| failed.get(&record.partition).is_some_and(|first| record.offset >= *first);
        for record in batch.into_records().into_iter().filter(is_failed).rev() {
            self.waiting.push_front(record);
        }
    }

    /// Notes when the partitions that were acknowledged were delivered.
    fn note(&self, batch: &Batch, failed: &BTreeMap<i32, i64>, invoked_at: i64) {
        let answered_at = now_micros();
        let mut delivered: BTreeMap<i32, Delivery> = BTreeMap::new();
        for record in batch.records().iter().filter(|record| !failed.contains_key(&record.partition)) {
            let (topic, partition, offset) = (&self.mapping.topic, record.partition, record.offset);
            let first =
                || Delivery { topic: topic.clone(), partition, first: offset, last: offset, invoked_at, answered_at };
            let delivery = delivered.entry(partition).or_insert_with(first);
            delivery.last = delivery.last.max(offset);
        }
        self.deliveries.note(delivered.into_values());
    }

    /// Delivers a batch until it is acknowledged; which partitions have to come again all the same, and from where.
    async fn deliver(&self, batch: &Batch) -> anyhow::Result<BTreeMap<i32, i64>> {
        let payload = self.source.payload(batch.records())?;
        let Mapping { topic, function, .. } = &self.mapping;
        let mut backoff = Backoff::default();
        loop {
            let invoked_at = now_micros();
            let answer = self.invoker.invoke(function, payload.clone()).await;
            match answer {
                Ok(_) if !self.mapping.reads_responses => {
                    self.note(batch, &BTreeMap::new(), invoked_at);
                    return Ok(BTreeMap::new());
                }
                Ok(response) => match response::failed(&response, topic, batch.records()) {
                    Ok(failed) => {
                        self.note(batch, &failed, invoked_at);
                        return Ok(failed);
                    }
                    Err(unreadable) => {
                        let pause = backoff.next_pause();
                        tracing::warn!(
                            "{function} on a batch from {topic}: {unreadable}; delivering it again in {pause:?}"
                        );
                        tokio::time::sleep(pause).await;
                    }
                },
                // `stop` is about to say so too.
                Err(InvokeError::ShuttingDown) => std::future::pending().await,
                Err(InvokeError::Unknown) => bail!("{topic} triggers {function}, but there is no such function"),
                Err(error) => {
                    let pause = backoff.next_pause();
                    let count = batch.records().len();
                    tracing::warn!(
                        "{function} failed on a batch of {count} from {topic}: {error}; delivering it again in {pause:?}"
                    );
                    tokio::time::sleep(pause).await;
                }
            }
        }
    }
}
