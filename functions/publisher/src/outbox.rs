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
    audience::Audience,
    closing::{Closing, Outcome},
    delivery::{Parcel, Receipt, deliver},
    metrics::Tally,
};

/// Posts under way at the same time. Each takes about 10 ms on AWS, so this is far above 5,000 a second, and its
/// sockets fit a Lambda's 1,024 file descriptors.
const POSTS: usize = 256;

/// Connections that are being closed at the same time, at about four requests each: a tenant's ten thousand are gone in
/// seconds, and the views of the others do not wait.
const CLOSES: usize = 64;

/// What is under way. All of it stops when this is dropped.
pub(crate) struct Outbox<G> {
    gateway: G,
    connections: Connections,
    clock: fn() -> Timestamp,
    posting: JoinSet<Receipt>,
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

impl<G: Post + Clone + Send + Sync + 'static> Outbox<G> {
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

    /// Posts a parcel.
    pub(crate) fn send(&mut self, parcel: Parcel) {
        self.posting.spawn(deliver(self.gateway.clone(), Arc::clone(&self.posts), self.clock, parcel));
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

    /// Tells the audience what is done by now. True if a connection is not what the audience takes it for, which has to
    /// look again.
    pub(crate) fn collect(&mut self, audience: &mut Audience, now: Timestamp) -> bool {
        while let Some(receipt) = self.posting.try_join_next() {
            self.note_receipt(receipt, audience, now);
        }
        let mut is_outdated = false;
        while let Some(attempt) = self.closing.try_join_next() {
            is_outdated |= self.note_attempt(attempt, audience, now);
        }
        while self.deleting.try_join_next().is_some() {}
        is_outdated
    }

    /// Waits until nothing is under way, and tells the audience.
    pub(crate) async fn finish(&mut self, audience: &mut Audience, now: Timestamp) {
        while let Some(receipt) = self.posting.join_next().await {
            self.note_receipt(receipt, audience, now);
        }
        while let Some(attempt) = self.closing.join_next().await {
            self.note_attempt(attempt, audience, now);
        }
        while self.deleting.join_next().await.is_some() {}
    }

    /// Stops what is under way. A connection that was half closed is closed by the next publisher.
    pub(crate) async fn stop(&mut self, shard: u32) {
        tokio::join!(self.posting.shutdown(), self.closing.shutdown());
        let Tally { posted, closed, gone, throttled, failed } = self.total;
        info!(shard, posted, closed, gone, throttled, failed, "posts of this tenure");
    }

    /// What has become of posts and closes since this was asked last, and how long views had been due that arrived.
    pub(crate) fn take_tally(&mut self) -> (Tally, Times) {
        (std::mem::take(&mut self.tally), std::mem::take(&mut self.latency))
    }

    fn note_receipt(&mut self, receipt: Result<Receipt, JoinError>, audience: &mut Audience, now: Timestamp) {
        let Ok(receipt) = receipt else { return };
        for tally in [&mut self.tally, &mut self.total] {
            tally.note_receipt(&receipt);
        }
        for latency in &receipt.latencies {
            self.latency.note(*latency);
        }
        if let Err(error) = &receipt.end {
            debug!(connection = receipt.connection, %error, "post failed");
        }
        let (connections, id) = (self.connections.clone(), receipt.connection.clone());
        if audience.note(receipt, now) {
            self.deleting.spawn(async move {
                if let Err(error) = connections.disconnect(&id).await {
                    // It is met again with the next audience, and behind that stands the item's TTL.
                    warn!(%error, "a connection that is gone could not be deleted");
                }
            });
        }
    }

    fn note_attempt(
        &mut self,
        attempt: Result<(Closing, Outcome), JoinError>,
        audience: &mut Audience,
        now: Timestamp,
    ) -> bool {
        let Ok((closing, outcome)) = attempt else { return true };
        for tally in [&mut self.tally, &mut self.total] {
            tally.note_closing(outcome);
        }
        audience.note_closing(&closing, outcome, now);
        outcome == Outcome::Spared
    }
}
