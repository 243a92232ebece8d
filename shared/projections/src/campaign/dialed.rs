//! How many calls were placed in the last seconds.

use serde::{Deserialize, Serialize, Serializer};

use crate::Timestamp;

/// The dialing rate is the mean over this many seconds.
const RATE_WINDOW_S: i64 = 10;

/// Calls placed in each of the last seconds, oldest first; never more than the window has.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(from = "Stored")]
pub(super) struct Dialed(Vec<(i64, u64)>);

/// Stored as the first second, and the calls of it and of each second after it: a third of the bytes of pairs.
#[derive(Deserialize)]
#[serde(untagged)]
enum Stored {
    Run(i64, Vec<u64>),
    /// So version 1 has them.
    Pairs(Vec<(i64, u64)>),
}

impl From<Stored> for Dialed {
    fn from(stored: Stored) -> Self {
        match stored {
            Stored::Run(first, calls) => Self((first..).zip(calls).filter(|(_, calls)| *calls > 0).collect()),
            Stored::Pairs(pairs) => Self(pairs),
        }
    }
}

impl Serialize for Dialed {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let first = self.0.first().map_or(0, |(second, _)| *second);
        let mut calls: Vec<u64> = Vec::new();
        for (second, placed) in &self.0 {
            // Never longer than the window: what is older than it is gone.
            calls.resize(usize::try_from(second - first).unwrap_or(0), 0);
            calls.push(*placed);
        }
        (first, calls).serialize(serializer)
    }
}

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
