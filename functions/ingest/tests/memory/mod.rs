//! Storage in memory that fails when told to.

use std::{
    collections::{BTreeMap, HashMap},
    sync::{Arc, Mutex, MutexGuard},
};

use ingest::Bookkeeping;
use projections::{
    ChannelId, Listing, Offset, Slice, TenantId, Timestamp,
    history::{Chunk, ChunkId},
};
use store::{Moved, Quarantined, SliceKey, SliceTable, StoreError, StoredWindow, WindowId, WriteError};

/// Cheap to clone; all clones are one storage.
#[derive(Clone, Default)]
pub(crate) struct Memory(Arc<Mutex<State>>);

#[derive(Default)]
pub(crate) struct State {
    pub(crate) slices: HashMap<SliceKey, Slice>,
    pub(crate) chunks: HashMap<(SliceKey, ChunkId), Chunk>,
    pub(crate) windows: HashMap<(SliceKey, WindowId), StoredWindow>,
    pub(crate) quarantine: BTreeMap<(String, i32, Offset), Quarantined>,
    pub(crate) directory: BTreeMap<(TenantId, String), Option<Listing>>,
    pub(crate) journal: Vec<Moved>,
    pub(crate) notes: BTreeMap<(TenantId, String), Timestamp>,
    /// Channels that were extended, and when.
    pub(crate) extensions: Vec<(TenantId, String, Timestamp)>,
    /// Whether nothing can be entered in the journal.
    pub(crate) is_journal_full: bool,
    /// A channel whose slices cannot be written.
    pub(crate) unwritable: Option<String>,
    pub(crate) reads: usize,
    pub(crate) writes: usize,
    pub(crate) descriptions: usize,
    pub(crate) quarantines: usize,
    /// What becomes of the next requests, first to last; those after them succeed.
    pub(crate) faults: Vec<Option<Fault>>,
}

/// What goes wrong with a request.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Fault {
    /// It never arrives.
    Before,
    /// It is carried out, but the answer is lost.
    After,
}

impl Memory {
    pub(crate) fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap()
    }

    /// Carries out a request, unless a fault is due.
    fn request<T>(&self, carry_out: impl FnOnce(&mut State) -> T) -> Result<T, StoreError> {
        let mut state = self.state();
        let fault = if state.faults.is_empty() { None } else { state.faults.remove(0) };
        match fault {
            None => Ok(carry_out(&mut state)),
            Some(Fault::Before) => Err(StoreError::Unavailable("fault before".into())),
            Some(Fault::After) => {
                carry_out(&mut state);
                Err(StoreError::Unavailable("fault after".into()))
            }
        }
    }
}

impl SliceTable for Memory {
    async fn read(&self, key: &SliceKey, _: Timestamp) -> Result<Option<Slice>, StoreError> {
        self.request(|state| {
            state.reads += 1;
            state.slices.get(key).cloned()
        })
    }

    async fn write_if(
        &self,
        key: &SliceKey,
        slice: &Slice,
        expected: Option<Offset>,
        _: Timestamp,
    ) -> Result<(), WriteError> {
        self.request(|state| {
            if state.unwritable.as_deref() == Some(key.channel.to_string().as_str()) {
                return Err(StoreError::Unavailable("throttled".into()).into());
            }
            let stored = state.slices.get(key);
            if stored.and_then(Slice::watermark) != expected {
                return Err(WriteError::Conflict(stored.cloned().map(Box::new)));
            }
            state.writes += 1;
            state.slices.insert(key.clone(), slice.clone());
            Ok(())
        })?
    }

    async fn put_chunk(&self, key: &SliceKey, chunk: &Chunk, _: Timestamp) -> Result<(), StoreError> {
        self.request(|state| {
            state.chunks.insert((key.clone(), chunk.id), chunk.clone());
        })
    }

    async fn read_window(
        &self,
        key: &SliceKey,
        window: WindowId,
        _: Timestamp,
    ) -> Result<Option<StoredWindow>, StoreError> {
        self.request(|state| state.windows.get(&(key.clone(), window)).cloned())
    }

    async fn write_window_if(
        &self,
        key: &SliceKey,
        window: WindowId,
        stored: &StoredWindow,
        expected: Option<Offset>,
        _: Timestamp,
    ) -> Result<bool, StoreError> {
        self.request(|state| {
            let id = (key.clone(), window);
            let is_expected = state.windows.get(&id).map(|window| window.through) == expected;
            if is_expected {
                state.windows.insert(id, stored.clone());
            }
            is_expected
        })
    }
}

impl Bookkeeping for Memory {
    async fn describe(
        &self,
        tenant: &TenantId,
        channel: &ChannelId,
        listing: Option<&Listing>,
        _: Timestamp,
        _: Timestamp,
    ) -> Result<(), StoreError> {
        self.request(|state| {
            state.descriptions += 1;
            state.directory.insert((tenant.clone(), channel.to_string()), listing.cloned());
        })
    }

    async fn extend(&self, tenant: &TenantId, channel: &ChannelId, now: Timestamp) -> Result<(), StoreError> {
        self.request(|state| state.extensions.push((tenant.clone(), channel.to_string(), now)))
    }

    async fn journal(&self, moved: Vec<Moved>, _: Option<Timestamp>, _: Timestamp) -> Result<(), StoreError> {
        self.request(|state| {
            for moved in &moved {
                let stored = state.slices.get(&moved.key()).and_then(Slice::watermark);
                assert!(stored >= Some(moved.watermark), "{moved:?} is entered before it is stored");
            }
            if state.is_journal_full {
                return Err(StoreError::Unavailable("throttled".into()));
            }
            state.journal.extend(moved);
            Ok(())
        })?
    }

    async fn quarantine(&self, bad: &[Quarantined]) -> Result<(), StoreError> {
        self.request(|state| {
            state.quarantines += 1;
            for bad in bad {
                state.quarantine.insert((bad.topic.clone(), bad.partition, bad.offset), bad.clone());
            }
        })
    }

    async fn note_records(
        &self,
        tenant: &TenantId,
        topic: &str,
        latest: Timestamp,
        _: Timestamp,
    ) -> Result<(), StoreError> {
        self.request(|state| {
            state.notes.insert((tenant.clone(), topic.to_owned()), latest);
        })
    }
}
