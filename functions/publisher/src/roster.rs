//! Who belongs to a collection: the tenant's active campaigns.

use std::collections::{HashMap, HashSet};

use projections::{Kind, TenantId, Timestamp};

use crate::board::Place;

/// The collections' members, by tenant and kind.
pub(crate) type Rosters = HashMap<(TenantId, Kind), Roster>;

/// For how many overviews a channel that is no longer active stays: a connection may be busy at the first few.
const FAREWELLS: u8 = 10;

/// The members of one collection as of the last overview.
#[derive(Debug, Default)]
pub(crate) struct Roster {
    /// The active channels, those with the latest activity first.
    pub(crate) active: Vec<Place>,
    /// Those that were active before, each with the overviews that it stays: their watchers get one more view, which says
    /// why.
    leaving: Vec<(Place, u8)>,
    /// The latest activity of any channel of the kind.
    pub(crate) latest: Timestamp,
}

impl Roster {
    /// The roster of a publisher that takes over from another one, which showed these.
    pub(crate) fn inherited(active: Vec<Place>) -> Self {
        Self { active, ..Self::default() }
    }

    /// Takes the members as they are now.
    pub(crate) fn replace(&mut self, active: Vec<Place>, latest: Timestamp) {
        self.latest = latest;
        let before = std::mem::replace(&mut self.active, active);
        self.leaving.extend(before.into_iter().map(|place| (place, FAREWELLS)));
        let active: HashSet<&Place> = self.active.iter().collect();
        self.leaving.retain_mut(|(place, overviews)| {
            *overviews -= 1;
            *overviews > 0 && !active.contains(place)
        });
    }

    /// All whose views are sent.
    pub(crate) fn places(&self) -> impl Iterator<Item = Place> {
        self.active.iter().copied().chain(self.leaving.iter().map(|(place, _)| *place))
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::board::Board;

    #[test]
    fn who_is_no_longer_active_stays_for_some_overviews_and_then_goes() {
        let mut board = Board::new(Duration::from_secs(1));
        let tenant = TenantId::parse("acme").unwrap();
        let [a, b] = ["campaign:a", "campaign:b"].map(|id| board.place(&(tenant.clone(), id.parse().unwrap())));
        let mut roster = Roster::inherited(vec![a, b]);
        for _ in 1..FAREWELLS {
            roster.replace(vec![a], Timestamp::EPOCH);
            assert_eq!(roster.places().collect::<Vec<_>>(), [a, b]);
        }
        roster.replace(vec![a], Timestamp::EPOCH);
        assert_eq!(roster.places().collect::<Vec<_>>(), [a]);
        roster.replace(vec![a, b], Timestamp::EPOCH);
        assert_eq!(roster.places().collect::<Vec<_>>(), [a, b], "back again, and there once");
    }
}
