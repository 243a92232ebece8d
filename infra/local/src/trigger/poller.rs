//! Makes batches of what was read, and delivers each until it succeeds.

use std::{collections::VecDeque, sync::Arc};

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
};
use crate::{
    backoff::Backoff,
    invoke::{Invoke, InvokeError},
};

/// The most partitions of which a batch is thought to hold records, for its size.
const PARTITIONS: usize = 1_000;

/// One invocation at a time, with the records of its partitions.
pub(super) struct Poller<I> {
    mapping: Mapping,
    source: Arc<Source>,
    invoker: Arc<I>,
    chunks: mpsc::Receiver<Vec<Encoded>>,
    /// Read, but in no batch yet.
    waiting: VecDeque<Encoded>,
}

impl<I: Invoke> Poller<I> {
    pub(super) fn new(
        mapping: Mapping,
        source: Arc<Source>,
        invoker: Arc<I>,
        chunks: mpsc::Receiver<Vec<Encoded>>,
    ) -> Self {
        Self { mapping, source, invoker, chunks, waiting: VecDeque::new() }
    }

    /// Delivers until `stop`; a batch on its way then is not awaited, as it would be delivered again anyway.
    pub(super) async fn run(mut self, stop: CancellationToken) -> anyhow::Result<()> {
        let delivering = async {
            while let Some(batch) = self.gather().await {
                self.deliver(&batch).await?;
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

    async fn deliver(&self, batch: &Batch) -> anyhow::Result<()> {
        let payload = self.source.payload(batch.records())?;
        let Mapping { topic, function, .. } = &self.mapping;
        let mut backoff = Backoff::default();
        loop {
            match self.invoker.invoke(function, payload.clone()).await {
                Ok(_) => return Ok(()),
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
