//! What of one table is read, or written: how much so far, and how much more may be at this moment.

use std::collections::HashMap;

use tokio::time::Instant;

use crate::limits::{TableQuota, TokenBucket};

/// Partition keys that are remembered before those are forgotten that rest.
const MAX_KEYS: usize = 10_000;

/// Reading and writing are metered apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Access {
    Read,
    Write,
}

/// Which limit was met.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Exceeded {
    PartitionKey,
    Table,
}

/// The partition key of which most units were taken within a second.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Busiest {
    pub(crate) key: String,
    pub(crate) units: f64,
}

/// The units of one table, of one kind of access.
pub(super) struct Throughput {
    quota: Option<TableQuota>,
    began_at: Instant,
    table: Option<TokenBucket>,
    keys: HashMap<String, KeyThroughput>,
    pub(super) units: f64,
    pub(super) throttled_by_key: u64,
    pub(super) throttled_by_table: u64,
    pub(super) busiest: Option<Busiest>,
}

struct KeyThroughput {
    bucket: Option<TokenBucket>,
    /// The second since the beginning in which units were last taken, and how many were within it.
    second: u64,
    units: f64,
}

impl Throughput {
    pub(super) fn new(quota: Option<TableQuota>, now: Instant) -> Self {
        Self {
            quota,
            began_at: now,
            table: quota.map(|quota| TokenBucket::full(quota.per_table, now)),
            keys: HashMap::new(),
            units: 0.0,
            throttled_by_key: 0,
            throttled_by_table: 0,
            busiest: None,
        }
    }

    /// Lets a request through that takes at least so much, and takes that. What else it takes is known once it is answered:
    /// a request that comes before may then be let through too, and what is too much is made up for afterwards. DynamoDB is
    /// as generous to requests that come at the same time.
    pub(super) fn admit(&mut self, key: Option<&str>, least: f64, now: Instant) -> Result<(), Exceeded> {
        if key.and_then(|key| self.key(key, now).bucket.as_mut()).is_some_and(|bucket| !bucket.has(least, now)) {
            self.throttled_by_key += 1;
            return Err(Exceeded::PartitionKey);
        }
        if self.table.as_mut().is_some_and(|bucket| !bucket.has(least, now)) {
            self.throttled_by_table += 1;
            return Err(Exceeded::Table);
        }
        self.take(key, least, now);
        Ok(())
    }

    /// Notes what a request took that was let through for `least`.
    pub(super) fn settle(&mut self, key: Option<&str>, least: f64, units: f64, now: Instant) {
        self.take(key, units - least, now);
        self.units += units;
        let second = now.saturating_duration_since(self.began_at).as_secs();
        let Some(key) = key else { return };
        let metered = self.key(key, now);
        if metered.second != second {
            (metered.second, metered.units) = (second, 0.0);
        }
        metered.units += units;
        let units = metered.units;
        if self.busiest.as_ref().is_none_or(|busiest| units > busiest.units) {
            self.busiest = Some(Busiest { key: key.to_owned(), units });
        }
    }

    fn take(&mut self, key: Option<&str>, units: f64, now: Instant) {
        if let Some(bucket) = key.and_then(|key| self.key(key, now).bucket.as_mut()) {
            bucket.take(units, now);
        }
        if let Some(bucket) = &mut self.table {
            bucket.take(units, now);
        }
    }

    fn key(&mut self, key: &str, now: Instant) -> &mut KeyThroughput {
        if self.keys.len() >= MAX_KEYS && !self.keys.contains_key(key) {
            let second = now.saturating_duration_since(self.began_at).as_secs();
            self.keys.retain(|_, key| {
                key.second == second || key.bucket.as_mut().is_some_and(|bucket| !bucket.is_full(now))
            });
        }
        let quota = self.quota;
        self.keys.entry(key.to_owned()).or_insert_with(|| KeyThroughput {
            bucket: quota.map(|quota| TokenBucket::full(quota.per_key, now)),
            second: 0,
            units: 0.0,
        })
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::limits::Limits;

    fn writes(limits: Limits, now: Instant) -> Throughput {
        Throughput::new(limits.dynamodb().map(|quotas| quotas.writes), now)
    }

    /// How many writes of 1 KB are let through.
    fn write(throughput: &mut Throughput, key: &str, times: u32, now: Instant) -> u32 {
        let mut written = 0;
        for _ in 0..times {
            if throughput.admit(Some(key), 1.0, now).is_ok() {
                throughput.settle(Some(key), 1.0, 1.0, now);
                written += 1;
            }
        }
        written
    }

    #[test]
    fn a_key_takes_a_thousand_writes_a_second_and_does_not_hold_up_another() {
        let begin = Instant::now();
        let mut throughput = writes(Limits::Aws, begin);
        assert_eq!(write(&mut throughput, "a", 1_500, begin), 1_000);
        assert_eq!(throughput.admit(Some("a"), 1.0, begin), Err(Exceeded::PartitionKey));
        assert_eq!(write(&mut throughput, "b", 10, begin), 10);
        assert_eq!(write(&mut throughput, "a", 1_500, begin + Duration::from_millis(250)), 250);
        assert_eq!(throughput.throttled_by_key, 500 + 1 + 1_250);
        assert_eq!(throughput.busiest, Some(Busiest { key: "a".to_owned(), units: 1_250.0 }));
    }

    #[test]
    fn a_table_takes_forty_thousand_writes_a_second_over_all_keys() {
        let begin = Instant::now();
        let mut throughput = writes(Limits::Aws, begin);
        let written: u32 = (0..50).map(|key| write(&mut throughput, &key.to_string(), 1_000, begin)).sum();
        assert_eq!((written, throughput.throttled_by_table, throughput.throttled_by_key), (40_000, 10_000, 0));
        assert_eq!(throughput.admit(Some("z"), 1.0, begin), Err(Exceeded::Table));
    }

    #[test]
    fn what_turns_out_dearer_is_made_up_for_and_what_turns_out_free_is_given_back() {
        let begin = Instant::now();
        let mut throughput = writes(Limits::Aws, begin);
        throughput.admit(Some("a"), 1.0, begin).unwrap();
        throughput.settle(Some("a"), 1.0, 1_100.0, begin);
        assert_eq!(write(&mut throughput, "a", 1, begin + Duration::from_millis(100)), 0);
        assert_eq!(write(&mut throughput, "a", 1, begin + Duration::from_millis(102)), 1);
        let later = begin + Duration::from_secs(2);
        throughput.admit(Some("a"), 1.0, later).unwrap();
        throughput.settle(Some("a"), 1.0, 0.0, later);
        assert_eq!(write(&mut throughput, "a", 1_001, later), 1_000);
        assert!((throughput.units - 2_101.0).abs() < 1e-9, "{}", throughput.units);
    }

    #[test]
    fn without_limits_all_is_let_through_and_counted() {
        let begin = Instant::now();
        let mut throughput = writes(Limits::None, begin);
        assert_eq!(write(&mut throughput, "a", 50_000, begin), 50_000);
        assert!((throughput.units - 50_000.0).abs() < 1e-9);
    }

    #[test]
    fn keys_that_rest_are_forgotten_once_there_are_many() {
        let begin = Instant::now();
        let mut throughput = writes(Limits::Aws, begin);
        for n in 0..MAX_KEYS {
            write(&mut throughput, &n.to_string(), 1, begin);
        }
        write(&mut throughput, "one more", 1, begin + Duration::from_secs(1));
        assert_eq!(throughput.keys.len(), 1);
    }
}
