//! Where the time of a delivery went: from the producer to the broker, to ingest, into the table, into a view, to the socket.

use std::collections::HashMap;

use hdrhistogram::Histogram;

use super::ledger::{Arrival, Stored};
use crate::deliveries::Delivery;

/// The stages, in their order.
pub(super) const NAMES: [&str; 5] =
    ["produced → in Kafka", "→ ingest invoked", "→ committed", "→ view made", "→ on the socket"];

/// How long each stage took, over all arrivals of which all is known.
#[derive(Debug)]
pub(super) struct Stages {
    /// In microseconds, in the order of [`NAMES`].
    pub(super) took: [Histogram<u64>; 5],
}

impl Stages {
    /// Joins what the load test saw with what the system tells of the batches of `topic` that it delivered. Nothing where no record was
    /// in any of them: the system is another one than Kafka's reader.
    pub(super) fn new(arrivals: &[Arrival], topic: &str, deliveries: &[Delivery]) -> Option<Self> {
        let mut by_partition: HashMap<i32, Vec<&Delivery>> = HashMap::new();
        for delivery in deliveries.iter().filter(|delivery| delivery.topic == topic) {
            by_partition.entry(delivery.partition).or_default().push(delivery);
        }
        for delivered in by_partition.values_mut() {
            delivered.sort_by_key(|delivery| delivery.last);
        }
        let mut took = [(); 5].map(|()| super::ledger::latencies());
        for Arrival { produced_at, stored, made_at, arrived_at } in arrivals {
            let Some(Stored { at: stored_at, partition, offset }) = stored else { continue };
            let Some(delivered) = by_partition.get(partition) else { continue };
            let Some(delivery) = delivered.get(delivered.partition_point(|delivery| delivery.last < *offset)) else {
                continue;
            };
            if delivery.first > *offset {
                continue;
            }
            let moments = [*produced_at, *stored_at, delivery.invoked_at, delivery.answered_at, *made_at, *arrived_at];
            for (histogram, pair) in took.iter_mut().zip(moments.windows(2)) {
                // A batch may be on its way before its producer hears that it is stored, and views tell whole milliseconds.
                histogram.saturating_record(u64::try_from(pair[1] - pair[0]).unwrap_or(0));
            }
        }
        (!took[0].is_empty()).then_some(Self { took })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn delivery(first: i64, last: i64) -> Delivery {
        Delivery { topic: "t".into(), partition: 1, first, last, invoked_at: 300 + first, answered_at: 700 + first }
    }

    fn arrival(offset: i64) -> Arrival {
        let stored = Some(Stored { at: 200, partition: 1, offset });
        Arrival { produced_at: 100, stored, made_at: 1_500, arrived_at: 3_100 }
    }

    #[test]
    fn a_record_is_found_in_the_batch_that_delivered_it() {
        let deliveries = [delivery(0, 4), delivery(5, 9)];
        let stages = Stages::new(&[arrival(7)], "t", &deliveries).unwrap();
        assert_eq!(stages.took.map(|took| took.max()), [100, 105, 400, 795, 1_600]);
    }

    #[test]
    fn what_nobody_delivered_is_in_no_stage() {
        assert!(Stages::new(&[arrival(10)], "t", &[delivery(0, 9)]).is_none());
        assert!(Stages::new(&[arrival(2)], "other", &[delivery(0, 9)]).is_none());
        assert!(Stages::new(&[Arrival { stored: None, ..arrival(2) }], "t", &[delivery(0, 9)]).is_none());
    }
}
