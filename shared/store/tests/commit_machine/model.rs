//! The model: what was produced, and what can happen.

use std::collections::BTreeMap;

use projections::{Offset, Timestamp, live_event::Event};
use proptest::prelude::*;
use proptest_state_machine::ReferenceStateMachine;
use store::Entry;

/// Writers, each a warm process.
pub(crate) const WRITERS: usize = 2;

/// Partitions, each of which feeds a slice.
pub(crate) const SLICES: usize = 2;

/// The minute in which the first record is produced.
const START: i64 = 29_474_550;

/// When all of this happens: after the records, and so soon that windows of them are kept.
pub(crate) fn now() -> Timestamp {
    Timestamp::from_millis((START + 600) * 60_000)
}

/// A partition's records, in order, with holes between the offsets.
#[derive(Clone, Debug, Default)]
pub(crate) struct Log(pub(crate) Vec<Entry>);

/// The partitions, each of which feeds a slice.
#[derive(Clone, Debug, Default)]
pub(crate) struct Logs(pub(crate) [Log; SLICES]);

/// What a partition's records add up to.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Totals {
    pub(crate) messages: u64,
    pub(crate) votes: u64,
    /// Who checked in, in order, with the offset.
    pub(crate) check_ins: Vec<(Offset, String)>,
    /// Records by the minute of their time.
    pub(crate) minutes: BTreeMap<i64, u64>,
}

impl Log {
    /// What every record from `first` on up to the watermark adds up to, each counted once.
    pub(crate) fn totals(&self, first: usize, watermark: Option<Offset>) -> Totals {
        let mut totals = Totals::default();
        for entry in self.0.iter().skip(first).filter(|entry| Some(entry.offset) <= watermark) {
            *totals.minutes.entry(entry.at.as_seconds() / 60).or_default() += 1;
            match &entry.event {
                projections::Event::LiveEvent(Event::MessageSent) => totals.messages += 1,
                projections::Event::LiveEvent(Event::PollVoteCast) => totals.votes += 1,
                projections::Event::LiveEvent(Event::CheckIn { id, .. }) => {
                    totals.check_ins.push((entry.offset, id.clone()));
                }
                other => unreachable!("not produced: {other:?}"),
            }
        }
        totals
    }
}

#[derive(Clone, Debug)]
pub(crate) enum Transition {
    /// Records are produced, each so far behind the one before, of this kind and from so many minutes ago.
    Produce { slice: usize, records: Vec<(Offset, u8, i64)> },
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
pub(crate) enum Fate {
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
        // Most come in time, some late, a few a day late.
        let ago = prop_oneof![8 => Just(0_i64), 3 => 1..4_i64, 1 => 1440..1443_i64];
        let fate = prop_oneof![
            6 => Just(Fate::Answered),
            1 => Just(Fate::Lost),
            1 => Just(Fate::Unanswered),
            1 => Just(Fate::SentAgain),
            1 => Just(Fate::Late),
            1 => Just(Fate::Fatal),
        ];
        prop_oneof![
            6 => (slice.clone(), prop::collection::vec((1..4_i64, 0..3_u8, ago), 1..6))
                .prop_map(|(slice, records)| Transition::Produce { slice, records }),
            8 => (writer.clone(), slice.clone(), 0..6_usize, 1..8_usize)
                .prop_map(|(writer, slice, back, length)| Transition::Deliver { writer, slice, back, length }),
            30 => (writer.clone(), slice.clone(), fate)
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
            for (hole, what, ago) in records {
                let offset = log.0.last().map_or(0, |last| last.offset) + hole;
                let event = match what {
                    0 => Event::MessageSent,
                    1 => Event::PollVoteCast,
                    _ => Event::CheckIn { id: format!("u{offset}"), name: String::new() },
                };
                let event = projections::Event::LiveEvent(event);
                // A minute has some four records.
                let minute = START + offset / 8 - ago;
                log.0.push(Entry { offset, at: Timestamp::from_millis(minute * 60_000), event });
            }
        }
        logs
    }
}
