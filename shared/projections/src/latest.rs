//! A value of which only the newest counts.

use serde::{Deserialize, Serialize};

use crate::Timestamp;

/// A last-writer-wins register. Within a slice Kafka's order decides who was last; between slices the time does,
/// and the greater value where the times are the same, so that merging does not depend on the order.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Latest<T> {
    /// When the value was set.
    #[serde(with = "crate::timestamp::millis")]
    pub at: Timestamp,
    /// The value.
    pub value: T,
}

impl<T: Ord + Clone> Latest<T> {
    /// Sets `slot` as the record that follows all records before it.
    pub fn set(slot: &mut Option<Self>, value: T, at: Timestamp) {
        let at = slot.as_ref().map_or(at, |before| before.at.max(at));
        *slot = Some(Self { at, value });
    }

    /// Makes a value that was set after `latest` the oldest of all.
    pub fn disbelieve_after(slot: &mut Option<Self>, latest: Timestamp) {
        if let Some(value) = slot.as_mut().filter(|value| value.at > latest) {
            value.at = Timestamp::EPOCH;
        }
    }

    /// Keeps the later of two.
    pub fn merge(slot: &mut Option<Self>, other: Option<&Self>) {
        if slot.as_ref() < other {
            *slot = other.cloned();
        }
    }
}
