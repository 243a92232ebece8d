//! Committing a slice: records and watermark in one conditional write, so that each record counts exactly once.

use std::{cell::RefCell, future::Future, num::NonZeroUsize};

use lru::LruCache;
use projections::{Event, Fold, Listing, Offset, Slice, Timestamp, history::Chunk, window::MAX_CLOSED};

use crate::{
    SliceKey, StoreError, rollup,
    windows::{StoredWindow, WindowId},
};

/// The most slices that stay in memory between batches: a campaign's takes 4 KB in there when its notices are full, so
/// these 16 MB are a quarter of what ingest may use. One that was forgotten costs a read.
pub const MAX_WARM_SLICES: NonZeroUsize = NonZeroUsize::new(4_000).expect("4,000 is not zero");

/// How often a commit starts over because another writer came first. Each round lost is a round that somebody else
/// won, and a partition has hardly ever more than two writers: the new one, and one that does not know yet.
const MAX_ROUNDS: usize = 8;

/// Where slices are stored. [`Channels`](crate::Channels) is the real one; tests put faults in between.
pub trait SliceTable {
    /// The slice as it is stored, if it is and has not expired.
    fn read(&self, key: &SliceKey, now: Timestamp) -> impl Future<Output = Result<Option<Slice>, StoreError>> + Send;

    /// Stores the slice if the watermark that is stored is the expected one; `None` expects that there is no slice, or one
    /// that has expired.
    fn write_if(
        &self,
        key: &SliceKey,
        slice: &Slice,
        expected: Option<Offset>,
        now: Timestamp,
    ) -> impl Future<Output = Result<(), WriteError>> + Send;

    /// Stores a chunk of the slice's history. Storing it again changes nothing.
    fn put_chunk(
        &self,
        key: &SliceKey,
        chunk: &Chunk,
        now: Timestamp,
    ) -> impl Future<Output = Result<(), StoreError>> + Send;

    /// The item of a window of time, if there is one.
    fn read_window(
        &self,
        key: &SliceKey,
        window: WindowId,
        now: Timestamp,
    ) -> impl Future<Output = Result<Option<StoredWindow>, StoreError>> + Send;

    /// Stores the item of a window of time if `through` of the one that is stored is the expected one; `None` expects that
    /// there is none. False if it is another one.
    fn write_window_if(
        &self,
        key: &SliceKey,
        window: WindowId,
        stored: &StoredWindow,
        expected: Option<Offset>,
        now: Timestamp,
    ) -> impl Future<Output = Result<bool, StoreError>> + Send;
}

/// A slice was not stored, or not for sure.
#[derive(Debug, thiserror::Error)]
pub enum WriteError {
    /// Another watermark was stored: another writer's, or that of the same write whose answer got lost. Continue from
    /// the slice that was found.
    #[error("another watermark is stored")]
    Conflict(Option<Box<Slice>>),
    /// It may be stored or not: forget what is in hand.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// A record on its way into a slice.
#[derive(Clone, Debug)]
pub struct Entry {
    /// Where it stands in its partition.
    pub offset: Offset,
    /// When it happened.
    pub at: Timestamp,
    /// What it says.
    pub event: Event,
}

/// What a commit has done. The slice is stored when this is returned.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Committed {
    /// The offset up to which records have been folded in.
    pub watermark: Option<Offset>,
    /// The latest time of any record folded in.
    pub event_time: Option<Timestamp>,
    /// How the channel stands in the directory, as far as this slice knows.
    pub listing: Option<Listing>,
    /// The slice's gauges that have gone below zero, and are shown as 0.
    pub gauges_below_zero: usize,
    /// Entries that this commit has folded in.
    pub applied: usize,
    /// Entries that had been folded in before, or by this commit in a write whose answer got lost.
    pub seen: usize,
    /// Entries that look seen but are newer than all that was: the topic was made again without a new epoch, and they
    /// are not counted.
    pub regressed: usize,
    /// Rounds lost to another writer, or to a write of its own whose answer got lost.
    pub conflicts: usize,
    /// Whether the slice was still in memory.
    pub was_warm: bool,
}

/// A batch that is not stored: it has to come again.
#[derive(Debug, thiserror::Error)]
pub enum CommitError {
    /// The table failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Other writers always came first. Trying again helps.
    #[error("lost {MAX_ROUNDS} rounds to other writers")]
    Contended,
    /// An entry is of another kind than the channel. That is a mistake in the caller; trying again does not help.
    #[error("a record was routed to a channel of another kind")]
    Misrouted,
}

/// Commits slices, and remembers those that it wrote last: the usual batch then costs one write per slice and no read.
pub struct Committer<T> {
    table: T,
    warm: RefCell<LruCache<SliceKey, Slice>>,
}

impl<T: SliceTable> Committer<T> {
    /// A committer that remembers nothing yet.
    pub fn new(table: T) -> Self {
        Self { table, warm: RefCell::new(LruCache::new(MAX_WARM_SLICES)) }
    }

    /// Where the slices are stored.
    pub fn table(&self) -> &T {
        &self.table
    }

    /// Folds the entries into the slice and stores it, if any of them is new. Once this is `Ok`, all entries are in the
    /// stored state, in its history and in its windows, each exactly once, whatever was delivered before, and whoever else
    /// was writing.
    ///
    /// First what the commit before has closed, if that may not be in the windows' items yet; then the chunks of history;
    /// then the slice, on condition that it is the one that all this was made of; then what it has closed. Who dies in
    /// between leaves chunks that nobody names, or a slice that says what its windows lack.
    ///
    /// Slices may be committed concurrently.
    pub async fn commit(&self, key: &SliceKey, entries: &[Entry], now: Timestamp) -> Result<Committed, CommitError> {
        // A later offset first would make an earlier one look seen. Kafka's order makes this a mere check.
        let mut entries: Vec<&Entry> = entries.iter().collect();
        entries.sort_by_key(|entry| entry.offset);

        // Taken out, not copied: whatever ends this early, an error or a crash, also forgets the slice.
        let warm = self.take_warm(key);
        let was_warm = warm.is_some();
        let mut slice = match warm {
            Some(slice) => slice,
            None => self.table.read(key, now).await?.unwrap_or_else(|| key.channel.kind().empty_slice()),
        };
        let (mut sum, mut conflicts) = (Tally::default(), 0);
        let mut left = &entries[..];
        loop {
            rollup::roll_up(&self.table, key, &slice, now).await?;
            slice.clear_closed();
            let base = slice.watermark();
            let (tally, rest) = fold(&mut slice, left, now)?;
            if tally.applied > 0 {
                for chunk in slice.cut(base) {
                    self.table.put_chunk(key, &chunk, now).await?;
                }
                match self.table.write_if(key, &slice, base, now).await {
                    Ok(()) => {}
                    Err(WriteError::Conflict(_)) if conflicts + 1 == MAX_ROUNDS => return Err(CommitError::Contended),
                    Err(WriteError::Conflict(stored)) => {
                        conflicts += 1;
                        slice = stored.map_or_else(|| key.channel.kind().empty_slice(), |stored| *stored);
                        continue;
                    }
                    Err(WriteError::Store(error)) => return Err(error.into()),
                }
            }
            sum.add(&tally);
            left = rest;
            if left.is_empty() {
                break;
            }
        }
        rollup::roll_up(&self.table, key, &slice, now).await?;
        slice.clear_closed();
        let committed = Committed {
            watermark: slice.watermark(),
            event_time: slice.event_time(),
            listing: slice.listing(),
            gauges_below_zero: slice.gauges_below_zero(),
            applied: sum.applied,
            seen: sum.seen,
            regressed: sum.regressed,
            conflicts,
            was_warm,
        };
        self.keep_warm(key.clone(), slice);
        Ok(committed)
    }

    fn take_warm(&self, key: &SliceKey) -> Option<Slice> {
        self.warm.borrow_mut().pop(key)
    }

    fn keep_warm(&self, key: SliceKey, slice: Slice) {
        self.warm.borrow_mut().put(key, slice);
    }
}

#[derive(Default)]
struct Tally {
    applied: usize,
    seen: usize,
    regressed: usize,
}

impl Tally {
    fn add(&mut self, other: &Self) {
        self.applied += other.applied;
        self.seen += other.seen;
        self.regressed += other.regressed;
    }
}

/// Folds as many of the entries in as one commit takes; what is left.
fn fold<'a, 'b>(
    slice: &mut Slice,
    entries: &'a [&'b Entry],
    now: Timestamp,
) -> Result<(Tally, &'a [&'b Entry]), CommitError> {
    slice.disbelieve_future(now);
    let mut tally = Tally::default();
    for (index, entry) in entries.iter().enumerate() {
        if slice.closed_len() >= MAX_CLOSED && tally.applied > 0 {
            return Ok((tally, &entries[index..]));
        }
        match slice.fold(entry.offset, entry.at, &entry.event).ok_or(CommitError::Misrouted)? {
            Fold::Applied => tally.applied += 1,
            Fold::Seen => tally.seen += 1,
            // Its producer's clock leads, so that its time is that of its arrival: newer each time it comes.
            Fold::Regressed if entry.at >= now => tally.seen += 1,
            Fold::Regressed => tally.regressed += 1,
        }
    }
    Ok((tally, &[]))
}
