//! Who watches what in one shard, and what each of them is to get.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap, HashSet},
    ops::Bound,
};

use projections::{ChannelId, Kind, TenantId, Timestamp};
use store::Connection;

use crate::{
    closing::{Closing, Outcome},
    delivery::{Delivered, Delivery},
    handover,
    members::Collections,
    subscriber::{Subscriber, Taken},
    view_cache::{Slot, ViewCache},
};

/// Everyone who watches something in one shard.
#[derive(Default)]
pub(crate) struct Subscribers {
    by_id: BTreeMap<String, Subscriber>,
    /// Who named a channel.
    of_channel: HashMap<Slot, BTreeSet<String>>,
    /// Who watches a tenant's whole collection.
    of_collection: HashMap<(TenantId, Kind), BTreeSet<String>>,
    /// For whom there may be something: the others are not looked at.
    ready: BTreeSet<String>,
    /// Who watches a collection and could not be posted to at an overview, or not successfully since: the next one is theirs.
    behind: BTreeSet<String>,
    /// Who had got all that a predecessor published, by [`handover::subscription`].
    inherited: HashSet<u64>,
}

impl Subscribers {
    /// Nobody yet; those of `inherited` had got all that a predecessor published.
    pub(crate) fn new(inherited: HashSet<u64>) -> Self {
        Self { inherited, ..Self::default() }
    }

    /// Takes in what a connection is now; nothing where there is none any more.
    pub(crate) fn update(&mut self, id: &str, connection: Option<&Connection>, cache: &mut ViewCache) {
        let known = self.by_id.remove(id);
        if let Some(known) = &known {
            self.unlist(id, known);
        }
        let Some(connection) = connection else {
            self.ready.remove(id);
            self.behind.remove(id);
            return;
        };
        let subscriber = if let Some(mut subscriber) = known {
            subscriber.update(connection, cache);
            subscriber
        } else {
            let mut subscriber = Subscriber::new(connection, cache);
            if self.inherited.contains(&handover::subscription(connection)) {
                subscriber.inherit(cache);
            }
            subscriber
        };
        for direct in &subscriber.direct {
            self.of_channel.entry(direct.slot).or_default().insert(id.to_owned());
        }
        for kind in &subscriber.collections {
            let collection = (subscriber.principal.tenant.clone(), *kind);
            self.of_collection.entry(collection).or_default().insert(id.to_owned());
        }
        self.by_id.insert(id.to_owned(), subscriber);
        self.ready.insert(id.to_owned());
    }

    /// Everyone who was there when the predecessor ended has been met.
    pub(crate) fn forget_inherited(&mut self) {
        self.inherited = HashSet::new();
    }

    fn unlist(&mut self, id: &str, subscriber: &Subscriber) {
        for direct in &subscriber.direct {
            remove(&mut self.of_channel, &direct.slot, id);
        }
        for kind in &subscriber.collections {
            remove(&mut self.of_collection, &(subscriber.principal.tenant.clone(), *kind), id);
        }
    }

    /// Somebody by the id of their connection.
    pub(crate) fn get(&self, id: &str) -> Option<&Subscriber> {
        self.by_id.get(id)
    }

    /// The ids after one and up to another one, that one included; from the first, and to the last, where there is none.
    pub(crate) fn ids<'a>(&'a self, after: Option<&str>, last: Option<&str>) -> impl Iterator<Item = &'a String> {
        let after = after.map_or(Bound::Unbounded, Bound::Excluded);
        let last = last.map_or(Bound::Unbounded, Bound::Included);
        self.by_id.range::<str, _>((after, last)).map(|(id, _)| id)
    }

    /// The ids of those who were there before that time.
    pub(crate) fn connected_before(&self, time: Timestamp) -> Vec<String> {
        let is_old = |(_, subscriber): &(&String, &Subscriber)| subscriber.connected_at <= time;
        self.by_id.iter().filter(is_old).map(|(id, _)| id.clone()).collect()
    }

    /// Whether nobody is there, nor anybody to be closed.
    pub(crate) fn is_empty(&self) -> bool {
        self.by_id.is_empty()
    }

    /// How many there are.
    pub(crate) fn len(&self) -> usize {
        self.by_id.len()
    }

    /// How many connections each tenant has.
    pub(crate) fn count(&self) -> BTreeMap<String, u64> {
        let mut count = BTreeMap::new();
        for subscriber in self.by_id.values() {
            *count.entry(subscriber.principal.tenant.to_string()).or_default() += 1;
        }
        count
    }

    /// The channels that somebody named.
    pub(crate) fn channels(&self) -> impl Iterator<Item = Slot> {
        self.of_channel.keys().copied()
    }

    /// Whether somebody named a channel.
    pub(crate) fn names(&self, slot: Slot) -> bool {
        self.of_channel.contains_key(&slot)
    }

    /// The collections that somebody watches, by tenant.
    pub(crate) fn collections(&self) -> impl Iterator<Item = &(TenantId, Kind)> {
        self.of_collection.keys()
    }

    /// The tenants of which somebody watches `system`.
    pub(crate) fn system_tenants(&self, cache: &ViewCache) -> HashSet<TenantId> {
        let keys = self.channels().map(|slot| &cache.view(slot).key);
        keys.filter(|(_, channel)| *channel == ChannelId::system()).map(|(tenant, _)| tenant.clone()).collect()
    }

    /// A channel has another view, or something is new in it: tells those who named it, and of its notices those that are
    /// for all to who watches its collection.
    pub(crate) fn note_change(&mut self, slot: Slot, cache: &ViewCache) {
        let view = cache.view(slot);
        for id in self.of_channel.get(&slot).into_iter().flatten() {
            if let Some(subscriber) = self.by_id.get_mut(id) {
                subscriber.hear(view.notices.iter());
                self.ready.insert(id.clone());
            }
        }
        let mut for_all = view.notices.iter().filter(|notice| notice.is_for_collection).peekable();
        if for_all.peek().is_none() {
            return;
        }
        let for_all: Vec<_> = for_all.collect();
        let collection = (view.key.0.clone(), view.key.1.kind());
        for id in self.of_collection.get(&collection).into_iter().flatten() {
            if let Some(subscriber) = self.by_id.get_mut(id).filter(|subscriber| !subscriber.names(slot)) {
                subscriber.hear(for_all.iter().copied());
                self.ready.insert(id.clone());
            }
        }
    }

    /// An overview shows something new of a collection.
    pub(crate) fn note_collection(&mut self, collection: &(TenantId, Kind)) {
        self.ready.extend(self.of_collection.get(collection).into_iter().flatten().cloned());
    }

    /// What each connection is to get `now`. Connections that are being posted to are left for later: the newest view wins,
    /// and nothing queues up but a few notices. Members of collections are due at overviews, and at any tick to who has not
    /// seen them yet.
    pub(crate) fn deliveries(
        &mut self,
        cache: &ViewCache,
        collections: &Collections,
        is_overview: bool,
        now: Timestamp,
    ) -> Vec<Delivery> {
        let mut deliveries = Vec::new();
        if is_overview {
            self.ready.append(&mut self.behind);
        }
        let (by_id, behind) = (&mut self.by_id, &mut self.behind);
        self.ready.retain(|id| {
            let Some(subscriber) = by_id.get_mut(id) else { return false };
            match subscriber.take(cache, collections, is_overview, now) {
                Taken::Nothing => false,
                Taken::Later => {
                    if is_overview && !subscriber.collections.is_empty() {
                        behind.insert(id.clone());
                    }
                    true
                }
                Taken::Messages(messages) => {
                    let (until, batches) = (subscriber.until.clone(), subscriber.batches);
                    deliveries.push(Delivery { connection: id.clone(), until, batches, messages });
                    // There may be more by the time that it is over.
                    true
                }
            }
        });
        deliveries
    }

    /// Notes what became of a delivery; true if the connection is gone for good and is to be deleted.
    pub(crate) fn note(&mut self, delivered: Delivered, cache: &mut ViewCache, now: Timestamp) -> bool {
        let id = delivered.connection.clone();
        if delivered.end.is_err() {
            self.behind.insert(id.clone());
        }
        let is_gone = self.by_id.get_mut(&id).is_some_and(|subscriber| subscriber.note(delivered, now));
        if is_gone {
            self.update(&id, None, cache);
        }
        is_gone
    }

    /// The connections that are to be closed `now`: their token has expired, or their access was ended. Those that are
    /// being posted to are left for the next tick, so that what they are told comes last.
    pub(crate) fn closings(&mut self, now: Timestamp) -> Vec<Closing> {
        self.by_id.iter_mut().filter_map(|(id, subscriber)| subscriber.closing(id, now)).collect()
    }

    /// Notes what an attempt to close a connection came to.
    pub(crate) fn note_closing(&mut self, closing: &Closing, outcome: Outcome, cache: &mut ViewCache, now: Timestamp) {
        if outcome == Outcome::Over {
            self.update(&closing.connection, None, cache);
        } else if let Some(subscriber) = self.by_id.get_mut(&closing.connection) {
            subscriber.note_closing(closing.stage, outcome, now);
            self.ready.insert(closing.connection.clone());
        }
    }

    /// Those who have got every view that is there for them, by [`handover::subscription`].
    pub(crate) fn up_to_date(&self, cache: &ViewCache, collections: &Collections) -> HashSet<u64> {
        let up_to_date = self.by_id.values().filter(|subscriber| subscriber.is_up_to_date(cache, collections));
        up_to_date.map(|subscriber| subscriber.subscription).collect()
    }
}

fn remove<K: Eq + std::hash::Hash>(index: &mut HashMap<K, BTreeSet<String>>, key: &K, id: &str) {
    if let Some(ids) = index.get_mut(key) {
        ids.remove(id);
        if ids.is_empty() {
            index.remove(key);
        }
    }
}

#[cfg(test)]
mod tests;
