//! What the records of one minute counted, by their own time.
//!
//! The newest minutes of a slice are *open*: they lie in the slice and count with it. One that is no longer among them is
//! *closed*, as is at once what a late record counts. What a commit has closed stays in the slice until the next commit,
//! and is added to its windows' items between the two. So a slice always says what its items do not have yet, and each
//! item says by a watermark of its own up to where it has: adding again, by whoever, adds nothing.

use std::time::Duration;

use serde::{Deserialize, Serialize, de::DeserializeOwned};
use serde_json::{Map, Value};

use crate::Timestamp;

/// How many minutes of a slice are open: a record that comes a minute late costs nothing more.
const OPEN: i64 = 2;

/// How many windows one commit may close. A batch of records from more minutes is committed in parts, so that no slice
/// grows over its item.
pub const MAX_CLOSED: usize = 120;

/// A minute, by its number since 1970 in UTC.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Minute(pub i64);

impl Minute {
    /// The minute that a time lies in.
    #[must_use]
    pub fn of(at: Timestamp) -> Self {
        Self(at.as_seconds().div_euclid(60))
    }

    /// When it begins.
    #[must_use]
    pub fn start(self) -> Timestamp {
        Timestamp::from_millis(self.0.saturating_mul(60_000))
    }
}

/// What one kind of channel counts in a window: counters, and gauges as they stood at its end.
pub trait Counts: Clone + Default + PartialEq + std::fmt::Debug + Serialize + DeserializeOwned {
    /// Takes in what later records of the same slice counted, in the same window or the next: counters add up, gauges are
    /// those of the later one.
    fn follow(&mut self, later: &Self);
    /// Takes in what another slice counted in the same window.
    fn merge(&mut self, other: &Self);
    /// What a window begins with that follows this one: nothing has come, and gauges stand as they did.
    #[must_use]
    fn carried(&self) -> Self {
        Self::default()
    }
    /// What clients see of it; counters as what came in the window, rates over `length`.
    fn values(&self, length: Duration) -> Map<String, Value>;
}

/// What is counted of a kind that counts nothing.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct NoCounts {}

impl Counts for NoCounts {
    fn follow(&mut self, _: &Self) {}

    fn merge(&mut self, _: &Self) {}

    fn values(&self, _: Duration) -> Map<String, Value> {
        Map::new()
    }
}

/// What was counted in one minute.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(bound = "")]
pub struct Window<C: Counts> {
    /// Which minute.
    #[serde(rename = "m")]
    pub minute: Minute,
    /// What came in it.
    #[serde(rename = "c")]
    pub counts: C,
}

/// The windows that lie in a slice.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(bound = "")]
pub struct Windows<C: Counts> {
    /// The newest minutes, oldest first.
    #[serde(rename = "open", default = "Vec::new", skip_serializing_if = "Vec::is_empty")]
    open: Vec<Window<C>>,
    /// What the commit at the slice's watermark has closed, oldest first.
    #[serde(rename = "closed", default = "Vec::new", skip_serializing_if = "Vec::is_empty")]
    closed: Vec<Window<C>>,
}

impl<C: Counts> Default for Windows<C> {
    fn default() -> Self {
        Self { open: Vec::new(), closed: Vec::new() }
    }
}

impl<C: Counts> Windows<C> {
    /// Counts a record that happened `at`. `add` counts what came, and where the window is the newest also how things
    /// stand: `is_newest` tells.
    pub(crate) fn count(&mut self, at: Timestamp, add: impl FnOnce(&mut C, bool)) {
        let minute = Minute::of(at);
        let newest = self.open.last().map_or(minute, |window| window.minute.max(minute));
        if minute.0 <= newest.0 - OPEN {
            add(find(&mut self.closed, minute), false);
            return;
        }
        add(find(&mut self.open, minute), minute == newest);
        while let Some(oldest) = self.open.first().filter(|oldest| oldest.minute.0 <= newest.0 - OPEN) {
            let minute = oldest.minute;
            self.close(minute);
        }
    }

    /// Closes minutes that begin after `latest`: they cannot be, and would keep all others from being open.
    pub(crate) fn close_after(&mut self, latest: Timestamp) {
        while let Some(newest) = self.open.last().filter(|newest| newest.minute.start() > latest) {
            let minute = newest.minute;
            self.close(minute);
        }
    }

    fn close(&mut self, minute: Minute) {
        if let Ok(index) = self.open.binary_search_by_key(&minute, |window| window.minute) {
            let window = self.open.remove(index);
            find(&mut self.closed, minute).follow(&window.counts);
        }
    }

    /// The newest minutes, oldest first.
    #[must_use]
    pub fn open(&self) -> &[Window<C>] {
        &self.open
    }

    /// What is to be added to the windows' items, oldest first.
    #[must_use]
    pub fn closed(&self) -> &[Window<C>] {
        &self.closed
    }

    /// Forgets what is closed: it is in the windows' items.
    pub fn clear_closed(&mut self) {
        self.closed.clear();
    }
}

/// The window of a minute among windows in order; an empty one where there is none yet.
fn find<C: Counts>(windows: &mut Vec<Window<C>>, minute: Minute) -> &mut C {
    let index = match windows.binary_search_by_key(&minute, |window| window.minute) {
        Ok(index) => index,
        Err(index) => {
            windows.insert(index, Window { minute, counts: C::default() });
            index
        }
    };
    &mut windows[index].counts
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Counts records, and remembers the last one as a gauge.
    #[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
    struct Records {
        count: u64,
        stands: Option<i64>,
    }

    impl Counts for Records {
        fn follow(&mut self, later: &Self) {
            self.count += later.count;
            self.stands = later.stands.or(self.stands);
        }

        fn merge(&mut self, other: &Self) {
            self.count += other.count;
        }

        fn values(&self, _: Duration) -> Map<String, Value> {
            Map::new()
        }
    }

    fn counted(seconds: &[i64]) -> Windows<Records> {
        let mut windows = Windows::default();
        for second in seconds {
            windows.count(Timestamp::from_millis(second * 1000), |records: &mut Records, is_newest| {
                records.count += 1;
                if is_newest {
                    records.stands = Some(*second);
                }
            });
        }
        windows
    }

    fn of(windows: &[Window<Records>]) -> Vec<(i64, u64, Option<i64>)> {
        windows.iter().map(|window| (window.minute.0, window.counts.count, window.counts.stands)).collect()
    }

    #[test]
    fn the_newest_two_minutes_are_open_and_what_is_older_is_closed() {
        let windows = counted(&[0, 59, 60, 30, 120, 185]);
        assert_eq!(of(windows.open()), [(2, 1, Some(120)), (3, 1, Some(185))]);
        assert_eq!(of(windows.closed()), [(0, 3, Some(59)), (1, 1, Some(60))]);
    }

    #[test]
    fn a_late_record_is_closed_at_once_and_says_nothing_of_how_things_stand() {
        let mut windows = counted(&[0, 600]);
        windows.clear_closed();
        windows.count(Timestamp::from_millis(5_000), |records, is_newest| {
            assert!(!is_newest);
            records.count += 1;
        });
        assert_eq!(of(windows.closed()), [(0, 1, None)]);
        assert_eq!(of(windows.open()), [(10, 1, Some(600))]);
    }

    #[test]
    fn a_minute_that_cannot_be_is_closed_so_that_the_present_is_open_again() {
        let mut windows = counted(&[6_000, 60_000]);
        windows.close_after(Timestamp::from_millis(6_300_000));
        assert_eq!(of(windows.open()), []);
        assert_eq!(of(windows.closed()), [(100, 1, Some(6_000)), (1_000, 1, Some(60_000))]);
    }
}
