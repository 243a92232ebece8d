//! What this container has written to the directory, so that it writes only news there.

use std::{collections::HashMap, time::Duration};

use projections::{ChannelId, Listing, TenantId, Timestamp};
use store::{ListingChange, SliceKey};

/// The directory sorts channels by their last activity and needs it no finer.
const ACTIVITY_STEP: Duration = Duration::from_secs(15);

/// System health shows seconds since the last record; two seconds of them may be ours.
const NOTE_STEP: Duration = Duration::from_secs(2);

/// The most slices, channels and topics of tenants that are remembered, at some 200 bytes each. What was forgotten is
/// written once more, which changes nothing.
const MAX_REMEMBERED: usize = 20_000;

/// How a channel stood in the directory when this container last wrote it there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Description {
    pub(crate) listing: Option<Listing>,
    pub(crate) last_activity: Timestamp,
}

/// What this container has written already.
#[derive(Debug, Default)]
pub(crate) struct LastWritten {
    /// By slice, for each partition knows another part of how its channel stands.
    descriptions: HashMap<SliceKey, Description>,
    /// When the last record of a tenant's topic was noted.
    notes: HashMap<(TenantId, String), Timestamp>,
    /// On which day (UTC) a channel was last extended.
    extensions: HashMap<(TenantId, ChannelId), i64>,
}

impl LastWritten {
    /// What of it the directory should hear.
    pub(crate) fn change(&self, key: &SliceKey, new: &Description) -> ListingChange {
        match self.descriptions.get(key) {
            Some(last_written) if last_written.listing == new.listing => {
                let is_later = new.last_activity.since(last_written.last_activity) >= ACTIVITY_STEP;
                if is_later { ListingChange::Activity } else { ListingChange::None }
            }
            _ => ListingChange::Listing,
        }
    }

    /// The directory has heard of it.
    pub(crate) fn written(&mut self, key: SliceKey, description: Description) {
        remember(&mut self.descriptions, key, description);
    }

    /// Nobody has learned of what the directory has heard: it is told anew.
    pub(crate) fn forget(&mut self, key: &SliceKey) {
        self.descriptions.remove(key);
    }

    /// Whether it is time to note again when a topic was last heard of; the caller then does.
    pub(crate) fn take_turn_to_write(&mut self, tenant: &TenantId, topic: &str, now: Timestamp) -> bool {
        let key = (tenant.clone(), topic.to_owned());
        let is_due = self.notes.get(&key).is_none_or(|noted| now.since(*noted) >= NOTE_STEP);
        if is_due {
            remember(&mut self.notes, key, now);
        }
        is_due
    }

    /// Whether a channel is to be extended, which the caller then does: once a day.
    pub(crate) fn take_turn_to_extend(&mut self, key: &SliceKey, now: Timestamp) -> bool {
        let channel = (key.tenant.clone(), key.channel.clone());
        let is_due = self.extensions.get(&channel) != Some(&day(now));
        if is_due {
            remember(&mut self.extensions, channel, day(now));
        }
        is_due
    }

    /// The channel was not extended after all.
    pub(crate) fn give_turn_back(&mut self, key: &SliceKey) {
        self.extensions.remove(&(key.tenant.clone(), key.channel.clone()));
    }
}

fn day(now: Timestamp) -> i64 {
    now.as_seconds().div_euclid(86_400)
}

/// Forgetting all at once needs no order of use, and costs no more than a container that starts anew.
fn remember<K: Eq + std::hash::Hash, V>(map: &mut HashMap<K, V>, key: K, value: V) {
    if map.len() >= MAX_REMEMBERED && !map.contains_key(&key) {
        map.clear();
    }
    map.insert(key, value);
}

#[cfg(test)]
mod tests {
    use store::SliceId;

    use super::*;

    fn key(campaign: usize) -> SliceKey {
        SliceKey {
            tenant: TenantId::parse("acme").unwrap(),
            channel: format!("campaign:{campaign}").parse().unwrap(),
            slice: SliceId { epoch: 1, topic: "t".into(), partition: 0 },
        }
    }

    fn active_at(seconds: i64) -> Description {
        Description { listing: None, last_activity: Timestamp::from_millis(seconds * 1000) }
    }

    #[test]
    fn a_channel_is_due_when_it_is_new_when_its_listing_changes_and_every_fifteen_seconds() {
        let mut last_written = LastWritten::default();
        assert_eq!(last_written.change(&key(1), &active_at(100)), ListingChange::Listing);
        last_written.written(key(1), active_at(100));
        assert_eq!(last_written.change(&key(1), &active_at(114)), ListingChange::None);
        assert_eq!(last_written.change(&key(1), &active_at(115)), ListingChange::Activity);
        let listing = Listing { name: None, status: Some("paused"), active: false, at: Timestamp::from_millis(1) };
        let described = Description { listing: Some(listing), ..active_at(100) };
        assert_eq!(last_written.change(&key(1), &described), ListingChange::Listing);
        assert_eq!(last_written.change(&key(2), &active_at(100)), ListingChange::Listing);
    }

    #[test]
    fn a_topic_is_noted_every_two_seconds() {
        let mut last_written = LastWritten::default();
        let acme = TenantId::parse("acme").unwrap();
        let turns = [0, 1999, 2000, 3999, 4000]
            .map(|millis| last_written.take_turn_to_write(&acme, "t", Timestamp::from_millis(millis)));
        assert_eq!(turns, [true, false, true, false, true]);
    }

    #[test]
    fn a_channel_is_extended_by_the_first_of_its_slices_on_each_day_and_again_if_that_failed() {
        let mut last_written = LastWritten::default();
        let at = |hours: i64| Timestamp::from_millis(hours * 3_600_000);
        let other = SliceKey { slice: SliceId { partition: 1, ..key(1).slice }, ..key(1) };
        assert!(last_written.take_turn_to_extend(&key(1), at(20)));
        assert!(!last_written.take_turn_to_extend(&other, at(23)));
        assert!(last_written.take_turn_to_extend(&key(2), at(23)));
        assert!(last_written.take_turn_to_extend(&other, at(24)));
        last_written.give_turn_back(&other);
        assert!(last_written.take_turn_to_extend(&key(1), at(25)));
    }

    #[test]
    fn memory_is_bounded() {
        let mut last_written = LastWritten::default();
        for campaign in 0..=MAX_REMEMBERED {
            last_written.written(key(campaign), active_at(0));
        }
        assert!(last_written.descriptions.len() <= MAX_REMEMBERED);
    }
}
