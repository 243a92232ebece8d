//! Who belongs to a collection: the tenant's active campaigns.

use std::collections::HashMap;

use projections::{Kind, TenantId, Timestamp};

use crate::board::Place;

/// The collections' members, by tenant and kind.
pub(crate) type Rosters = HashMap<(TenantId, Kind), Roster>;

/// The members of one collection as of the last overview.
#[derive(Debug, Default)]
pub(crate) struct Roster {
    /// The active channels, those with the latest activity first.
    pub(crate) active: Vec<Place>,
    /// Those that were active the time before: their watchers get one more view, which says why.
    pub(crate) leaving: Vec<Place>,
    /// The latest activity of any channel of the kind.
    pub(crate) latest: Timestamp,
}

impl Roster {
    /// Takes the members as they are now.
    pub(crate) fn replace(&mut self, active: Vec<Place>, latest: Timestamp) {
        self.latest = latest;
        let before = std::mem::replace(&mut self.active, active);
        self.leaving = before.into_iter().filter(|place| !self.active.contains(place)).collect();
    }

    /// All whose views are sent.
    pub(crate) fn places(&self) -> impl Iterator<Item = Place> {
        self.active.iter().chain(&self.leaving).copied()
    }
}
