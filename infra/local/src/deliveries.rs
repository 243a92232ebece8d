//! The batches that triggers delivered lately: when each went to its function, and when that had answered. `/_local/deliveries`
//! tells; the load test asks there where time goes.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, PoisonError},
};

use serde::{Deserialize, Serialize};

/// The newest that are remembered: minutes of a busy load test, in 2 MB.
const KEPT: usize = 20_000;

/// What one invocation delivered of one partition, and when.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Delivery {
    /// The records' topic.
    pub(crate) topic: String,
    /// Their partition.
    pub(crate) partition: i32,
    /// The offset of the first of them.
    pub(crate) first: i64,
    /// The offset of the last.
    pub(crate) last: i64,
    /// When the function was invoked, in microseconds since 1970.
    pub(crate) invoked_at: i64,
    /// When it had answered, which it does once all is stored.
    pub(crate) answered_at: i64,
}

/// Shared by all triggers.
#[derive(Clone, Debug, Default)]
pub(crate) struct Deliveries(Arc<Mutex<VecDeque<Delivery>>>);

impl Deliveries {
    /// Remembers what an invocation delivered.
    pub(crate) fn note(&self, delivered: impl IntoIterator<Item = Delivery>) {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        for delivery in delivered {
            if kept.len() == KEPT {
                kept.pop_front();
            }
            kept.push_back(delivery);
        }
    }

    /// All that are remembered, in the order in which they were answered.
    pub(crate) fn all(&self) -> Vec<Delivery> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).iter().cloned().collect()
    }
}

/// Now, in microseconds since 1970.
pub(crate) fn now_micros() -> i64 {
    jiff::Timestamp::now().as_microsecond()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_are_kept_and_no_more_than_that() {
        let deliveries = Deliveries::default();
        let delivery =
            |first| Delivery { topic: "t".into(), partition: 0, first, last: first, invoked_at: 1, answered_at: 2 };
        let kept = i64::try_from(KEPT).unwrap();
        deliveries.note((0..=kept).map(delivery));
        let all = deliveries.all();
        assert_eq!((all.len(), all[0].first, all[KEPT - 1].first), (KEPT, 1, kept));
    }
}
