//! Who watches what, and what each of them is to get.

use std::collections::{BTreeMap, HashMap, HashSet};

use projections::{Kind, TenantId, Timestamp};
use store::Connection;

use crate::{
    board::{Board, Place},
    closing::{Closing, Outcome},
    delivery::{Parcel, Receipt},
    roster::Rosters,
    watcher::Watcher,
};

/// Everyone who watches something in one shard.
#[derive(Default)]
pub(crate) struct Audience {
    watchers: HashMap<String, Watcher>,
}

impl Audience {
    /// Takes the connections as they are now; what the known ones have got stays known. `up_to_date` are those that a
    /// predecessor has served already.
    pub(crate) fn replace(&mut self, connections: Vec<Connection>, board: &mut Board, up_to_date: &HashSet<u64>) {
        let mut known = std::mem::take(&mut self.watchers);
        for connection in connections {
            let watcher = if let Some(mut watcher) = known.remove(&connection.id) {
                watcher.watch(&connection, board);
                watcher
            } else {
                let mut watcher = Watcher::new(&connection, board);
                if up_to_date.contains(&watcher.fingerprint()) {
                    watcher.trust(board);
                }
                watcher
            };
            self.watchers.insert(connection.id, watcher);
        }
    }

    /// Whether nobody is there, nor anybody to be closed.
    pub(crate) fn is_empty(&self) -> bool {
        self.watchers.is_empty()
    }

    /// How many connections each tenant has.
    pub(crate) fn count(&self) -> BTreeMap<String, u64> {
        let mut count = BTreeMap::new();
        for watcher in self.watchers.values() {
            *count.entry(watcher.principal.tenant.to_string()).or_default() += 1;
        }
        count
    }

    /// The channels that somebody named.
    pub(crate) fn direct(&self) -> HashSet<Place> {
        self.watchers.values().flat_map(|watcher| watcher.direct.iter().map(|direct| direct.place)).collect()
    }

    /// The collections that somebody watches, by tenant.
    pub(crate) fn collections(&self) -> HashSet<(TenantId, Kind)> {
        let of_watcher = |watcher: &Watcher| {
            watcher.collections.iter().map(|kind| (watcher.principal.tenant.clone(), *kind)).collect::<Vec<_>>()
        };
        self.watchers.values().flat_map(of_watcher).collect()
    }

    /// What each connection is to get `now`. Connections that are being posted to are left for the next tick: the newest
    /// view wins, and nothing queues up but a few notices. Members of collections are due at overviews, and at any tick
    /// to who has not seen them yet.
    pub(crate) fn parcels(
        &mut self,
        board: &Board,
        rosters: &Rosters,
        is_overview: bool,
        now: Timestamp,
    ) -> Vec<Parcel> {
        self.watchers
            .iter_mut()
            .map(|(id, watcher)| Parcel {
                connection: id.clone(),
                until: watcher.until.clone(),
                batches: watcher.batches,
                messages: watcher.take(board, rosters, is_overview, now),
            })
            .filter(|parcel| !parcel.messages.is_empty())
            .collect()
    }

    /// Notes what became of a parcel; true if the connection is gone for good and is to be deleted.
    pub(crate) fn note(&mut self, receipt: Receipt, now: Timestamp) -> bool {
        let id = receipt.connection.clone();
        let is_gone = self.watchers.get_mut(&id).is_some_and(|watcher| watcher.note(receipt, now));
        if is_gone {
            self.watchers.remove(&id);
        }
        is_gone
    }

    /// The connections that are to be closed `now`: their token has expired, or their access was ended. Those that are
    /// being posted to are left for the next tick, so that what they are told comes last.
    pub(crate) fn closings(&mut self, now: Timestamp) -> Vec<Closing> {
        self.watchers.iter_mut().filter_map(|(id, watcher)| watcher.closing(id, now)).collect()
    }

    /// Notes what an attempt to close a connection came to.
    pub(crate) fn note_closing(&mut self, closing: &Closing, outcome: Outcome, now: Timestamp) {
        if outcome == Outcome::Over {
            self.watchers.remove(&closing.connection);
        } else if let Some(watcher) = self.watchers.get_mut(&closing.connection) {
            watcher.note_closing(closing.stage, outcome, now);
        }
    }

    /// Fingerprints of the connections that have got all that is on the board.
    pub(crate) fn up_to_date(&self, board: &Board, rosters: &Rosters) -> HashSet<u64> {
        let up_to_date = self.watchers.values().filter(|watcher| watcher.is_up_to_date(board, rosters));
        up_to_date.map(Watcher::fingerprint).collect()
    }
}

#[cfg(test)]
mod tests;
