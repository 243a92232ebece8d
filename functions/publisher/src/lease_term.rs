//! One publisher's term with a shard: it takes the lease, publishes, hands over.
//!
//! Invocations overlap and come more than once. The lease lets one of them publish at a time; a scheduled newcomer asks
//! the holder to hand over, and the holder goes on until somebody asks, so that there is no gap between two of them.

use std::time::Duration;

use gateway::Post;
use projections::Timestamp;
use runtime::metrics::{Metrics, Times};
use store::{Acquired, Announced, Lease, Leases, Pulse, StoreError};
use tracing::{info, warn};

use crate::{
    handover::Handover,
    metrics::Line,
    shard::{Services, Shard},
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

/// How often a line of metrics is printed. CloudWatch tells minutes apart, and each of them shall have one.
const METRICS: Duration = Duration::from_secs(30);

const _: () = assert!(RENEW.as_millis() * 3 < LEASE.as_millis() - SAFETY.as_millis());
const _: () = assert!(SAVE.as_secs() < 60, "what is left behind has to be fresh");

/// How a lease term ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    /// Somebody else publishes, and was not to be relieved.
    Busy,
    /// A successor took over.
    HandedOver,
    /// The invocation's time was up.
    OutOfTime,
    /// Nobody watches, and nobody is left to be closed.
    NobodyWatches,
    /// Somebody else took the lease.
    Lost,
}

/// One invocation's wish to publish to a shard.
pub(crate) struct LeaseTerm<G> {
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
    pub(crate) services: Services<G>,
    /// Where its metrics go.
    pub(crate) metrics: Metrics,
}

/// What a publisher remembers of its ticks.
struct Progress {
    saved_at: Timestamp,
    pulse_at: Timestamp,
    /// When the last line of metrics was printed, …
    told_at: Timestamp,
    /// … how long the ticks took since then, …
    ticks: Times,
    /// … and what is to be told once.
    leases_expired: u64,
}

impl<G: Post + Clone + Send + Sync + 'static> LeaseTerm<G> {
    /// Publishes until somebody else does, nobody watches, or the time is up.
    pub(crate) async fn serve(self) -> Result<End, StoreError> {
        loop {
            let Some(mut lease) = self.take().await else { return Ok(End::Busy) };
            let mut progress = Progress::begin(&lease, (self.services.clock)());
            let mut shard = Shard::new(self.shard, self.services.clone(), self.left_behind().await);
            if progress.leases_expired > 0 {
                // At once: what its predecessor died of may await this one too.
                self.tell(&mut shard, &mut progress);
            }
            let end = self.publish(&mut shard, &mut lease, &mut progress).await;
            info!(shard = self.shard, owner = self.owner, token = lease.token, ?end, "lease term ends");
            if end == End::Lost {
                shard.stop().await;
                self.tell(&mut shard, &mut progress);
                return Ok(end);
            }
            shard.settle((self.services.clock)()).await;
            self.tell(&mut shard, &mut progress);
            self.save(&shard, &lease).await?;
            let successor = lease.successor.as_deref().filter(|_| end == End::HandedOver);
            self.leases.release(self.shard, &lease, successor, (self.services.clock)()).await?;
            let is_over = match end {
                // A successor that has died since it asked publishes nothing.
                End::HandedOver => self.is_taken_up(lease.token).await,
                // Who connected just before the release saw the lease held and called no publisher.
                End::NobodyWatches => self.services.connections.is_empty(self.shard).await?,
                End::Busy | End::OutOfTime | End::Lost => true,
            };
            if is_over {
                return Ok(end);
            }
        }
    }

    /// Takes the lease, waiting for the holder to hand it over; nothing if somebody else is to have it.
    async fn take(&self) -> Option<Lease> {
        while (self.services.clock)() < self.work_ends() {
            match self.try_take().await {
                Ok(Some(taken)) => return taken,
                Ok(None) => {}
                Err(error) => warn!(shard = self.shard, %error, "the lease cannot be had yet"),
            }
            tokio::time::sleep(WAIT).await;
        }
        None
    }

    /// Tries once: the lease, or nobody's (`Some(None)`), or to be tried again.
    async fn try_take(&self) -> Result<Option<Option<Lease>>, StoreError> {
        let now = (self.services.clock)();
        match self.leases.acquire(self.shard, &self.owner, now, LEASE).await? {
            Acquired::Held(lease) => return Ok(Some(Some(lease))),
            Acquired::Busy(_) if !self.relieves => return Ok(Some(None)),
            Acquired::Busy(_) => {}
        }
        let announced = self.leases.announce(self.shard, &self.owner, now, LEASE).await?;
        Ok(if announced == Announced::Taken { Some(None) } else { None })
    }

    /// What a predecessor has left. Where that cannot be read, everyone gets a view once more.
    async fn left_behind(&self) -> Handover {
        match self.leases.published(self.shard).await {
            Ok(left) => {
                left.and_then(|bytes| Handover::from_bytes(&bytes, (self.services.clock)())).unwrap_or_default()
            }
            Err(error) => {
                warn!(shard = self.shard, %error, "what was published could not be read");
                Handover::default()
            }
        }
    }

    async fn publish(&self, shard: &mut Shard<G>, lease: &mut Lease, progress: &mut Progress) -> End {
        let mut ticks = tokio::time::interval(self.tick);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            let now = (self.services.clock)();
            let end = self.tick(shard, lease, progress, now).await;
            progress.ticks.note((self.services.clock)().since(now));
            if let Some(end) = end {
                return end;
            }
            if now.since(progress.told_at) >= METRICS {
                self.tell(shard, progress);
            }
        }
    }

    /// One tick; tells how the lease term ends, if it does.
    async fn tick(
        &self,
        shard: &mut Shard<G>,
        lease: &mut Lease,
        progress: &mut Progress,
        now: Timestamp,
    ) -> Option<End> {
        if now >= self.work_ends() {
            return Some(End::OutOfTime);
        }
        if now.since(lease.renewed_at) >= RENEW && !self.renew(lease).await {
            return Some(End::Lost);
        }
        if !self.still_holds(lease) {
            return None;
        }
        if lease.successor.is_some() {
            return Some(End::HandedOver);
        }
        let Some(read) = self.read(shard, lease, now).await else { return Some(End::Lost) };
        let is_overview = match read {
            Ok(is_overview) => is_overview,
            Err(error) => {
                warn!(shard = self.shard, %error, "the connections could not be read; the next tick will");
                return None;
            }
        };
        // Reading may have taken longer than the lease.
        if !self.still_holds(lease) {
            return None;
        }
        shard.post(is_overview, now);
        if now.since(progress.pulse_at) >= PULSE {
            progress.pulse_at = now;
            self.save_pulse(shard, now).await;
        }
        if shard.is_empty() {
            return Some(End::NobodyWatches);
        }
        if now.since(progress.saved_at) >= SAVE {
            progress.saved_at = now;
            if let Err(error) = self.save(shard, lease).await {
                warn!(shard = self.shard, %error, "what was published could not be written down");
            }
        }
        None
    }

    /// Prints a line of metrics: what there was since the last one.
    fn tell(&self, shard: &mut Shard<G>, progress: &mut Progress) {
        let (tally, latency) = shard.take_tally();
        progress.told_at = (self.services.clock)();
        self.metrics.emit(&Line {
            shard: self.shard,
            at: progress.told_at,
            tally,
            latency,
            ticks: std::mem::take(&mut progress.ticks),
            connections: shard.connections(progress.told_at).map(|connections| connections.values().sum()),
            leases_expired: std::mem::take(&mut progress.leases_expired),
        });
    }

    /// Reads what there is to publish, and keeps the lease meanwhile; nothing if it is lost.
    async fn read(&self, shard: &mut Shard<G>, lease: &mut Lease, now: Timestamp) -> Option<Result<bool, StoreError>> {
        let mut reading = std::pin::pin!(shard.read(now));
        loop {
            tokio::select! {
                read = &mut reading => return Some(read),
                () = tokio::time::sleep(RENEW) => {
                    if !self.renew(lease).await {
                        return None;
                    }
                }
            }
        }
    }

    /// Renews the lease; false if it is another's by now. Where that cannot be told, the lease runs on.
    async fn renew(&self, lease: &mut Lease) -> bool {
        match self.leases.renew(self.shard, lease, (self.services.clock)(), LEASE).await {
            Ok(Some(renewed)) => *lease = renewed,
            Ok(None) => return false,
            Err(error) => warn!(shard = self.shard, %error, "the lease could not be renewed"),
        }
        true
    }

    fn still_holds(&self, lease: &Lease) -> bool {
        (self.services.clock)().plus(SAFETY) < lease.expires_at
    }

    /// Whether the successor has come; a name alone publishes nothing.
    async fn is_taken_up(&self, token: u64) -> bool {
        while (self.services.clock)() < self.work_ends() {
            match self.leases.read(self.shard).await {
                Ok(Some(lease)) if lease.token > token => return true,
                Ok(Some(lease)) if lease.is_held((self.services.clock)()) => {}
                Ok(_) => return false,
                Err(error) => warn!(shard = self.shard, %error, "the successor's lease could not be read"),
            }
            tokio::time::sleep(WAIT).await;
        }
        true
    }

    fn work_ends(&self) -> Timestamp {
        self.deadline.minus(FAREWELL)
    }

    async fn save(&self, shard: &Shard<G>, lease: &Lease) -> Result<(), StoreError> {
        let bytes = shard.handover((self.services.clock)()).into_bytes();
        // Refused only if the lease is lost; the next renewal says so too.
        self.leases.save_published(self.shard, lease, &bytes).await.map(drop)
    }

    async fn save_pulse(&self, shard: &Shard<G>, now: Timestamp) {
        let kafka_cluster = self.kafka_cluster.clone();
        // Who does not know how many there are says nothing.
        let Some(connections) = shard.connections(now) else { return };
        let pulse = Pulse { at: now, connections, kafka_cluster };
        if let Err(error) = self.leases.save_pulse(self.shard, &pulse).await {
            warn!(shard = self.shard, %error, "the pulse could not be written down");
        }
    }
}

impl Progress {
    /// A lease term begins with this lease.
    fn begin(lease: &Lease, now: Timestamp) -> Self {
        Self {
            saved_at: now,
            pulse_at: Timestamp::EPOCH,
            told_at: now,
            ticks: Times::default(),
            leases_expired: u64::from(lease.was_expired()),
        }
    }
}

#[cfg(test)]
mod tests;
