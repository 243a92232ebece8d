//! Journals: what changed, one entry after the other, so that whoever shows it reads one partition and then only what has
//! changed. One holds the channels that records have moved ([`moves`](crate::Moved)), one each shard's connections
//! ([`registry`](crate::Connections::changes)).
//!
//! Entries are sorted by their writers' clocks and read with eventual consistency. So a read goes back a while behind the
//! newest entry that is known, and leaves out what is known. An entry that is lost all the same, or too late even for that,
//! is made up for by its reader's slow sweep over everything.

use std::{collections::BTreeSet, time::Duration};

use projections::Timestamp;
use serde::{Serialize, de::DeserializeOwned};
use uuid::Uuid;

use crate::{
    StoreError,
    table::{Item, Range, Reading, Table, addressed_by, number, to_item},
};

/// An entry is of no use to anybody after this time: by then every sweep has been round many times.
const LIFETIME: Duration = Duration::from_hours(1);

/// How far behind the newest entry a thorough read begins: two writers' clocks may differ by two seconds, and an entry may
/// take one to be seen.
const OVERLAP: Duration = Duration::from_secs(3);

/// How often a read is thorough. The others go back only a [`GLANCE`], or each entry would be read, and paid for, thirty
/// times.
const THOROUGH_INTERVAL: Duration = Duration::from_millis(500);

/// How far behind the newest entry any other read begins: enough where clocks agree as AWS's do.
const GLANCE: Duration = Duration::from_millis(250);

/// How far behind the last read that worked a read begins where there are no entries to go by: a clock may lead by this
/// much without a reader's missing anything.
const HORIZON: Duration = Duration::from_secs(10);

/// The most entries of one read. One partition takes 1,000 writes a second.
const MAX_READ: usize = 10_000;

/// What is new in a journal.
#[derive(Debug)]
pub struct News<T> {
    /// The entries that were not known, in the order of their writers' clocks.
    pub entries: Vec<T>,
    /// False where there are more than are read at once: then anything may have changed.
    pub is_complete: bool,
}

/// A reader of one journal.
#[derive(Clone, Debug)]
pub struct Follower {
    latest: Timestamp,
    read_at: Timestamp,
    thorough_at: Timestamp,
    known: BTreeSet<String>,
}

impl Follower {
    /// A reader to whom what was written before `now` is no news, but for what may have been under way by then. Whoever
    /// reads all that the journal is about after this has been made misses nothing.
    #[must_use]
    pub fn new(now: Timestamp) -> Self {
        Self { latest: now, read_at: now, thorough_at: Timestamp::EPOCH, known: BTreeSet::new() }
    }

    /// Where the read at `now` begins.
    fn start(&self, now: Timestamp) -> Timestamp {
        let is_thorough = now.since(self.thorough_at) >= THOROUGH_INTERVAL;
        let back = if is_thorough { OVERLAP } else { GLANCE };
        // A writer's clock that leads does not hide what others write meanwhile. And where nobody has written for long, what
        // was read many times is not read once more.
        self.latest.min(now).minus(back).max(self.read_at.minus(HORIZON))
    }

    /// Takes in the ids that the read at `now` has found, in order; tells of each whether it is news.
    fn take(&mut self, start: Timestamp, ids: &[String], now: Timestamp) -> Vec<bool> {
        let is_new = ids.iter().map(|id| self.known.insert(id.clone())).collect();
        if let Some(latest) = ids.last().and_then(|id| written_at(id)) {
            self.latest = self.latest.max(latest);
        }
        self.read_at = self.read_at.max(now);
        if now.since(self.thorough_at) >= THOROUGH_INTERVAL {
            self.thorough_at = now;
        }
        // What no later read can find again.
        let earliest = self.latest.min(now).minus(OVERLAP).max(self.read_at.minus(HORIZON)).min(start);
        self.known = self.known.split_off(&place(earliest));
        is_new
    }

    /// Begins anew: what was written before `now` is no news any more.
    fn skip(&mut self, now: Timestamp) {
        *self = Self::new(now);
    }
}

/// Writes an entry. The SDK may write it twice, under the same key.
pub(crate) async fn append(table: &Table, pk: &str, what: &impl Serialize, now: Timestamp) -> Result<(), StoreError> {
    let mut item = to_item(what)?;
    item.insert("ttl".to_owned(), number(now.plus(LIFETIME).as_seconds()));
    let key = crate::keys::Key { pk: pk.to_owned(), sk: format!("{}{}", place(now), Uuid::new_v4()) };
    table.put(&key, item).await
}

/// Reads what is new to `follower`. After an error it still is.
pub(crate) async fn read<T: DeserializeOwned>(
    table: &Table,
    pk: &str,
    follower: &mut Follower,
    now: Timestamp,
) -> Result<News<T>, StoreError> {
    let start = follower.start(now);
    let items = table.query(pk, Range::After(&place(start)), Reading::default(), MAX_READ).await?;
    if items.len() >= MAX_READ {
        follower.skip(now);
        return Ok(News { entries: Vec::new(), is_complete: false });
    }
    let ids: Vec<String> = items.iter().map(|item| addressed_by(item).sk).collect();
    let is_new = follower.take(start, &ids, now);
    let mut is_complete = true;
    let new = items.into_iter().zip(is_new).filter_map(|(item, is_new)| is_new.then_some(item));
    let entries = new.filter_map(|item| readable(item, &mut is_complete)).collect();
    Ok(News { entries, is_complete })
}

/// An entry, unless a newer build has written it in another form.
fn readable<T: DeserializeOwned>(item: Item, is_complete: &mut bool) -> Option<T> {
    let entry = crate::table::from_item(item);
    if let Err(error) = &entry {
        tracing::warn!(%error, "an entry of a journal cannot be read");
        *is_complete = false;
    }
    entry.ok()
}

/// What the sort keys of a millisecond begin with, as wide as keys sort like times.
fn place(at: Timestamp) -> String {
    format!("{:013}#", at.as_millis().max(0))
}

/// When an entry was written, by its writer's clock.
fn written_at(id: &str) -> Option<Timestamp> {
    id.split_once('#').and_then(|(millis, _)| millis.parse().ok()).map(Timestamp::from_millis)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The longest that an entry takes until a read finds it.
    const LAG: i64 = 900;

    const TICK: i64 = 100;

    /// An entry: when it is written by the reader's clock, how far its writer's clock leads, and how long it stays unseen.
    #[derive(Clone, Copy, Debug)]
    struct Written {
        at: i64,
        lead: i64,
        lag: i64,
    }

    impl Written {
        fn id(&self, n: usize) -> String {
            format!("{}{n}", place(at(self.at + self.lead)))
        }
    }

    fn at(millis: i64) -> Timestamp {
        Timestamp::from_millis(1_000_000 + millis)
    }

    fn written() -> impl Strategy<Value = Vec<Written>> {
        let one = (0..20_000_i64, -1_000..=1_000_i64, 0..=LAG);
        prop::collection::vec(one.prop_map(|(at, lead, lag)| Written { at, lead, lag }), 0..80)
    }

    /// Follows a journal for half a minute, but for the ticks at which reading fails; when each entry was told.
    fn follow(journal: &[Written], fails: impl Fn(i64) -> bool) -> Vec<Vec<i64>> {
        let mut follower = Follower::new(at(0));
        let mut told = vec![Vec::new(); journal.len()];
        for now in (0..60_000).step_by(usize::try_from(TICK).unwrap()).filter(|now| !fails(*now)) {
            let start = place(follower.start(at(now)));
            let mut found: Vec<(String, usize)> =
                journal.iter().enumerate().map(|(n, written)| (written.id(n), n)).collect();
            found.retain(|(id, n)| *id > start && journal[*n].at + journal[*n].lag <= now);
            found.sort();
            let ids: Vec<String> = found.iter().map(|(id, _)| id.clone()).collect();
            let (start, now_at) = (follower.start(at(now)), at(now));
            for ((_, n), is_new) in found.iter().zip(follower.take(start, &ids, now_at)) {
                if is_new {
                    told[*n].push(now);
                }
            }
        }
        told
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(300))]

        #[test]
        fn each_entry_is_told_once_and_soon_whoever_wrote_it(journal in written()) {
            let told = follow(&journal, |_| false);
            for (written, told) in journal.iter().zip(told) {
                prop_assert_eq!(told.len(), 1, "{:?}", written);
                let due = written.at + written.lag;
                prop_assert!(told[0] - due <= 500 + TICK, "{:?} was told at {}", written, told[0]);
            }
        }

        #[test]
        fn nothing_is_missed_while_reading_fails(journal in written(), from in 0..15_000_i64, lasts in 0..30_000_i64) {
            let told = follow(&journal, |now| (from..from + lasts).contains(&now));
            for (written, told) in journal.iter().zip(told) {
                prop_assert_eq!(told.len(), 1, "{:?}", written);
            }
        }

        #[test]
        fn what_is_remembered_is_bounded(journal in written()) {
            let mut follower = Follower::new(at(0));
            for now in (0..60_000).step_by(100) {
                let ids: Vec<String> = journal.iter().enumerate().map(|(n, written)| written.id(n)).collect();
                let start = follower.start(at(now));
                let mut found: Vec<String> = ids.into_iter().filter(|id| *id > place(start)).collect();
                found.sort();
                follower.take(start, &found, at(now));
            }
            prop_assert!(follower.known.is_empty());
        }
    }

    #[test]
    fn a_clock_that_leads_by_minutes_hides_nobody_elses_entries() {
        let leading = Written { at: 1_000, lead: 240_000, lag: 0 };
        let journal = [leading, Written { at: 2_000, lead: 0, lag: 0 }, Written { at: 2_050, lead: -1_500, lag: 100 }];
        let told = follow(&journal, |_| false);
        assert!(told.iter().all(|told| told.len() == 1 || told.is_empty()), "{told:?}");
        assert_eq!((told[1].len(), told[2].len()), (1, 1), "{told:?}");
    }

    #[test]
    fn what_was_read_many_times_is_not_read_while_nobody_writes() {
        let mut follower = Follower::new(at(0));
        follower.take(follower.start(at(0)), &[format!("{}a", place(at(0)))], at(0));
        follower.take(follower.start(at(20_000)), &[], at(20_000));
        assert_eq!(follower.start(at(20_100)), at(10_000), "ten seconds back, and not to the last entry");
    }
}
