//! Storing what a batch says, before it is acknowledged.

use std::{
    cell::{RefCell, RefMut},
    collections::{BTreeMap, HashMap},
};

use futures_util::{StreamExt, stream};
use projections::{Offset, TenantId, Timestamp};
use store::{
    CommitError, Committed, Committer, ListingChange, Moved, Quarantined, SliceId, SliceKey, SliceTable, StoreError,
};

use crate::{
    Bookkeeping, NotAnEvent,
    batch::{Bad, Batch, Change, Reading},
    last_written::{Description, LastWritten},
};

/// Slices of a batch that are written at the same time; a write takes some 5 ms, so that 50 campaigns take 10.
const COMMITS_AT_ONCE: usize = 32;

/// Partitions of a batch whose bad records are written at the same time: a batch of nothing else must not take all
/// connections.
const QUARANTINED_AT_ONCE: usize = 16;

/// Bad records of a batch that are logged one by one; the others are told in a sum.
const MAX_LOGGED: usize = 10;

/// Takes batches in. Lives as long as its container and remembers what it wrote last.
pub struct Intake<S> {
    committer: Committer<S>,
    reading: Reading,
    last_written: RefCell<LastWritten>,
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
    /// Records of a type that this build does not know. They are in quarantine as well, for a newer build.
    pub unknown: usize,
}

/// From where a partition has to come again.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Resumption {
    /// Its topic.
    pub topic: String,
    /// Its number.
    pub partition: i32,
    /// The first of its records that is not stored.
    pub offset: Offset,
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
        /// Which partitions at least have to come again, and from where.
        resumptions: Vec<Resumption>,
        /// What has become of the records of all other partitions; nothing where there are none.
        others: Option<Box<Taken>>,
    },
}

/// What has become of the records of one slice, or of the bad ones of one partition.
struct Part<'a> {
    topic: &'a str,
    partition: i32,
    first: Offset,
    outcome: Result<Taken, CommitError>,
}

/// What has become of the records of one slice, and where they have moved it to if they are stored.
struct Changed<'a> {
    part: Part<'a>,
    moved: Option<Moved>,
}

impl<S: SliceTable + Bookkeeping> Intake<S> {
    /// An intake into `storage`.
    pub fn new(storage: S, reading: Reading) -> Self {
        Self { committer: Committer::new(storage), reading, last_written: RefCell::default() }
    }

    /// Stores all that the records of an MSK event say. Once this is `Ok` each record is counted, exactly once, or is
    /// in quarantine. The batch came `now`; `clock` tells when its entry in the journal is written.
    pub async fn take(
        &self,
        payload: &str,
        now: Timestamp,
        clock: impl Fn() -> Timestamp,
    ) -> Result<Taken, IntakeError> {
        let Batch { topic, oldest, unknown_words, changes, bad } = Batch::read(payload, &self.reading, now)?;
        let bad = by_partition(bad);
        // One write that fails does not keep the others from being seen.
        let changed = stream::iter(&changes).map(|change| self.change(change, now)).buffer_unordered(COMMITS_AT_ONCE);
        let kept = stream::iter(&bad).map(|bad| self.quarantine(bad, now)).buffer_unordered(QUARANTINED_AT_ONCE);
        let (changed, kept): (Vec<_>, Vec<_>) = futures_util::join!(changed.collect(), kept.collect());
        let mut parts = self.journal(changed, oldest, clock()).await;
        parts.extend(kept);

        let taken = Taken { topic, oldest, unknown_words, ..Taken::default() };
        let result = sum(parts, taken);
        if result.is_ok() {
            self.note(&changes, now).await;
        }
        result
    }

    /// Enters in the journal what is stored, also where the rest of the batch comes again; what it does not say, no publisher
    /// learns, so without it nothing is stored.
    async fn journal<'a>(&self, changed: Vec<Changed<'a>>, oldest: Option<Timestamp>, now: Timestamp) -> Vec<Part<'a>> {
        let (mut parts, moved): (Vec<_>, Vec<_>) =
            changed.into_iter().map(|Changed { part, moved }| (part, moved)).unzip();
        let moved: Vec<Moved> = moved.into_iter().flatten().collect();
        if moved.is_empty() {
            return parts;
        }
        // An entry is found by when it was written, and storing may have taken its time.
        let keys: Vec<SliceKey> = moved.iter().map(Moved::key).collect();
        if let Err(error) = self.storage().journal(moved, oldest, now).await {
            tracing::error!(%error, "journal not written");
            for key in keys {
                self.last_written().forget(&key);
            }
            for part in parts.iter_mut().filter(|part| part.outcome.is_ok()) {
                part.outcome = Err(error.clone().into());
            }
        }
        parts
    }

    /// Stores what a batch says of one slice, and logs what an operator has to know of it.
    async fn change<'a>(&self, change: &'a Change, now: Timestamp) -> Changed<'a> {
        let changed = self.commit(change, now).await;
        let SliceKey { tenant, channel, slice: SliceId { topic, partition, .. } } = &change.key;
        match &changed {
            Ok((Committed { regressed: 0, .. }, _)) => {}
            Ok((Committed { regressed, .. }, _)) => tracing::warn!(
                %tenant, %channel, topic, partition, regressed,
                "newer records stand at offsets that were seen: if the topic was made again, raise TOPIC_EPOCH"
            ),
            Err(error) => tracing::error!(%tenant, %channel, topic, partition, %error, "slice not stored"),
        }
        let first = change.entries.iter().map(|entry| entry.offset).min().unwrap_or_default();
        let moved = changed.as_ref().ok().and_then(|(committed, listing)| {
            let (SliceKey { tenant, channel, slice }, latest) = (change.key.clone(), change.latest.min(now));
            Some(Moved { tenant, channel, slice, watermark: committed.watermark?, latest, listing: *listing })
        });
        let outcome = changed.map(|(committed, _)| Taken::from(committed));
        Changed { part: Part { topic, partition: *partition, first, outcome }, moved }
    }

    /// Commits a slice and then lists its channel. Should this end in between, the batch comes again, to a container
    /// that has not listed the channel yet.
    async fn commit(
        &self,
        Change { key, entries, latest }: &Change,
        now: Timestamp,
    ) -> Result<(Committed, ListingChange), CommitError> {
        let committed = self.committer.commit(key, entries, now).await?;
        self.extend(key, now).await?;
        let mut change = ListingChange::None;
        // Of what a tenant has only one there is no list.
        if key.channel.id().is_some() {
            // A producer's clock that leads must not put its channel before all others for good.
            let last_activity = (*latest).min(now);
            let description = Description { listing: committed.listing.clone(), last_activity };
            change = self.describe(key, description, now).await?;
        }
        Ok((committed, change))
    }

    /// Keeps what rests of the channel for as long as what was just written.
    async fn extend(&self, key: &SliceKey, now: Timestamp) -> Result<(), StoreError> {
        if !self.last_written().take_turn_to_extend(key, now) {
            return Ok(());
        }
        let extended = self.storage().extend(&key.tenant, &key.channel, now).await;
        extended.inspect_err(|_| self.last_written().give_turn_back(key))
    }

    async fn describe(
        &self,
        key: &SliceKey,
        description: Description,
        now: Timestamp,
    ) -> Result<ListingChange, StoreError> {
        let change = self.last_written().change(key, &description);
        if change != ListingChange::None {
            let Description { listing, last_activity } = &description;
            self.storage().describe(&key.tenant, &key.channel, listing.as_ref(), *last_activity, now).await?;
            self.last_written().written(key.clone(), description);
        }
        Ok(change)
    }

    /// Keeps the bad records that a batch holds of one partition.
    async fn quarantine<'a>(&self, bad: &'a [Bad], now: Timestamp) -> Part<'a> {
        let (topic, partition) = (&bad[0].topic, bad[0].partition);
        for Bad { offset, reason, .. } in bad.iter().take(MAX_LOGGED) {
            tracing::warn!(topic, partition, offset, %reason, "bad record");
        }
        if let Some(more) = bad.len().checked_sub(MAX_LOGGED).filter(|more| *more > 0) {
            tracing::warn!(topic, partition, more, "more bad records");
        }
        let unknown = bad.iter().filter(|bad| bad.is_unknown()).count();
        let records: Vec<Quarantined> = bad.iter().map(|bad| bad.to_keep(now)).collect();
        let kept = self.storage().quarantine(&records).await;
        let kept = kept.inspect_err(|error| tracing::error!(topic, partition, %error, "bad records not stored"));
        let taken = Taken { quarantined: bad.len() - unknown, unknown, ..Taken::default() };
        Part { topic, partition, first: bad[0].offset, outcome: kept.map(|()| taken).map_err(Into::into) }
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

    fn last_written(&self) -> RefMut<'_, LastWritten> {
        self.last_written.borrow_mut()
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

impl From<Committed> for Taken {
    fn from(committed: Committed) -> Self {
        let Committed { applied, seen, regressed, conflicts, gauges_below_zero, .. } = committed;
        Self { slices: 1, applied, seen, regressed, conflicts, gauges_below_zero, ..Self::default() }
    }
}

impl Taken {
    fn add(&mut self, part: &Self) {
        self.records += part.applied + part.seen + part.regressed + part.quarantined + part.unknown;
        self.slices += part.slices;
        self.applied += part.applied;
        self.seen += part.seen;
        self.regressed += part.regressed;
        self.conflicts += part.conflicts;
        self.quarantined += part.quarantined;
        self.unknown += part.unknown;
        self.gauges_below_zero += part.gauges_below_zero;
    }
}

/// The bad records of each partition, in the order of their offsets.
fn by_partition(bad: Vec<Bad>) -> Vec<Vec<Bad>> {
    let mut partitions: BTreeMap<(String, i32), Vec<Bad>> = BTreeMap::new();
    for bad in bad {
        partitions.entry((bad.topic.clone(), bad.partition)).or_default().push(bad);
    }
    let mut partitions: Vec<_> = partitions.into_values().collect();
    for bad in &mut partitions {
        bad.sort_by_key(|bad| bad.offset);
    }
    partitions
}

/// What has become of a batch. A partition of which one part is not stored comes again from that part's first record, and
/// is not counted: it will be.
fn sum(parts: Vec<Part<'_>>, empty: Taken) -> Result<Taken, IntakeError> {
    let mut failed: BTreeMap<(&str, i32), Offset> = BTreeMap::new();
    for part in parts.iter().filter(|part| part.outcome.is_err()) {
        let first = failed.entry((part.topic, part.partition)).or_insert(part.first);
        *first = part.first.min(*first);
    }
    let (mut taken, mut are_others, mut failures) = (empty, false, Vec::new());
    for Part { topic, partition, outcome, .. } in parts {
        match outcome {
            Ok(part) if !failed.contains_key(&(topic, partition)) => {
                taken.add(&part);
                are_others = true;
            }
            Ok(_) => {}
            Err(error) => failures.push(error),
        }
    }
    let count = failures.len();
    let Some(example) = failures.pop() else { return Ok(taken) };
    let resumption =
        |((topic, partition), offset): ((&str, i32), Offset)| Resumption { topic: topic.to_owned(), partition, offset };
    Err(IntakeError::NotStored {
        failed: count,
        example,
        resumptions: failed.into_iter().map(resumption).collect(),
        others: are_others.then(|| Box::new(taken)),
    })
}
