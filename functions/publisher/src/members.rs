//! Who belongs to a collection: the tenant's active campaigns.

use std::collections::{HashMap, HashSet};

use projections::{Kind, TenantId, Timestamp};

use crate::view_cache::{SWEEP, Slot};

/// The collections' members, by tenant and kind.
pub(crate) type Collections = HashMap<(TenantId, Kind), Members>;

/// For how many overviews a channel that is no longer active stays: a connection may be busy at the first few.
const FAREWELLS: u8 = 10;

/// The members of one collection.
#[derive(Debug, Default)]
pub(crate) struct Members {
    /// The active channels, those with the latest activity first.
    pub(crate) active: Vec<Slot>,
    /// Those that were active before, each with the overviews that it stays: their watchers get one more view, which says
    /// why.
    leaving: Vec<(Slot, u8)>,
    /// The latest activity of any channel of the kind that the directory knows.
    pub(crate) latest: Timestamp,
    /// When the directory was read; nothing where it is to be read at the next overview.
    read_at: Option<Timestamp>,
}

impl Members {
    /// Those of a publisher that takes over from another one, which showed these.
    pub(crate) fn inherited(active: Vec<Slot>) -> Self {
        Self { active, ..Self::default() }
    }

    /// Whether the directory is to be read: a journal says that it has changed, or it was not read for long.
    pub(crate) fn is_due(&self, now: Timestamp) -> bool {
        self.read_at.is_none_or(|read_at| now.since(read_at) >= SWEEP)
    }

    /// The directory has changed.
    pub(crate) fn distrust(&mut self) {
        self.read_at = None;
    }

    /// The directory has noted that something was active then.
    pub(crate) fn note_activity(&mut self, latest: Timestamp) {
        self.latest = latest.max(self.latest);
    }

    /// Takes the members as the directory has them `now`.
    pub(crate) fn replace(&mut self, active: Vec<Slot>, latest: Timestamp, now: Timestamp) {
        self.note_activity(latest);
        self.read_at = Some(now);
        let before = std::mem::replace(&mut self.active, active);
        let active: HashSet<&Slot> = self.active.iter().collect();
        self.leaving.retain(|(slot, _)| !active.contains(slot));
        self.leaving.extend(before.into_iter().filter(|slot| !active.contains(slot)).map(|slot| (slot, FAREWELLS)));
    }

    /// An overview is over.
    pub(crate) fn note_overview(&mut self) {
        self.leaving.retain_mut(|(_, overviews)| {
            *overviews -= 1;
            *overviews > 0
        });
    }

    /// All whose views are sent.
    pub(crate) fn slots(&self) -> impl Iterator<Item = Slot> {
        self.active.iter().copied().chain(self.leaving.iter().map(|(slot, _)| *slot))
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::view_cache::ViewCache;

    const T0: Timestamp = Timestamp::EPOCH;

    fn slots() -> [Slot; 2] {
        let mut cache = ViewCache::new(Duration::from_secs(1));
        let tenant = TenantId::parse("acme").unwrap();
        ["campaign:a", "campaign:b"].map(|id| cache.slot(&(tenant.clone(), id.parse().unwrap())))
    }

    #[test]
    fn who_is_no_longer_active_stays_for_some_overviews_and_then_goes() {
        let [a, b] = slots();
        let mut members = Members::inherited(vec![a, b]);
        members.replace(vec![a], T0, T0);
        for _ in 0..FAREWELLS {
            assert_eq!(members.slots().collect::<Vec<_>>(), [a, b]);
            members.note_overview();
        }
        assert_eq!(members.slots().collect::<Vec<_>>(), [a]);
        members.replace(vec![a, b], T0, T0);
        assert_eq!(members.slots().collect::<Vec<_>>(), [a, b], "back again, and there once");
    }

    #[test]
    fn the_directory_is_read_at_first_when_it_has_changed_and_once_a_minute() {
        let mut members = Members::default();
        assert!(members.is_due(T0));
        members.replace(Vec::new(), T0, T0);
        assert!(!members.is_due(T0.plus(Duration::from_millis(59_999))));
        assert!(members.is_due(T0.plus(SWEEP)));
        members.distrust();
        assert!(members.is_due(T0));
    }

    #[test]
    fn what_was_active_latest_never_goes_back() {
        let mut members = Members::default();
        members.note_activity(T0.plus(Duration::from_secs(9)));
        members.replace(Vec::new(), T0.plus(Duration::from_secs(5)), T0);
        assert_eq!(members.latest, T0.plus(Duration::from_secs(9)));
    }
}
