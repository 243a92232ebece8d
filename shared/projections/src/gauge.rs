//! A number that goes up and down, and that is counted anew now and then.

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::Timestamp;

/// How many there are of what comes and goes. Without a sample it is the sum of what came and went; a sample sets it, and
/// what comes and goes moves it from there. So an event that was lost or sent twice is wrong only until the next sample.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Gauge {
    sampled_at: Option<Timestamp>,
    /// Below zero where more went than came: one partition may see only the end of a call.
    value: i64,
}

impl Gauge {
    /// So many came, or went where it is negative.
    pub(crate) fn add(&mut self, change: i64) {
        self.value = self.value.saturating_add(change);
    }

    /// So many there were at that time. An older sample than the one that counts says nothing.
    pub(crate) fn sample(&mut self, value: u32, at: Timestamp) {
        if Some(at) >= self.sampled_at {
            *self = Self { sampled_at: Some(at), value: value.into() };
        }
    }

    /// Takes in what another partition has counted: of samples the newest counts, and a sample counts before sums.
    pub(crate) fn merge(&mut self, other: Self) {
        if self.sampled_at.is_none() && other.sampled_at.is_none() {
            self.add(other.value);
        } else {
            *self = (*self).max(other);
        }
    }

    /// As it is shown; there cannot be fewer than none.
    pub(crate) fn shown(self) -> u64 {
        u64::try_from(self.value).unwrap_or(0)
    }

    /// Whether more went than came, so that what is shown is not what was counted.
    pub(crate) fn is_below_zero(self) -> bool {
        self.value < 0
    }

    /// Makes a sample from after `latest` the oldest of all.
    pub(crate) fn disbelieve_after(&mut self, latest: Timestamp) {
        if self.sampled_at > Some(latest) {
            self.sampled_at = Some(Timestamp::EPOCH);
        }
    }
}

/// Stored as the bare sum without a sample, else as value and time of the sample in milliseconds.
impl Serialize for Gauge {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.sampled_at {
            None => self.value.serialize(serializer),
            Some(at) => (self.value, at.as_millis()).serialize(serializer),
        }
    }
}

impl<'de> Deserialize<'de> for Gauge {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Stored {
            Sum(i64),
            Sampled(i64, i64),
            /// So version 1 has them.
            Named {
                sampled_at: Option<Timestamp>,
                depth: i64,
            },
        }
        Ok(match Stored::deserialize(deserializer)? {
            Stored::Sum(value) => Self { sampled_at: None, value },
            Stored::Sampled(value, millis) => Self { sampled_at: Some(Timestamp::from_millis(millis)), value },
            Stored::Named { sampled_at, depth } => Self { sampled_at, value: depth },
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_millis(seconds * 1000)
    }

    #[test]
    fn the_newest_sample_wins_in_one_partition_and_over_several() {
        let mut one = Gauge::default();
        one.sample(7, at(7200));
        one.sample(230, at(1));
        assert_eq!(one.shown(), 7, "in one partition");
        let mut other = Gauge::default();
        other.sample(230, at(1));
        let mut merged = other;
        merged.merge(one);
        assert_eq!(merged, one, "over several");
        one.merge(other);
        assert_eq!(merged, one, "in either order");
    }

    #[test]
    fn a_sample_mends_what_events_left_wrong() {
        let mut gauge = Gauge::default();
        gauge.add(-2);
        assert!(gauge.is_below_zero() && gauge.shown() == 0);
        gauge.sample(3, at(1));
        gauge.add(1);
        assert!(!gauge.is_below_zero() && gauge.shown() == 4);
    }

    #[test]
    fn a_sample_from_the_future_loses_against_any_other() {
        let mut ahead = Gauge::default();
        ahead.sample(99, at(1_000_000));
        ahead.disbelieve_after(at(100));
        let mut fresh = Gauge::default();
        fresh.sample(3, at(50));
        ahead.merge(fresh);
        assert_eq!(ahead.shown(), 3);
    }
}
