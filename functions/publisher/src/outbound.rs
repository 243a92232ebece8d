//! What is under way to connections: posts, closes, and the deletion of those that are gone.

use std::sync::Arc;

use gateway::Post;
use projections::Timestamp;
use runtime::metrics::Times;
use store::Connections;
use tokio::{
    sync::Semaphore,
    task::{JoinError, JoinSet},
};
use tracing::{debug, info, warn};

use crate::{
    closing::{Closing, Outcome},
    delivery::{Delivered, Delivery, deliver},
    metrics::Tally,
    subscribers::Subscribers,
    view_cache::ViewCache,
};

/// Posts under way at the same time. Each takes about 10 ms on AWS, so this is far above 5,000 a second, and its
/// sockets fit a Lambda's 1,024 file descriptors.
const POSTS: usize = 256;

/// Connections that are being closed at the same time, at about four requests each: a tenant's ten thousand are gone in
/// seconds, and the views of the others do not wait.
const CLOSES: usize = 64;

/// What is under way. All of it stops when this is dropped.
pub(crate) struct Outbound<G> {
    gateway: G,
    connections: Connections,
    clock: fn() -> Timestamp,
    posting: JoinSet<Delivered>,
    closing: JoinSet<(Closing, Outcome)>,
    deleting: JoinSet<()>,
    posts: Arc<Semaphore>,
    closes: Arc<Semaphore>,
    /// Since it was taken last, …
    tally: Tally,
    latency: Times,
    /// … and in all.
    total: Tally,
}

impl<G: Post + Clone + Send + Sync + 'static> Outbound<G> {
    /// Nothing is under way.
    pub(crate) fn new(gateway: G, connections: Connections, clock: fn() -> Timestamp) -> Self {
        Self {
            gateway,
            connections,
            clock,
            posting: JoinSet::new(),
            closing: JoinSet::new(),
            deleting: JoinSet::new(),
            posts: Arc::new(Semaphore::new(POSTS)),
            closes: Arc::new(Semaphore::new(CLOSES)),
            tally: Tally::default(),
            latency: Times::default(),
            total: Tally::default(),
        }
    }

    /// Posts a delivery.
    pub(crate) fn send(&mut self, delivery: Delivery) {
        self.posting.spawn(deliver(self.gateway.clone(), Arc::clone(&self.posts), self.clock, delivery));
    }

    /// Closes a connection.
    pub(crate) fn close(&mut self, mut closing: Closing) {
        let (gateway, connections) = (self.gateway.clone(), self.connections.clone());
        let (closes, clock) = (Arc::clone(&self.closes), self.clock);
        self.closing.spawn(async move {
            // The semaphore is never closed.
            let _permit = closes.acquire().await;
            let outcome = closing.attempt(&gateway, &connections, clock()).await;
            (closing, outcome)
        });
    }

    /// Tells the subscribers what is done by now. Returns the ids of connections that are not what they were taken for, and
    /// have to be looked at again.
    pub(crate) fn collect(
        &mut self,
        subscribers: &mut Subscribers,
        cache: &mut ViewCache,
        now: Timestamp,
    ) -> Vec<String> {
        while let Some(delivered) = self.posting.try_join_next() {
            self.note_delivered(delivered, subscribers, cache, now);
        }
        let mut spared = Vec::new();
        while let Some(attempt) = self.closing.try_join_next() {
            spared.extend(self.note_attempt(attempt, subscribers, cache, now));
        }
        while self.deleting.try_join_next().is_some() {}
        spared
    }

    /// Waits until nothing is under way, and tells the subscribers.
    pub(crate) async fn finish(&mut self, subscribers: &mut Subscribers, cache: &mut ViewCache, now: Timestamp) {
        while let Some(delivered) = self.posting.join_next().await {
            self.note_delivered(delivered, subscribers, cache, now);
        }
        while let Some(attempt) = self.closing.join_next().await {
            self.note_attempt(attempt, subscribers, cache, now);
        }
        while self.deleting.join_next().await.is_some() {}
    }

    /// Reads have failed.
    pub(crate) fn note_failed_reads(&mut self, count: u64) {
        self.tally.reads_failed += count;
        self.total.reads_failed += count;
    }

    /// Stops what is under way. A connection that was half closed is closed by the next publisher.
    pub(crate) async fn stop(&mut self, shard: u32) {
        tokio::join!(self.posting.shutdown(), self.closing.shutdown());
        let Tally { posted, closed, gone, throttled, failed, reads_failed } = self.total;
        info!(shard, posted, closed, gone, throttled, failed, reads_failed, "posts of this lease term");
    }

    /// What has become of posts and closes since this was asked last, and how long views had been due that arrived.
    pub(crate) fn take_tally(&mut self) -> (Tally, Times) {
        (std::mem::take(&mut self.tally), std::mem::take(&mut self.latency))
    }

    fn note_delivered(
        &mut self,
        delivered: Result<Delivered, JoinError>,
        subscribers: &mut Subscribers,
        cache: &mut ViewCache,
        now: Timestamp,
    ) {
        let Ok(delivered) = delivered else { return };
        for tally in [&mut self.tally, &mut self.total] {
            tally.note_delivered(&delivered);
        }
        for latency in &delivered.latencies {
            self.latency.note(*latency);
        }
        if let Err(error) = &delivered.end {
            debug!(connection = delivered.connection, %error, "post failed");
        }
        let (connections, id) = (self.connections.clone(), delivered.connection.clone());
        if subscribers.note(delivered, cache, now) {
            self.deleting.spawn(async move {
                if let Err(error) = connections.disconnect(&id).await {
                    // The sweep meets it again, and behind that stands the item's TTL.
                    warn!(%error, "a connection that is gone could not be deleted");
                }
            });
        }
    }

    /// The connection, if it was spared.
    fn note_attempt(
        &mut self,
        attempt: Result<(Closing, Outcome), JoinError>,
        subscribers: &mut Subscribers,
        cache: &mut ViewCache,
        now: Timestamp,
    ) -> Option<String> {
        let Ok((closing, outcome)) = attempt else { return None };
        for tally in [&mut self.tally, &mut self.total] {
            tally.note_closing(outcome);
        }
        subscribers.note_closing(&closing, outcome, cache, now);
        (outcome == Outcome::Spared).then_some(closing.connection)
    }
}
