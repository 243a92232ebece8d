//! Storing what a batch says, before it is acknowledged.

use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard, PoisonError},
};

use futures_util::{StreamExt, stream};
use projections::{TenantId, Timestamp};
use store::{CommitError, Committed, Committer, Quarantined, SliceId, SliceKey, SliceTable, StoreError};

use crate::{
    Bookkeeping, NotAnEvent,
    batch::{Bad, Batch, Change, Reading},
    last_written::{Description, LastWritten},
};

/// Slices of a batch that are written at the same time; a write takes some 5 ms, so that 50 campaigns take 10.
const COMMITS_AT_ONCE: usize = 32;

/// Bad records of a batch that are written at the same time: a batch of nothing else must not take all connections.
const QUARANTINED_AT_ONCE: usize = 16;

/// Takes batches in. Lives as long as its container and remembers what it wrote last.
pub struct Intake<S> {
    committer: Committer<S>,
    reading: Reading,
    last_written: Mutex<LastWritten>,
}

/// What has become of a batch's records.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Taken {
    /// Their topic.
    pub topic: Option<String>,
    /// How many there are, each of them one of those below.
    pub records: usize,
    /// Kafka's time of the oldest.
    pub oldest: Option<Timestamp>,
    /// Slices that it was about.
    pub slices: usize,
    /// Records that were folded in.
    pub applied: usize,
    /// Records that had been folded in before.
    pub seen: usize,
    /// Records that look seen but are newer than all that was; they are not counted.
    pub regressed: usize,
    /// Writes that met another writer, or themselves.
    pub conflicts: usize,
    /// Records that cannot be counted.
    pub quarantined: usize,
    /// Words in the records that are none that we know: an outcome, say, that is counted nowhere.
    pub unknown_words: usize,
    /// Gauges of the slices that have gone below zero, and are shown as 0.
    pub gauges_below_zero: usize,
}

/// A batch is not stored as a whole: it must not be acknowledged.
#[derive(Debug, thiserror::Error)]
pub enum IntakeError {
    /// The function is wired to something else than an MSK event source mapping; trying again does not help.
    #[error(transparent)]
    NotAnEvent(#[from] NotAnEvent),
    /// The batch has to come again; what has been stored is skipped then.
    #[error("{failed} writes failed, one of them: {example}")]
    NotStored {
        /// How many writes failed; the log has them all.
        failed: usize,
        /// One of the failures.
        example: CommitError,
    },
}

impl<S: SliceTable + Bookkeeping> Intake<S> {
    /// An intake into `storage`.
    pub fn new(storage: S, reading: Reading) -> Self {
        Self { committer: Committer::new(storage), reading, last_written: Mutex::default() }
    }

    /// Stores all that the records of an MSK event say. Once this is `Ok` each record is counted, exactly once, or is
    /// in quarantine.
    pub async fn take(&self, payload: &str, now: Timestamp) -> Result<Taken, IntakeError> {
        let Batch { topic, records, oldest, unknown_words, changes, bad } = Batch::read(payload, &self.reading, now)?;
        // One write that fails does not keep the others from being seen: it only brings the batch back.
        let changed = stream::iter(&changes).map(|change| self.change(change, now)).buffer_unordered(COMMITS_AT_ONCE);
        let kept = stream::iter(bad).map(|bad| self.quarantine(bad, now)).buffer_unordered(QUARANTINED_AT_ONCE);
        let (changed, kept): (Vec<_>, Vec<_>) = futures_util::join!(changed.collect(), kept.collect());

        let counted = Taken { topic, records, oldest, unknown_words, ..Taken::default() };
        let mut taken = Taken { slices: changes.len(), quarantined: kept.len(), ..counted };
        let mut failures: Vec<CommitError> = kept.into_iter().filter_map(|kept| kept.err().map(Into::into)).collect();
        for changed in changed {
            match changed {
                Ok(committed) => taken.add(&committed),
                Err(error) => failures.push(error),
            }
        }
        let failed = failures.len();
        if let Some(example) = failures.pop() {
            return Err(IntakeError::NotStored { failed, example });
        }
        self.note(&changes, now).await;
        Ok(taken)
    }

    /// Stores what a batch says of one slice, and logs what an operator has to know of it.
    async fn change(&self, change: &Change, now: Timestamp) -> Result<Committed, CommitError> {
        let changed = self.commit(change, now).await;
        let SliceKey { tenant, channel, slice: SliceId { topic, partition, .. } } = &change.key;
        match &changed {
            Ok(Committed { regressed: 0, .. }) => {}
            Ok(Committed { regressed, .. }) => tracing::warn!(
                %tenant, %channel, topic, partition, regressed,
                "newer records stand at offsets that were seen: if the topic was made again, raise TOPIC_EPOCH"
            ),
            Err(error) => tracing::error!(%tenant, %channel, topic, partition, %error, "slice not stored"),
        }
        changed
    }

    /// Commits a slice and then lists its channel. Should this end in between, the batch comes again, to a container
    /// that has not listed the channel yet.
    async fn commit(&self, Change { key, entries, latest }: &Change, now: Timestamp) -> Result<Committed, CommitError> {
        let committed = self.committer.commit(key, entries, now).await?;
        // Of what a tenant has only one there is no list.
        if key.channel.id().is_some() {
            // A producer's clock that leads must not put its channel before all others for good.
            let last_activity = (*latest).min(now);
            self.describe(key, Description { listing: committed.listing.clone(), last_activity }, now).await?;
        }
        Ok(committed)
    }

    async fn describe(&self, key: &SliceKey, description: Description, now: Timestamp) -> Result<(), StoreError> {
        if self.last_written().is_due(key, &description) {
            let Description { listing, last_activity } = &description;
            self.storage().describe(&key.tenant, &key.channel, listing.as_ref(), *last_activity, now).await?;
            self.last_written().written(key.clone(), description);
        }
        Ok(())
    }

    async fn quarantine(&self, bad: Bad, now: Timestamp) -> Result<(), StoreError> {
        let Bad { topic, partition, offset, reason, value } = bad;
        tracing::warn!(topic, partition, offset, %reason, "bad record");
        let bad = Quarantined::new(topic, partition, offset, reason.to_string(), &value, now);
        let stored = self.storage().quarantine(&bad).await;
        stored.inspect_err(|error| tracing::error!(%error, "bad record not stored"))
    }

    /// Notes when each topic was last heard of. It counts nothing, so the batch does not depend on it.
    async fn note(&self, changes: &[Change], now: Timestamp) {
        let mut latest: HashMap<(&TenantId, &str), Timestamp> = HashMap::new();
        for Change { key, latest: at, .. } in changes {
            let latest = latest.entry((&key.tenant, &key.slice.topic)).or_default();
            // One record from a clock that leads must not make the topic look alive for as long as it leads.
            *latest = (*latest).max((*at).min(now));
        }
        latest.retain(|(tenant, topic), _| self.last_written().take_turn_to_write(tenant, topic, now));
        let notes = stream::iter(latest).map(async |((tenant, topic), latest)| {
            if let Err(error) = self.storage().note_records(tenant, topic, latest, now).await {
                tracing::warn!(%error, %tenant, topic, "last record not noted");
            }
        });
        notes.buffer_unordered(COMMITS_AT_ONCE).collect::<()>().await;
    }

    fn storage(&self) -> &S {
        self.committer.table()
    }

    fn last_written(&self) -> MutexGuard<'_, LastWritten> {
        self.last_written.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl IntakeError {
    /// What it is called where only words of ours may stand.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::NotAnEvent(_) => "NotAnEvent",
            Self::NotStored { .. } => "NotStored",
        }
    }
}

impl Taken {
    fn add(&mut self, committed: &Committed) {
        self.applied += committed.applied;
        self.seen += committed.seen;
        self.regressed += committed.regressed;
        self.conflicts += committed.conflicts;
        self.gauges_below_zero += committed.gauges_below_zero;
    }
}
