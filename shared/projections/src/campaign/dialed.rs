//! How many calls were placed in the last seconds.

use serde::{Deserialize, Serialize};

use crate::Timestamp;

/// The dialing rate is the mean over this many seconds.
const RATE_WINDOW_S: i64 = 10;

/// Calls placed in each of the last seconds, oldest first; never more than the window has.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub(super) struct Dialed(Vec<(i64, u64)>);

impl Dialed {
    /// So many were placed in that second.
    pub(super) fn add(&mut self, second: i64, calls: u64) {
        // Nearly every call is placed in the newest second.
        let index = self.0.iter().rposition(|(s, _)| *s <= second);
        match index {
            Some(index) if self.0[index].0 == second => self.0[index].1 += calls,
            _ => self.0.insert(index.map_or(0, |index| index + 1), (second, calls)),
        }
        let newest = self.0.last().map_or(second, |(s, _)| *s);
        self.0.retain(|(s, _)| *s > newest - RATE_WINDOW_S);
    }

    /// Calls per second, `now`. A second leaves the window as a whole, at the latest ten seconds after its last call.
    pub(super) fn rate(&self, now: Timestamp) -> f64 {
        let window = now.as_seconds() - RATE_WINDOW_S + 1..=now.as_seconds();
        let calls: u64 = self.0.iter().filter(|(second, _)| window.contains(second)).map(|(_, calls)| calls).sum();
        calls as f64 / RATE_WINDOW_S as f64
    }

    /// Takes in the calls that another partition has seen.
    pub(super) fn merge(&mut self, other: &Self) {
        for (second, calls) in &other.0 {
            self.add(*second, *calls);
        }
    }

    /// Forgets seconds after `latest`, which would keep all others out of the window.
    pub(super) fn forget_after(&mut self, latest: Timestamp) {
        self.0.retain(|(second, _)| *second <= latest.as_seconds());
    }
}
