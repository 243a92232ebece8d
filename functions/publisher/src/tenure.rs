//! One publisher's time with a shard: it takes the lease, publishes, hands over.
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
    metrics::Line,
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

/// How often a line of metrics is printed. CloudWatch tells minutes apart, and each of them shall have one.
const METRICS: Duration = Duration::from_secs(30);

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
    /// Nobody watches, and nobody is left to be closed.
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
    /// Where its metrics go.
    pub(crate) metrics: Metrics,
}

/// What a publisher remembers of its ticks.
struct Diary {
    saved_at: Timestamp,
    pulse_at: Timestamp,
    /// When the last line of metrics was printed, …
    told_at: Timestamp,
    /// … how long the ticks took since then, …
    ticks: Times,
    /// … and what is to be told once.
    leases_expired: u64,
}

impl<G: Post + Clone + Send + Sync + 'static> Tenure<G> {
    /// Publishes until somebody else does, nobody watches, or the time is up.
    pub(crate) async fn serve(self) -> Result<End, StoreError> {
        loop {
            let Some(mut lease) = self.take().await else { return Ok(End::Busy) };
            let mut diary = Diary::begin(&lease, (self.desk.clock)());
            let mut shard = Shard::new(self.shard, self.desk.clone(), self.left_behind().await);
            if diary.leases_expired > 0 {
                // At once: what its predecessor died of may await this one too.
                self.tell(&mut shard, &mut diary);
            }
            let end = self.publish(&mut shard, &mut lease, &mut diary).await;
            info!(shard = self.shard, owner = self.owner, token = lease.token, ?end, "tenure ends");
            if end == End::Lost {
                shard.stop().await;
                self.tell(&mut shard, &mut diary);
                return Ok(end);
            }
            shard.settle((self.desk.clock)()).await;
            self.tell(&mut shard, &mut diary);
            self.save(&shard, &lease).await?;
            let successor = lease.successor.as_deref().filter(|_| end == End::HandedOver);
            self.leases.release(self.shard, &lease, successor, (self.desk.clock)()).await?;
            let is_over = match end {
                // A successor that has died since it asked publishes nothing.
                End::HandedOver => self.is_taken_up(lease.token).await,
                // Who connected just before the release saw the lease held and called no publisher.
                End::NobodyWatches => self.desk.connections.is_empty(self.shard).await?,
                End::Busy | End::OutOfTime | End::Lost => true,
            };
            if is_over {
                return Ok(end);
            }
        }
    }

    /// Takes the lease, waiting for the holder to hand it over; nothing if somebody else is to have it.
    async fn take(&self) -> Option<Lease> {
        while (self.desk.clock)() < self.work_ends() {
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
        let now = (self.desk.clock)();
        match self.leases.acquire(self.shard, &self.owner, now, LEASE).await? {
            Acquired::Held(lease) => return Ok(Some(Some(lease))),
            Acquired::Busy(_) if !self.relieves => return Ok(Some(None)),
            Acquired::Busy(_) => {}
        }
        let announced = self.leases.announce(self.shard, &self.owner, now, LEASE).await?;
        Ok(if announced == Announced::Taken { Some(None) } else { None })
    }

    /// What a predecessor has left. Where that cannot be read, everyone gets a view once more.
    async fn left_behind(&self) -> Published {
        match self.leases.published(self.shard).await {
            Ok(left) => left.and_then(|bytes| Published::from_bytes(&bytes, (self.desk.clock)())).unwrap_or_default(),
            Err(error) => {
                warn!(shard = self.shard, %error, "what was published could not be read");
                Published::default()
            }
        }
    }

    async fn publish(&self, shard: &mut Shard<G>, lease: &mut Lease, diary: &mut Diary) -> End {
        let mut ticks = tokio::time::interval(self.tick);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            let now = (self.desk.clock)();
            let end = self.tick(shard, lease, diary, now).await;
            diary.ticks.note((self.desk.clock)().since(now));
            if let Some(end) = end {
                return end;
            }
            if now.since(diary.told_at) >= METRICS {
                self.tell(shard, diary);
            }
        }
    }

    /// One tick; tells how the tenure ends, if it does.
    async fn tick(&self, shard: &mut Shard<G>, lease: &mut Lease, diary: &mut Diary, now: Timestamp) -> Option<End> {
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
        if now.since(diary.pulse_at) >= PULSE {
            diary.pulse_at = now;
            self.save_pulse(shard, now).await;
        }
        if shard.is_empty() {
            return Some(End::NobodyWatches);
        }
        if now.since(diary.saved_at) >= SAVE {
            diary.saved_at = now;
            if let Err(error) = self.save(shard, lease).await {
                warn!(shard = self.shard, %error, "what was published could not be written down");
            }
        }
        None
    }

    /// Prints a line of metrics: what there was since the last one.
    fn tell(&self, shard: &mut Shard<G>, diary: &mut Diary) {
        let (tally, latency) = shard.take_tally();
        diary.told_at = (self.desk.clock)();
        self.metrics.emit(&Line {
            shard: self.shard,
            at: diary.told_at,
            tally,
            latency,
            ticks: std::mem::take(&mut diary.ticks),
            connections: shard.is_read().then(|| shard.connections().values().sum()),
            leases_expired: std::mem::take(&mut diary.leases_expired),
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
        match self.leases.renew(self.shard, lease, (self.desk.clock)(), LEASE).await {
            Ok(Some(renewed)) => *lease = renewed,
            Ok(None) => return false,
            Err(error) => warn!(shard = self.shard, %error, "the lease could not be renewed"),
        }
        true
    }

    fn still_holds(&self, lease: &Lease) -> bool {
        (self.desk.clock)().plus(SAFETY) < lease.expires_at
    }

    /// Whether the successor has come; a name alone publishes nothing.
    async fn is_taken_up(&self, token: u64) -> bool {
        while (self.desk.clock)() < self.work_ends() {
            match self.leases.read(self.shard).await {
                Ok(Some(lease)) if lease.token > token => return true,
                Ok(Some(lease)) if lease.is_held((self.desk.clock)()) => {}
                Ok(_) => return false,
                Err(error) => warn!(shard = self.shard, %error, "the successor's lease could not be read"),
            }
            tokio::time::sleep(WAIT).await;
        }
        true
    }

    fn work_ends(&self) -> Timestamp {
        Timestamp::from_millis(self.deadline.as_millis() - i64::try_from(FAREWELL.as_millis()).unwrap_or(0))
    }

    async fn save(&self, shard: &Shard<G>, lease: &Lease) -> Result<(), StoreError> {
        let bytes = shard.published((self.desk.clock)()).into_bytes();
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

impl Diary {
    /// A tenure begins with this lease.
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
