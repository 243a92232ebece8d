//! Exactly once, for all histories: two writers commit batches of one partition while their requests fail, land without
//! an answer, land late, are sent twice, or their process dies. However they interleave, the stored slice is the fold of
//! every record up to its watermark, and holds every record of every batch that was acknowledged.

#![allow(clippy::unwrap_used, reason = "tests fail by panicking")]

use std::{
    future::{Future, poll_fn},
    mem,
    pin::Pin,
    sync::{Arc, Mutex},
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

/// What a partition's records add up to.
#[derive(Debug, Default, PartialEq)]
struct Totals {
    messages: u64,
    votes: u64,
    last_check_in: Option<String>,
}

impl Log {
    /// What every record up to the watermark adds up to, each counted once.
    fn totals(&self, watermark: Option<Offset>) -> Totals {
        let mut totals = Totals::default();
        for entry in self.0.iter().filter(|entry| Some(entry.offset) <= watermark) {
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
    Produce(Vec<(Offset, u8)>),
    /// Kafka hands a batch to a writer that has none: from at most `back` records before the position that was
    /// acknowledged. So batches come again, and split differently.
    Deliver { writer: usize, back: usize, length: usize },
    /// A writer's pending request is carried out, one way or the other.
    Step { writer: usize, fate: Fate },
    /// A writer's process dies before its pending request is carried out; its successor knows nothing.
    Crash { writer: usize },
    /// A write that was given up on lands after all.
    Land,
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

impl ReferenceStateMachine for Log {
    type State = Self;
    type Transition = Transition;

    fn init_state() -> BoxedStrategy<Self> {
        Just(Self::default()).boxed()
    }

    fn transitions(_: &Self) -> BoxedStrategy<Transition> {
        let writer = 0..WRITERS;
        let fate = prop_oneof![
            6 => Just(Fate::Answered),
            1 => Just(Fate::Lost),
            1 => Just(Fate::Unanswered),
            1 => Just(Fate::SentAgain),
            1 => Just(Fate::Late),
            1 => Just(Fate::Fatal),
        ];
        prop_oneof![
            3 => prop::collection::vec((1..4_i64, 0..3_u8), 1..6).prop_map(Transition::Produce),
            4 => (writer.clone(), 0..6_usize, 1..8_usize)
                .prop_map(|(writer, back, length)| Transition::Deliver { writer, back, length }),
            9 => (writer.clone(), fate).prop_map(|(writer, fate)| Transition::Step { writer, fate }),
            1 => writer.prop_map(|writer| Transition::Crash { writer }),
            1 => Just(Transition::Land),
        ]
        .boxed()
    }

    fn apply(mut log: Self, transition: &Transition) -> Self {
        if let Transition::Produce(records) = transition {
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
        log
    }
}

// ---- The system: real committers over a table that does to their requests what the transitions say. ----------------

const WRITERS: usize = 2;

/// The item, and the writes that are still on their way to it.
#[derive(Default)]
struct Item {
    stored: Option<Slice>,
    on_their_way: Vec<(Slice, Option<Offset>)>,
}

impl Item {
    /// A conditional put, as the database does it.
    fn put_if(&mut self, slice: &Slice, expected: Option<Offset>) -> Result<(), WriteError> {
        if self.stored.as_ref().and_then(Slice::watermark) != expected {
            return Err(WriteError::Conflict(self.stored.clone().map(Box::new)));
        }
        self.stored = Some(slice.clone());
        Ok(())
    }
}

/// A writer's way to the table.
#[derive(Clone, Default)]
struct Wire {
    item: Arc<Mutex<Item>>,
    fate: Arc<Mutex<Fate>>,
}

impl Wire {
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
    async fn read(&self, _: &SliceKey) -> Result<Option<Slice>, StoreError> {
        match self.request().await {
            Fate::Answered | Fate::SentAgain => Ok(self.item.lock().unwrap().stored.clone()),
            Fate::Lost | Fate::Unanswered | Fate::Late | Fate::Fatal => Err(no_answer()),
        }
    }

    async fn write_if(
        &self,
        _: &SliceKey,
        slice: &Slice,
        expected: Option<Offset>,
        _: Timestamp,
    ) -> Result<(), WriteError> {
        let fate = self.request().await;
        let mut item = self.item.lock().unwrap();
        match fate {
            Fate::Answered => return item.put_if(slice, expected),
            Fate::SentAgain => {
                let _ = item.put_if(slice, expected);
                return item.put_if(slice, expected);
            }
            Fate::Unanswered | Fate::Fatal => drop(item.put_if(slice, expected)),
            Fate::Late => item.on_their_way.push((slice.clone(), expected)),
            Fate::Lost => {}
        }
        Err(no_answer().into())
    }
}

type Running = Pin<Box<dyn Future<Output = Result<Committed, CommitError>>>>;

/// A warm process, and the batch that it has in hand: up to which record, and the commit of it.
struct Writer {
    wire: Wire,
    committer: Arc<Committer<Wire>>,
    batch: Option<(usize, Running)>,
}

impl Writer {
    fn new(wire: &Wire) -> Self {
        let wire = Wire { item: wire.item.clone(), fate: Arc::default() };
        Self { committer: Arc::new(Committer::new(wire.clone())), wire, batch: None }
    }

    fn deliver(&mut self, entries: &[Entry], end: usize) {
        let (committer, entries) = (self.committer.clone(), entries.to_vec());
        let commit = async move { committer.commit(&key(), &entries, Timestamp::default()).await };
        self.batch = Some((end, Box::pin(commit)));
    }

    /// Carries out the pending request; tells up to which record the batch is acknowledged, if it is by now.
    fn step(&mut self, fate: Fate) -> Option<usize> {
        let (end, commit) = self.batch.as_mut()?;
        let end = *end;
        *self.wire.fate.lock().unwrap() = fate;
        let poll = commit.as_mut().poll(&mut Context::from_waker(Waker::noop()));
        if fate == Fate::Fatal {
            *self = Self::new(&self.wire);
            return None;
        }
        let Poll::Ready(result) = poll else { return None };
        self.batch = None;
        result.is_ok().then_some(end)
    }
}

fn key() -> SliceKey {
    SliceKey {
        tenant: TenantId::parse("acme").unwrap(),
        channel: "event:e".parse().unwrap(),
        slice: SliceId { epoch: 1, topic: "platform.analytics.events.v1".into(), partition: 0 },
    }
}

struct System {
    wire: Wire,
    writers: Vec<Writer>,
    /// How many of the log's records are acknowledged: where Kafka goes on.
    acknowledged: usize,
}

impl System {
    fn land(&self) {
        let mut item = self.wire.item.lock().unwrap();
        if !item.on_their_way.is_empty() {
            let (slice, expected) = item.on_their_way.remove(0);
            let _ = item.put_if(&slice, expected);
        }
    }

    fn deliver(&mut self, log: &Log, writer: usize, back: usize, length: usize) {
        let from = self.acknowledged.saturating_sub(back);
        let end = (from + length).min(log.0.len());
        let writer = &mut self.writers[writer];
        if writer.batch.is_none() && from < end {
            writer.deliver(&log.0[from..end], end);
            // As far as its first request, or to the end if it needs none.
            self.acknowledged = self.acknowledged.max(writer.step(Fate::Answered).unwrap_or(0));
        }
    }

    fn step(&mut self, writer: usize, fate: Fate) {
        self.acknowledged = self.acknowledged.max(self.writers[writer].step(fate).unwrap_or(0));
    }
}

struct Machine;

impl StateMachineTest for Machine {
    type SystemUnderTest = System;
    type Reference = Log;

    fn init_test(_: &Log) -> System {
        let wire = Wire::default();
        let writers = (0..WRITERS).map(|_| Writer::new(&wire)).collect();
        System { wire, writers, acknowledged: 0 }
    }

    fn apply(mut system: System, log: &Log, transition: Transition) -> System {
        match transition {
            Transition::Produce(_) => {}
            Transition::Deliver { writer, back, length } => system.deliver(log, writer, back, length),
            Transition::Step { writer, fate } => system.step(writer, fate),
            Transition::Crash { writer } => system.writers[writer] = Writer::new(&system.wire),
            Transition::Land => system.land(),
        }
        system
    }

    fn check_invariants(system: &System, log: &Log) {
        let item = system.wire.item.lock().unwrap();
        let empty = Kind::LiveEvent.empty_slice();
        let stored = item.stored.as_ref().unwrap_or(&empty);

        if let Some(last) = log.0[..system.acknowledged].last() {
            assert!(stored.watermark() >= Some(last.offset), "an acknowledged record is not stored");
        }

        let mut folded = Kind::LiveEvent.empty_slice();
        for entry in log.0.iter().filter(|entry| Some(entry.offset) <= stored.watermark()) {
            folded.fold(entry.offset, entry.at, &entry.event).unwrap();
        }
        let json = serde_json::to_value(stored).unwrap();
        assert_eq!(json, serde_json::to_value(&folded).unwrap(), "not the fold of the records up to the watermark");

        let state = &json["state"];
        let counted = Totals {
            messages: state["messages"].as_u64().unwrap(),
            votes: state["votes"].as_u64().unwrap(),
            last_check_in: state["check_ins"][0]["id"].as_str().map(ToOwned::to_owned),
        };
        assert_eq!(counted, log.totals(stored.watermark()), "a record does not count once");
    }

    /// When the faults are over, one delivery of all that is not acknowledged counts the rest, even if a last write that
    /// was given up on lands after it.
    fn teardown(mut system: System, log: Log) {
        system.writers[0] = Writer::new(&system.wire);
        system.deliver(&log, 0, 0, log.0.len());
        while system.writers[0].batch.is_some() {
            system.step(0, Fate::Answered);
        }
        assert_eq!(system.acknowledged, log.0.len(), "the last batch was not acknowledged");
        while !system.wire.item.lock().unwrap().on_their_way.is_empty() {
            system.land();
            Self::check_invariants(&system, &log);
        }
        Self::check_invariants(&system, &log);
    }
}

prop_state_machine! {
    #![proptest_config(ProptestConfig { cases: 1_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn every_record_counts_exactly_once_in_every_history(sequential 1..80 => Machine);
}
