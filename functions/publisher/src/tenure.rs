//! One publisher's time with a shard: it takes the lease, publishes, hands over.
//!
//! Invocations overlap and come more than once. The lease lets one of them publish at a time; a scheduled newcomer asks
//! the holder to hand over, and the holder goes on until somebody asks, so that there is no gap between two of them.

use std::time::Duration;

use gateway::Post;
use projections::Timestamp;
use store::{Acquired, Announced, Lease, Leases, Pulse, StoreError};
use tracing::{info, warn};

use crate::{
    published::Published,
    shard::{Desk, Shard},
};

/// A lease that is not renewed for this long is anybody's. Three renewals may fail before that.
const LEASE: Duration = Duration::from_secs(5);

/// How often the lease is renewed, and with that how soon a successor is noticed.
const RENEW: Duration = Duration::from_millis(500);

/// Nothing is posted in the last part of a lease that could not be renewed: clocks differ, and a post takes its time.
const SAFETY: Duration = Duration::from_secs(1);

/// How often a newcomer looks whether the lease is its own yet.
const WAIT: Duration = Duration::from_millis(50);

/// How long before the invocation's end the work is handed back: what is under way has to finish, and be written down.
const FAREWELL: Duration = Duration::from_secs(3);

/// How often what was published is written down, in case that this publisher dies.
const SAVE: Duration = Duration::from_secs(15);

/// How often the connections are counted for `system`.
const PULSE: Duration = Duration::from_secs(5);

const _: () = assert!(RENEW.as_millis() * 3 < LEASE.as_millis() - SAFETY.as_millis());
const _: () = assert!(SAVE.as_secs() < 60, "what is left behind has to be fresh");

/// How a tenure ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    /// Somebody else publishes, and was not to be relieved.
    Busy,
    /// A successor took over.
    HandedOver,
    /// The invocation's time was up.
    OutOfTime,
    /// Nobody watches.
    NobodyWatches,
    /// Somebody else took the lease.
    Lost,
}

/// One invocation's wish to publish to a shard.
pub(crate) struct Tenure<G> {
    /// Which shard.
    pub(crate) shard: u32,
    /// Who; a name that no other invocation has.
    pub(crate) owner: String,
    /// Whether a holder is asked to hand over. An invocation that a client has caused ends instead.
    pub(crate) relieves: bool,
    /// When the invocation ends.
    pub(crate) deadline: Timestamp,
    /// The time between two ticks.
    pub(crate) tick: Duration,
    /// The state of the Kafka cluster, for the pulse.
    pub(crate) kafka_cluster: Option<String>,
    /// The leases.
    pub(crate) leases: Leases,
    /// What to publish with.
    pub(crate) desk: Desk<G>,
    /// The time.
    pub(crate) clock: fn() -> Timestamp,
}

impl<G: Post + Clone + Send + Sync + 'static> Tenure<G> {
    /// Publishes until somebody else does, nobody watches, or the time is up.
    pub(crate) async fn serve(self) -> Result<End, StoreError> {
        loop {
            let Some(mut lease) = self.take().await? else { return Ok(End::Busy) };
            let left = self.leases.published(self.shard).await?;
            let left = left.and_then(|bytes| Published::from_bytes(&bytes, (self.clock)())).unwrap_or_default();
            let mut shard = Shard::new(self.shard, self.desk.clone(), left);
            let end = self.publish(&mut shard, &mut lease).await;
            shard.settle((self.clock)()).await;
            let end = end?;
            info!(shard = self.shard, owner = self.owner, token = lease.token, ?end, "tenure ended");
            if end == End::Lost {
                return Ok(end);
            }
            self.save(&shard, &lease).await?;
            let successor = lease.successor.as_deref().filter(|_| end == End::HandedOver);
            self.leases.release(self.shard, &lease, successor, (self.clock)()).await?;
            // Who connected just before the release saw the lease held and called no publisher: look once more.
            if end != End::NobodyWatches || !self.has_changed_since(&shard).await? {
                return Ok(end);
            }
        }
    }

    /// Takes the lease, waiting for the holder to hand it over; nothing if somebody else is to have it.
    async fn take(&self) -> Result<Option<Lease>, StoreError> {
        loop {
            let now = (self.clock)();
            match self.leases.acquire(self.shard, &self.owner, now, LEASE).await? {
                Acquired::Held(lease) => return Ok(Some(lease)),
                Acquired::Busy(_) if !self.relieves || now >= self.work_ends() => return Ok(None),
                Acquired::Busy(_) => {}
            }
            match self.leases.announce(self.shard, &self.owner, now, LEASE).await? {
                Announced::Waiting => tokio::time::sleep(WAIT).await,
                Announced::Free => {}
                Announced::Taken => return Ok(None),
            }
        }
    }

    async fn publish(&self, shard: &mut Shard<G>, lease: &mut Lease) -> Result<End, StoreError> {
        let mut ticks = tokio::time::interval(self.tick);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let (mut renewed_at, mut saved_at, mut pulse_at) = ((self.clock)(), (self.clock)(), Timestamp::default());
        loop {
            ticks.tick().await;
            let now = (self.clock)();
            if now >= self.work_ends() {
                return Ok(End::OutOfTime);
            }
            if now.since(renewed_at) >= RENEW {
                match self.leases.renew(self.shard, lease, now, LEASE).await {
                    Ok(Some(renewed)) => (*lease, renewed_at) = (renewed, now),
                    Ok(None) => return Ok(End::Lost),
                    Err(error) => warn!(shard = self.shard, %error, "the lease could not be renewed"),
                }
            }
            if now.plus(SAFETY) >= lease.expires_at {
                continue;
            }
            if lease.successor.is_some() {
                return Ok(End::HandedOver);
            }
            if let Err(error) = shard.tick(now).await {
                warn!(shard = self.shard, %error, "the connections could not be read; the next tick will");
                continue;
            }
            if now.since(pulse_at) >= PULSE {
                pulse_at = now;
                self.save_pulse(shard, now).await;
            }
            if shard.is_empty() {
                return Ok(End::NobodyWatches);
            }
            if now.since(saved_at) >= SAVE {
                saved_at = now;
                if let Err(error) = self.save(shard, lease).await {
                    warn!(shard = self.shard, %error, "what was published could not be written down");
                }
            }
        }
    }

    fn work_ends(&self) -> Timestamp {
        Timestamp::from_millis(self.deadline.as_millis() - i64::try_from(FAREWELL.as_millis()).unwrap_or(0))
    }

    /// Whether connections have come or gone since the shard read them.
    async fn has_changed_since(&self, shard: &Shard<G>) -> Result<bool, StoreError> {
        Ok(shard.version() != Some(self.desk.connections.version(self.shard).await?))
    }

    async fn save(&self, shard: &Shard<G>, lease: &Lease) -> Result<(), StoreError> {
        let bytes = shard.published((self.clock)()).into_bytes();
        // Refused only if the lease is lost; the next renewal says so too.
        self.leases.save_published(self.shard, lease, &bytes).await.map(drop)
    }

    async fn save_pulse(&self, shard: &Shard<G>, now: Timestamp) {
        let kafka_cluster = self.kafka_cluster.clone();
        let pulse = Pulse { at: now, connections: shard.connections(), kafka_cluster };
        if let Err(error) = self.leases.save_pulse(self.shard, &pulse).await {
            warn!(shard = self.shard, %error, "the pulse could not be written down");
        }
    }
}

#[cfg(test)]
mod tests;
