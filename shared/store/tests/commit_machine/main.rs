//! Exactly once, for all histories: two writers commit batches of two partitions while their requests fail, land without
//! an answer, land late, are sent twice, their process dies or is replaced by a newer build, and slices expire. However
//! they interleave, each stored slice is the fold of every record up to its watermark, and holds every record of every
//! batch that was acknowledged; of a slice that has expired, every one that came after that, and no record twice. The same
//! holds for its history and for its windows of time, as readers see them.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests fail by panicking")]

mod model;
mod wire;

use std::{cell::Cell, collections::BTreeMap, sync::MutexGuard, time::Duration};

use projections::{Kind, Offset, Slice, window::Minute};
use proptest::prelude::*;
use proptest_state_machine::{StateMachineTest, prop_state_machine};
use serde_json::Value;
use store::{Entry, Resolution, Visible, visible};

use crate::{
    model::{Fate, Log, Logs, SLICES, Transition, WRITERS},
    wire::{Items, Wire, Writer},
};

/// The writers, and what is known of them.
struct System {
    wire: Wire,
    writers: Vec<Writer>,
    /// How many of each log's records are acknowledged: where Kafka goes on.
    acknowledged: [usize; SLICES],
    /// How many of each log's records may have been forgotten when its slice expired.
    forgotten: [usize; SLICES],
    /// What was checked last of each slice: it takes a while, and most steps change nothing.
    checked: [Cell<(usize, usize)>; SLICES],
}

impl System {
    fn land(&self, slice: usize) {
        self.items(slice).land();
    }

    fn items(&self, slice: usize) -> MutexGuard<'_, Items> {
        self.wire.items[slice].lock().unwrap()
    }

    fn expire(&mut self, slice: usize, Log(log): &Log) {
        let watermark = self.items(slice).expire().and_then(|slice| slice.watermark());
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
        let items = self.items(slice);
        let now = (items.changes, self.acknowledged[slice]);
        if self.checked[slice].replace(now) == now {
            return;
        }
        let empty = Kind::LiveEvent.empty_slice();
        let stored = items.slice().unwrap_or(&empty);
        let (acknowledged, forgotten) = (self.acknowledged[slice], self.forgotten[slice]);

        if let Some(last) = log.0.get(forgotten..acknowledged).and_then(<[Entry]>::last) {
            assert!(stored.watermark() >= Some(last.offset), "an acknowledged record is not stored");
        }
        let all = log.totals(0, stored.watermark());
        let since = log.totals(forgotten, stored.watermark());

        let state = &serde_json::to_value(stored).unwrap()["state"];
        let counted = |field: &str| state[field].as_u64().unwrap();
        assert!((since.messages..=all.messages).contains(&counted("messages")), "a record does not count once");
        assert!((since.votes..=all.votes).contains(&counted("votes")), "a record does not count once");

        let check_ins = items.check_ins(stored);
        assert_eq!(check_ins.len() as u64, stored.history().total, "the slice says how many there are");
        assert!(check_ins.is_sorted_by(|a, b| a.0 < b.0), "nothing is in history twice, nor out of order");
        assert!(check_ins.iter().all(|check_in| all.check_ins.contains(check_in)), "what did not happen is in history");
        assert!(check_ins.ends_with(&since.check_ins), "what happened is not in history");
        if forgotten == 0 {
            check_windows(&items, stored, stored.watermark(), log);
            if let Some(before) = &items.before {
                check_windows(&items, before, stored.watermark(), log);
            }
        }
    }
}

/// A reader that has read this slice, and then its windows when the stored slice had come as far as `newest`, sees each record
/// up to the slice's watermark once, and of those that came by then none twice.
fn check_windows(items: &Items, slice: &Slice, newest: Option<Offset>, log: &Log) {
    let (least, most) = (log.totals(0, slice.watermark()).minutes, log.totals(0, newest).minutes);
    for (resolution, minutes) in [(Resolution::Minute, 1), (Resolution::Hour, 15)] {
        let stored = items.windows.iter().filter(|(id, _)| id.resolution == resolution);
        let stored = stored.map(|(id, window)| (id.start, window.clone())).collect();
        let Visible { counts, overtaken } = visible(resolution, slice, &stored);
        assert!(slice.watermark() < newest || overtaken.is_empty(), "an item is ahead of its slice");
        let sums = |by_minute: &BTreeMap<i64, u64>| {
            let mut sums = BTreeMap::<Minute, u64>::new();
            for (minute, count) in by_minute {
                *sums.entry(Minute(minute.div_euclid(minutes) * minutes)).or_default() += count;
            }
            sums
        };
        let (least, most) = (sums(&least), sums(&most));
        for part in most.keys().chain(counts.keys()) {
            if overtaken.contains(&Minute(part.0.div_euclid(60) * 60)) {
                continue;
            }
            let values = counts.get(part).map(|counts| counts.values(Duration::from_mins(1)));
            let seen: u64 = values.iter().flat_map(|values| values.values()).filter_map(Value::as_u64).sum();
            let right = least.get(part).copied().unwrap_or(0)..=most.get(part).copied().unwrap_or(0);
            assert!(right.contains(&seen), "{resolution:?} {part:?}: {seen} of {right:?}");
        }
    }
}

/// How many histories are tried: `HISTORIES`, or ten thousand.
fn histories() -> u32 {
    std::env::var("HISTORIES").map_or(10_000, |count| count.parse().expect("HISTORIES is a number"))
}

struct Machine;

impl StateMachineTest for Machine {
    type SystemUnderTest = System;
    type Reference = Logs;

    fn init_test(_: &Logs) -> System {
        let wire = Wire::default();
        let writers = (0..WRITERS).map(|_| Writer::new(&wire)).collect();
        System { wire, writers, acknowledged: [0; SLICES], forgotten: [0; SLICES], checked: Default::default() }
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
            while system.items(slice).awaits() {
                system.land(slice);
                Self::check_invariants(&system, &logs);
            }
        }
        Self::check_invariants(&system, &logs);
    }
}

prop_state_machine! {
    // PROPTEST_RNG_SEED=… runs the same histories again.
    #![proptest_config(ProptestConfig { cases: histories(), failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn every_record_counts_exactly_once_in_every_history(sequential 1..150 => Machine);
}
