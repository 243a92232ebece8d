//! Real committers over a table that does to their requests what the transitions say.

use std::{
    collections::{BTreeMap, HashMap},
    future::{Future, poll_fn},
    mem,
    pin::Pin,
    rc::Rc,
    sync::{Arc, Mutex, MutexGuard},
    task::{Context, Poll, Waker},
};

use projections::{
    HistoryEntry, Offset, Slice, TenantId, Timestamp,
    history::{Chunk, ChunkId},
    live_event::LiveEntry,
};
use store::{
    CommitError, Committed, Committer, Entry, SliceId, SliceKey, SliceTable, StoreError, StoredWindow, WindowId,
    WriteError,
};

use crate::model::{Fate, SLICES, now};

/// What is stored of a slice, and the writes that are still on their way.
#[derive(Default)]
pub(crate) struct Items {
    stored: Option<Versioned>,
    /// The one that was stored before.
    pub(crate) before: Option<Slice>,
    chunks: HashMap<ChunkId, Chunk>,
    pub(crate) windows: BTreeMap<WindowId, StoredWindow>,
    /// How often anything of it has changed.
    pub(crate) changes: usize,
    on_their_way: Vec<Write>,
}

/// A write, as the database carries it out.
#[derive(Clone)]
enum Write {
    Slice(Box<Versioned>, Option<Offset>),
    Chunk(Chunk),
    Window(WindowId, StoredWindow, Option<Offset>),
}

/// A slice as a build of this version has stored it.
#[derive(Clone)]
struct Versioned(Slice, u32);

impl Versioned {
    /// What a build of some version reads: none reads what a newer one has stored.
    fn read(self, version: u32) -> Result<Slice, StoreError> {
        let newer = || StoreError::Corrupt { key: String::new(), reason: "of a newer version".into() };
        if self.1 > version { Err(newer()) } else { Ok(self.0) }
    }
}

impl Items {
    /// The stored slice.
    pub(crate) fn slice(&self) -> Option<&Slice> {
        self.stored.as_ref().map(|stored| &stored.0)
    }

    /// Forgets the slice: a day or more after the last write, so that none is still on its way.
    pub(crate) fn expire(&mut self) -> Option<Slice> {
        self.before = None;
        self.on_their_way.clear();
        self.changes += 1;
        self.stored.take().map(|stored| stored.0)
    }

    /// Whether a write is on its way.
    pub(crate) fn awaits(&self) -> bool {
        !self.on_their_way.is_empty()
    }

    /// A write that was given up on lands.
    pub(crate) fn land(&mut self) {
        if self.awaits() {
            let write = self.on_their_way.remove(0);
            let _ = self.carry_out(write);
        }
    }

    /// The offsets and ids of those who checked in, as the chain of chunks has them.
    pub(crate) fn check_ins(&self, slice: &Slice) -> Vec<(Offset, String)> {
        let mut found = Vec::new();
        let mut tail = slice.history();
        while let Some(last) = tail.last {
            let chunk = self.chunks.get(&last).expect("a chunk that a stored slice or chunk names is stored");
            assert_eq!(chunk.tail(), tail, "the total is that of the chain");
            for entry in slice.kind().read_entries(&chunk.entries).unwrap().into_iter().rev() {
                let HistoryEntry::LiveEvent(entry) = entry else { unreachable!("a live event's") };
                let LiveEntry::CheckIn { id, .. } = entry.what;
                found.push((entry.offset, id));
            }
            tail = chunk.before;
        }
        found.reverse();
        found
    }

    /// Carries a write out; false where its condition does not hold.
    fn carry_out(&mut self, write: Write) -> Result<(), Refused> {
        match write {
            Write::Slice(slice, expected) => {
                if self.slice().and_then(Slice::watermark) != expected {
                    return Err(Refused);
                }
                self.before = self.stored.replace(*slice).map(|before| before.0);
            }
            Write::Chunk(chunk) => {
                self.chunks.insert(chunk.id, chunk);
            }
            Write::Window(id, window, expected) => {
                if self.windows.get(&id).map(|window| window.through) != expected {
                    return Err(Refused);
                }
                self.windows.insert(id, window);
            }
        }
        self.changes += 1;
        Ok(())
    }
}

/// The condition of a write did not hold.
struct Refused;

/// A writer's way to the table.
#[derive(Clone, Default)]
pub(crate) struct Wire {
    pub(crate) items: [Arc<Mutex<Items>>; SLICES],
    pub(crate) fate: Arc<Mutex<Fate>>,
    pub(crate) version: u32,
}

impl Wire {
    fn item(&self, key: &SliceKey) -> MutexGuard<'_, Items> {
        self.items[usize::try_from(key.slice.partition).unwrap()].lock().unwrap()
    }

    /// Waits until the request is to be carried out, and tells how.
    async fn request(&self) -> Fate {
        let mut is_sent = false;
        poll_fn(|context| {
            if mem::replace(&mut is_sent, true) {
                return Poll::Ready(());
            }
            // Requests that are under way together are looked at only where they say so.
            context.waker().wake_by_ref();
            Poll::Pending
        })
        .await;
        mem::take(&mut self.fate.lock().unwrap())
    }

    /// Carries out a write as its fate is; whether its condition held.
    async fn write(&self, key: &SliceKey, write: Write) -> Result<Result<(), Refused>, StoreError> {
        let fate = self.request().await;
        let mut items = self.item(key);
        match fate {
            Fate::Answered => return Ok(items.carry_out(write)),
            Fate::SentAgain => {
                let _ = items.carry_out(write.clone());
                return Ok(items.carry_out(write));
            }
            Fate::Unanswered | Fate::Fatal => drop(items.carry_out(write)),
            Fate::Late => items.on_their_way.push(write),
            Fate::Lost => {}
        }
        Err(no_answer())
    }

    /// Carries out a read as its fate is.
    async fn look<T>(&self, key: &SliceKey, look: impl FnOnce(&Items) -> T) -> Result<T, StoreError> {
        match self.request().await {
            Fate::Answered | Fate::SentAgain => Ok(look(&self.item(key))),
            Fate::Lost | Fate::Unanswered | Fate::Late | Fate::Fatal => Err(no_answer()),
        }
    }
}

fn no_answer() -> StoreError {
    StoreError::Unavailable("no answer in time".into())
}

impl SliceTable for Wire {
    async fn read(&self, key: &SliceKey, _: Timestamp) -> Result<Option<Slice>, StoreError> {
        let stored = self.look(key, |items| items.stored.clone()).await?;
        stored.map(|stored| stored.read(self.version)).transpose()
    }

    async fn write_if(
        &self,
        key: &SliceKey,
        slice: &Slice,
        expected: Option<Offset>,
        _: Timestamp,
    ) -> Result<(), WriteError> {
        let write = Write::Slice(Box::new(Versioned(slice.clone(), self.version)), expected);
        if let Err(Refused) = self.write(key, write).await? {
            let stored = self.item(key).stored.clone().map(|stored| stored.read(self.version)).transpose()?;
            return Err(WriteError::Conflict(stored.map(Box::new)));
        }
        Ok(())
    }

    async fn put_chunk(&self, key: &SliceKey, chunk: &Chunk, _: Timestamp) -> Result<(), StoreError> {
        self.write(key, Write::Chunk(chunk.clone())).await.map(drop)
    }

    async fn read_window(
        &self,
        key: &SliceKey,
        window: WindowId,
        _: Timestamp,
    ) -> Result<Option<StoredWindow>, StoreError> {
        self.look(key, |items| items.windows.get(&window).cloned()).await
    }

    async fn write_window_if(
        &self,
        key: &SliceKey,
        window: WindowId,
        stored: &StoredWindow,
        expected: Option<Offset>,
        _: Timestamp,
    ) -> Result<bool, StoreError> {
        let written = self.write(key, Write::Window(window, stored.clone(), expected)).await?;
        Ok(written.is_ok())
    }
}

type Running = Pin<Box<dyn Future<Output = Result<Committed, CommitError>>>>;

/// A warm process, and what it has in hand of each partition: up to which record, and the commit of it.
pub(crate) struct Writer {
    pub(crate) wire: Wire,
    committer: Rc<Committer<Wire>>,
    pub(crate) batches: [Option<(usize, Running)>; SLICES],
}

impl Writer {
    pub(crate) fn new(wire: &Wire) -> Self {
        let wire = Wire { items: wire.items.clone(), fate: Arc::default(), version: wire.version };
        Self { committer: Rc::new(Committer::new(wire.clone())), wire, batches: Default::default() }
    }

    pub(crate) fn deliver(&mut self, slice: usize, entries: &[Entry], end: usize) {
        let (committer, entries) = (self.committer.clone(), entries.to_vec());
        let commit = async move { committer.commit(&key(slice), &entries, now()).await };
        self.batches[slice] = Some((end, Box::pin(commit)));
    }

    /// Carries out the pending request; tells up to which record the batch is acknowledged, if it is by now.
    pub(crate) fn step(&mut self, slice: usize, fate: Fate) -> Option<usize> {
        let (end, commit) = self.batches[slice].as_mut()?;
        let end = *end;
        *self.wire.fate.lock().unwrap() = fate;
        let poll = commit.as_mut().poll(&mut Context::from_waker(Waker::noop()));
        if fate == Fate::Fatal {
            *self = Self::new(&self.wire);
            return None;
        }
        let Poll::Ready(result) = poll else { return None };
        self.batches[slice] = None;
        result.is_ok().then_some(end)
    }
}

fn key(slice: usize) -> SliceKey {
    SliceKey {
        tenant: TenantId::parse("acme").unwrap(),
        channel: "event:e".parse().unwrap(),
        slice: SliceId {
            epoch: 1,
            topic: "platform.analytics.events.v1".into(),
            partition: i32::try_from(slice).unwrap(),
        },
    }
}
