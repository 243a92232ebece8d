//! Exactly once, for all histories: two writers commit batches of two partitions while their requests fail, land without
//! an answer, land late, are sent twice, their process dies or is replaced by a newer build, and slices expire. However
//! they interleave, each stored slice is the fold of every record up to its watermark, and holds every record of every
//! batch that was acknowledged; of a slice that has expired, every one that came after that, and no record twice.

#![allow(clippy::unwrap_used, reason = "tests fail by panicking")]

use std::{
    future::{Future, poll_fn},
    mem,
    pin::Pin,
    rc::Rc,
    sync::{Arc, Mutex, MutexGuard},
    task::{Context, Poll, Waker},
};

use projections::{Kind, Offset, Slice, TenantId, Timestamp, live_event::Event};
use proptest::prelude::*;
use proptest_state_machine::{ReferenceStateMachine, StateMachineTest, prop_state_machine};
use store::{CommitError, Committed, Committer, Entry, SliceId, SliceKey, SliceTable, StoreError, WriteError};

// ---- The model: what was produced. ------------------------------------------------------------------------------

/// A partition's records, in order, with holes between the offsets.
#[derive(Clone, Debug, Default)]
struct Log(Vec<Entry>);

/// The partitions, each of which feeds a slice.
#[derive(Clone, Debug, Default)]
struct Logs([Log; SLICES]);

/// What a partition's records add up to.
#[derive(Debug, Default, PartialEq)]
struct Totals {
    messages: u64,
    votes: u64,
    last_check_in: Option<String>,
}

impl Log {
    /// What every record from `first` on up to the watermark adds up to, each counted once.
    fn totals(&self, first: usize, watermark: Option<Offset>) -> Totals {
        let mut totals = Totals::default();
        for entry in self.0.iter().skip(first).filter(|entry| Some(entry.offset) <= watermark) {
            match &entry.event {
                projections::Event::LiveEvent(Event::MessageSent) => totals.messages += 1,
                projections::Event::LiveEvent(Event::PollVoteCast) => totals.votes += 1,
                projections::Event::LiveEvent(Event::CheckIn { id, .. }) => totals.last_check_in = Some(id.clone()),
                other => unreachable!("not produced: {other:?}"),
            }
        }
        totals
    }
}

#[derive(Clone, Debug)]
enum Transition {
    /// Records are produced, each so far behind the one before.
    Produce { slice: usize, records: Vec<(Offset, u8)> },
    /// Kafka hands a batch to a writer that has none: from at most `back` records before the position that was
    /// acknowledged. So batches come again, and split differently.
    Deliver { writer: usize, slice: usize, back: usize, length: usize },
    /// A writer's pending request is carried out, one way or the other.
    Step { writer: usize, slice: usize, fate: Fate },
    /// A writer's process dies before its pending requests are carried out; its successor knows nothing.
    Crash { writer: usize },
    /// So it does, and its successor is of a newer build.
    Upgrade { writer: usize },
    /// A write that was given up on lands after all.
    Land { slice: usize },
    /// A slice expires.
    Expire { slice: usize },
}

/// What becomes of a request.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
enum Fate {
    #[default]
    Answered,
    /// It gets lost on the way: an error.
    Lost,
    /// It is carried out, but the answer gets lost: an error.
    Unanswered,
    /// It is carried out, the answer gets lost, and the SDK sends it again: the answer to the second.
    SentAgain,
    /// It takes longer than the writer waits: an error, and it lands later.
    Late,
    /// It is carried out, and the process dies before it hears of that.
    Fatal,
}

impl ReferenceStateMachine for Logs {
    type State = Self;
    type Transition = Transition;

    fn init_state() -> BoxedStrategy<Self> {
        Just(Self::default()).boxed()
    }

    fn transitions(_: &Self) -> BoxedStrategy<Transition> {
        let (writer, slice) = (0..WRITERS, 0..SLICES);
        let fate = prop_oneof![
            6 => Just(Fate::Answered),
            1 => Just(Fate::Lost),
            1 => Just(Fate::Unanswered),
            1 => Just(Fate::SentAgain),
            1 => Just(Fate::Late),
            1 => Just(Fate::Fatal),
        ];
        prop_oneof![
            6 => (slice.clone(), prop::collection::vec((1..4_i64, 0..3_u8), 1..6))
                .prop_map(|(slice, records)| Transition::Produce { slice, records }),
            8 => (writer.clone(), slice.clone(), 0..6_usize, 1..8_usize)
                .prop_map(|(writer, slice, back, length)| Transition::Deliver { writer, slice, back, length }),
            18 => (writer.clone(), slice.clone(), fate)
                .prop_map(|(writer, slice, fate)| Transition::Step { writer, slice, fate }),
            2 => writer.clone().prop_map(|writer| Transition::Crash { writer }),
            1 => writer.prop_map(|writer| Transition::Upgrade { writer }),
            2 => slice.clone().prop_map(|slice| Transition::Land { slice }),
            1 => slice.prop_map(|slice| Transition::Expire { slice }),
        ]
        .boxed()
    }

    fn apply(mut logs: Self, transition: &Transition) -> Self {
        if let Transition::Produce { slice, records } = transition {
            let log = &mut logs.0[*slice];
            for (hole, what) in records {
                let offset = log.0.last().map_or(0, |last| last.offset) + hole;
                let event = match what {
                    0 => Event::MessageSent,
                    1 => Event::PollVoteCast,
                    _ => Event::CheckIn { id: format!("u{offset}"), name: String::new() },
                };
                let event = projections::Event::LiveEvent(event);
                log.0.push(Entry { offset, at: Timestamp::from_millis(offset), event });
            }
        }
        logs
    }
}

// ---- The system: real committers over a table that does to their requests what the transitions say. ----------------

const WRITERS: usize = 2;
const SLICES: usize = 2;

/// The item, and the writes that are still on their way to it.
#[derive(Default)]
struct Item {
    stored: Option<Versioned>,
    on_their_way: Vec<(Versioned, Option<Offset>)>,
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

impl Item {
    /// A conditional put, as the database does it.
    fn put_if(&mut self, slice: &Versioned, expected: Option<Offset>) -> Result<(), WriteError> {
        if self.stored.as_ref().and_then(|stored| stored.0.watermark()) != expected {
            let stored = self.stored.clone().map(|stored| stored.read(slice.1)).transpose()?;
            return Err(WriteError::Conflict(stored.map(Box::new)));
        }
        self.stored = Some(slice.clone());
        Ok(())
    }
}

/// A writer's way to the table.
#[derive(Clone, Default)]
struct Wire {
    items: [Arc<Mutex<Item>>; SLICES],
    fate: Arc<Mutex<Fate>>,
    version: u32,
}

impl Wire {
    fn item(&self, key: &SliceKey) -> MutexGuard<'_, Item> {
        self.items[usize::try_from(key.slice.partition).unwrap()].lock().unwrap()
    }

    /// Waits until the request is to be carried out, and tells how.
    async fn request(&self) -> Fate {
        let mut is_sent = false;
        poll_fn(|_| if mem::replace(&mut is_sent, true) { Poll::Ready(()) } else { Poll::Pending }).await;
        mem::take(&mut self.fate.lock().unwrap())
    }
}

fn no_answer() -> StoreError {
    StoreError::Unavailable("no answer in time".into())
}

impl SliceTable for Wire {
    async fn read(&self, key: &SliceKey, _: Timestamp) -> Result<Option<Slice>, StoreError> {
        match self.request().await {
            Fate::Answered | Fate::SentAgain => {
                let stored = self.item(key).stored.clone();
                stored.map(|stored| stored.read(self.version)).transpose()
            }
            Fate::Lost | Fate::Unanswered | Fate::Late | Fate::Fatal => Err(no_answer()),
        }
    }

    async fn write_if(
        &self,
        key: &SliceKey,
        slice: &Slice,
        expected: Option<Offset>,
        _: Timestamp,
    ) -> Result<(), WriteError> {
        let fate = self.request().await;
        let mut item = self.item(key);
        let slice = Versioned(slice.clone(), self.version);
        match fate {
            Fate::Answered => return item.put_if(&slice, expected),
            Fate::SentAgain => {
                let _ = item.put_if(&slice, expected);
                return item.put_if(&slice, expected);
            }
            Fate::Unanswered | Fate::Fatal => drop(item.put_if(&slice, expected)),
            Fate::Late => item.on_their_way.push((slice, expected)),
            Fate::Lost => {}
        }
        Err(no_answer().into())
    }
}

type Running = Pin<Box<dyn Future<Output = Result<Committed, CommitError>>>>;

/// A warm process, and what it has in hand of each partition: up to which record, and the commit of it.
struct Writer {
    wire: Wire,
    committer: Rc<Committer<Wire>>,
    batches: [Option<(usize, Running)>; SLICES],
}

impl Writer {
    fn new(wire: &Wire) -> Self {
        let wire = Wire { items: wire.items.clone(), fate: Arc::default(), version: wire.version };
        Self { committer: Rc::new(Committer::new(wire.clone())), wire, batches: Default::default() }
    }

    fn deliver(&mut self, slice: usize, entries: &[Entry], end: usize) {
        let (committer, entries) = (self.committer.clone(), entries.to_vec());
        let commit = async move { committer.commit(&key(slice), &entries, Timestamp::default()).await };
        self.batches[slice] = Some((end, Box::pin(commit)));
    }

    /// Carries out the pending request; tells up to which record the batch is acknowledged, if it is by now.
    fn step(&mut self, slice: usize, fate: Fate) -> Option<usize> {
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

struct System {
    wire: Wire,
    writers: Vec<Writer>,
    /// How many of each log's records are acknowledged: where Kafka goes on.
    acknowledged: [usize; SLICES],
    /// How many of each log's records may have been forgotten when its slice expired.
    forgotten: [usize; SLICES],
}

impl System {
    fn land(&self, slice: usize) {
        let mut item = self.wire.items[slice].lock().unwrap();
        if !item.on_their_way.is_empty() {
            let (slice, expected) = item.on_their_way.remove(0);
            let _ = item.put_if(&slice, expected);
        }
    }

    fn expire(&mut self, slice: usize, Log(log): &Log) {
        let stored = self.wire.items[slice].lock().unwrap().stored.take();
        let watermark = stored.and_then(|stored| stored.0.watermark());
        let counted = log.iter().filter(|entry| Some(entry.offset) <= watermark).count();
        self.forgotten[slice] = self.forgotten[slice].max(counted).max(self.acknowledged[slice]);
    }

    fn deliver(&mut self, logs: &Logs, writer: usize, slice: usize, back: usize, length: usize) {
        let Log(log) = &logs.0[slice];
        let from = self.acknowledged[slice].saturating_sub(back);
        let end = (from + length).min(log.len());
        let writer = &mut self.writers[writer];
        if writer.batches[slice].is_none() && from < end {
            writer.deliver(slice, &log[from..end], end);
            // As far as its first request, or to the end if it needs none.
            let acknowledged = writer.step(slice, Fate::Answered).unwrap_or(0);
            self.acknowledged[slice] = self.acknowledged[slice].max(acknowledged);
        }
    }

    fn step(&mut self, writer: usize, slice: usize, fate: Fate) {
        let acknowledged = self.writers[writer].step(slice, fate).unwrap_or(0);
        self.acknowledged[slice] = self.acknowledged[slice].max(acknowledged);
    }

    fn check(&self, slice: usize, log: &Log) {
        let item = self.wire.items[slice].lock().unwrap();
        let empty = Kind::LiveEvent.empty_slice();
        let stored = item.stored.as_ref().map_or(&empty, |stored| &stored.0);
        let (acknowledged, forgotten) = (self.acknowledged[slice], self.forgotten[slice]);

        if let Some(last) = log.0.get(forgotten..acknowledged).and_then(<[Entry]>::last) {
            assert!(stored.watermark() >= Some(last.offset), "an acknowledged record is not stored");
        }

        let json = serde_json::to_value(stored).unwrap();
        if forgotten == 0 {
            let mut folded = Kind::LiveEvent.empty_slice();
            for entry in log.0.iter().filter(|entry| Some(entry.offset) <= stored.watermark()) {
                folded.fold(entry.offset, entry.at, &entry.event).unwrap();
            }
            assert_eq!(json, serde_json::to_value(&folded).unwrap(), "not the fold of the records up to the watermark");
        }

        let state = &json["state"];
        let counted = |field: &str| state[field].as_u64().unwrap();
        let all = log.totals(0, stored.watermark());
        let since = log.totals(forgotten, stored.watermark());
        assert!((since.messages..=all.messages).contains(&counted("messages")), "a record does not count once");
        assert!((since.votes..=all.votes).contains(&counted("votes")), "a record does not count once");
        if since.last_check_in.is_some() {
            let last_check_in = state["check_ins"][0]["id"].as_str().map(ToOwned::to_owned);
            assert_eq!(last_check_in, since.last_check_in);
        }
    }
}

struct Machine;

impl StateMachineTest for Machine {
    type SystemUnderTest = System;
    type Reference = Logs;

    fn init_test(_: &Logs) -> System {
        let wire = Wire::default();
        let writers = (0..WRITERS).map(|_| Writer::new(&wire)).collect();
        System { wire, writers, acknowledged: [0; SLICES], forgotten: [0; SLICES] }
    }

    fn apply(mut system: System, logs: &Logs, transition: Transition) -> System {
        match transition {
            Transition::Produce { .. } => {}
            Transition::Deliver { writer, slice, back, length } => system.deliver(logs, writer, slice, back, length),
            Transition::Step { writer, slice, fate } => system.step(writer, slice, fate),
            Transition::Crash { writer } => system.writers[writer] = Writer::new(&system.writers[writer].wire),
            Transition::Upgrade { writer } => {
                let old = &system.writers[writer].wire;
                system.writers[writer] = Writer::new(&Wire { version: old.version + 1, ..old.clone() });
            }
            Transition::Land { slice } => system.land(slice),
            Transition::Expire { slice } => system.expire(slice, &logs.0[slice]),
        }
        system
    }

    fn check_invariants(system: &System, logs: &Logs) {
        for (slice, log) in logs.0.iter().enumerate() {
            system.check(slice, log);
        }
    }

    /// When the faults are over, one delivery of all that is not acknowledged to the newest build counts the rest, even if
    /// a last write that was given up on lands after it.
    fn teardown(mut system: System, logs: Logs) {
        let newest = system.writers.iter().map(|writer| writer.wire.version).max().unwrap();
        // What a build that is gone by now has stored may be newer than those that are left.
        system.writers[0] = Writer::new(&Wire { version: newest + 80, ..system.wire.clone() });
        for (slice, log) in logs.0.iter().enumerate() {
            system.deliver(&logs, 0, slice, 0, log.0.len());
            while system.writers[0].batches[slice].is_some() {
                system.step(0, slice, Fate::Answered);
            }
            assert_eq!(system.acknowledged[slice], log.0.len(), "the last batch was not acknowledged");
            while !system.wire.items[slice].lock().unwrap().on_their_way.is_empty() {
                system.land(slice);
                Self::check_invariants(&system, &logs);
            }
        }
        Self::check_invariants(&system, &logs);
    }
}

prop_state_machine! {
    #![proptest_config(ProptestConfig { cases: 1_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn every_record_counts_exactly_once_in_every_history(sequential 1..120 => Machine);
}
