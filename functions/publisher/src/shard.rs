//! One shard, and a tick of publishing to its connections.

use std::{
    collections::{BTreeMap, HashSet},
    time::Duration,
};

use futures_util::{StreamExt, stream};
use gateway::Post;
use projections::{ChannelId, Kind, TenantId, Timestamp, View, system::Pipeline};
use protocol::Cursor;
use runtime::metrics::Times;
use store::{Channels, Connections, Consistency, MAX_CONNECTION_AGE, StoreError};
use tracing::warn;
use views::{Publishers, Reader};

use crate::{
    channel_journal::ChannelJournal,
    channel_reads,
    handover::Handover,
    members::{Collections, Members},
    metrics::Tally,
    outbound::Outbound,
    registry::Registry,
    subscribers::Subscribers,
    view_cache::{Key, Slot, ViewCache},
};

/// Directories that are read at the same time.
const READS: usize = 64;

/// How often the publishers' leases and pulses are read, for `system`.
const PUBLISHERS_INTERVAL: Duration = Duration::from_secs(2);

/// How long the posts under way may take to finish when the work is handed over.
const SETTLE: Duration = Duration::from_secs(1);

/// What a shard is served with.
#[derive(Clone)]
pub(crate) struct Services<G> {
    /// Makes views.
    pub(crate) reader: Reader,
    /// Reads slices, history and the journal.
    pub(crate) channels: Channels,
    /// Knows the connections.
    pub(crate) connections: Connections,
    /// Posts to them, and closes them.
    pub(crate) gateway: G,
    /// How often collections and `system` are looked at.
    pub(crate) overview_interval: Duration,
    /// The time.
    pub(crate) clock: fn() -> Timestamp,
}

/// One shard while it is being served.
pub(crate) struct Shard<G> {
    number: u32,
    services: Services<G>,
    registry: Registry,
    subscribers: Subscribers,
    journal: ChannelJournal,
    cache: ViewCache,
    collections: Collections,
    /// Collections some member of which has another view since the last overview.
    stirred: HashSet<(TenantId, Kind)>,
    publishers: Option<(Timestamp, Publishers)>,
    overview_at: Timestamp,
    outbound: Outbound<G>,
}

impl<G: Post + Clone + Send + Sync + 'static> Shard<G> {
    /// A shard as a predecessor has left it.
    pub(crate) fn new(number: u32, services: Services<G>, left: Handover) -> Self {
        let now = (services.clock)();
        let mut cache = ViewCache::new(services.overview_interval);
        for published in left.channels {
            cache.restore(published, now);
        }
        Self {
            number,
            registry: Registry::new(number, services.connections.clone(), now),
            subscribers: Subscribers::new(left.up_to_date),
            journal: ChannelJournal::default(),
            cache,
            collections: Collections::new(),
            stirred: HashSet::new(),
            publishers: None,
            overview_at: Timestamp::default(),
            outbound: Outbound::new(services.gateway.clone(), services.connections.clone(), services.clock),
            services,
        }
    }

    /// Looks who watches what, and what of it has changed; tells whether this was an overview. To be followed by
    /// [`Self::post`], where the lease still holds then. What could not be read is read by the next tick; an error says that
    /// who watches is not known at all.
    pub(crate) async fn read(&mut self, now: Timestamp) -> Result<bool, StoreError> {
        let spared = self.outbound.collect(&mut self.subscribers, &mut self.cache, now);
        self.registry.distrust(spared);
        let is_overview = now >= self.overview_at;
        let mut is_changed = match self.registry.read(&mut self.subscribers, &mut self.cache, now).await {
            Ok(is_changed) => is_changed,
            Err(error) => {
                self.outbound.note_failed_reads(1);
                if self.registry.is_blind(now) {
                    return Err(error);
                }
                warn!(shard = self.number, %error, "the connections were not read; the next tick does");
                false
            }
        };
        if is_changed {
            self.note_watched(now);
        }
        let failed = self.journal.read(&self.services.channels, &mut self.cache, &mut self.collections, now).await;
        self.outbound.note_failed_reads(failed);
        if is_overview {
            self.overview_at = now.plus(self.services.overview_interval);
            for id in self.subscribers.connected_before(now.minus(MAX_CONNECTION_AGE)) {
                self.subscribers.update(&id, None, &mut self.cache);
                is_changed = true;
            }
            if self.read_collections(now).await || is_changed {
                self.note_watched(now);
            }
        }
        self.read_channels(is_overview, now).await;
        if is_overview {
            self.make_systems(now).await;
            for collection in std::mem::take(&mut self.stirred) {
                self.subscribers.note_collection(&collection);
            }
        }
        Ok(is_overview)
    }

    /// Closes the connections that end, and sends everyone else what they have not got. This goes on when it returns. To
    /// be preceded by [`Self::read`]: a token that was renewed by then has not expired.
    pub(crate) fn post(&mut self, is_overview: bool, now: Timestamp) {
        for closing in self.subscribers.closings(now) {
            self.outbound.close(closing);
        }
        self.send(is_overview, now);
        if is_overview {
            self.collections.values_mut().for_each(Members::note_overview);
        }
    }

    fn send(&mut self, is_overview: bool, now: Timestamp) {
        for delivery in self.subscribers.deliveries(&self.cache, &self.collections, is_overview, now) {
            self.outbound.send(delivery);
        }
    }

    /// Whether nobody watches, and nobody is left to be closed.
    pub(crate) fn is_empty(&self) -> bool {
        self.subscribers.is_empty()
    }

    /// How many connections each tenant has; nothing where that is not known, or was read too long ago.
    pub(crate) fn connections(&self, now: Timestamp) -> Option<BTreeMap<String, u64>> {
        (!self.registry.is_blind(now)).then(|| self.subscribers.count())
    }

    /// Finishes: what waited for a connection that was busy is posted too. When this returns nothing is posted any more.
    pub(crate) async fn settle(&mut self, now: Timestamp) {
        let finished = async {
            for _ in 0..2 {
                self.outbound.finish(&mut self.subscribers, &mut self.cache, now).await;
                self.send(false, now);
            }
            self.outbound.finish(&mut self.subscribers, &mut self.cache, now).await;
        };
        let _ = tokio::time::timeout(SETTLE, finished).await;
        self.stop().await;
    }

    /// Posts nothing more, at once: another publisher may be at work.
    pub(crate) async fn stop(&mut self) {
        self.outbound.stop(self.number).await;
    }

    /// What has become of posts and closes since this was asked last, and how long views had been due that arrived.
    pub(crate) fn take_tally(&mut self) -> (Tally, Times) {
        self.outbound.take_tally()
    }

    /// What the next publisher has to know.
    pub(crate) fn handover(&self, now: Timestamp) -> Handover {
        let members = self.collections.values().flat_map(Members::slots).collect();
        Handover {
            saved_at: now,
            channels: self.cache.published(&members, now).collect(),
            up_to_date: self.subscribers.up_to_date(&self.cache, &self.collections),
        }
    }

    /// Tells the cache what is watched: what somebody named, and the members of the collections.
    fn note_watched(&mut self, now: Timestamp) {
        let named = self.subscribers.channels();
        let watched = named.chain(self.collections.values().flat_map(Members::slots)).collect();
        self.cache.watch(watched, now);
    }

    /// Reads the directories that have changed; true if members have.
    async fn read_collections(&mut self, now: Timestamp) -> bool {
        let mut wanted: HashSet<_> = self.subscribers.collections().cloned().collect();
        let systems = self.subscribers.system_tenants(&self.cache);
        wanted.extend(systems.into_iter().map(|tenant| (tenant, Kind::Campaign)));
        let mut is_changed = self.collections.len();
        self.collections.retain(|collection, _| wanted.contains(collection));
        is_changed -= self.collections.len();
        let is_due =
            |collection: &(TenantId, Kind)| self.collections.get(collection).is_none_or(|members| members.is_due(now));
        let due: Vec<_> = wanted.into_iter().filter(is_due).collect();
        let reader = &self.services.reader;
        let mut reads = stream::iter(due)
            .map(async |(tenant, kind)| {
                let active = reader.active(&tenant, kind, Consistency::Strong, now).await;
                (tenant, kind, active)
            })
            .buffer_unordered(READS);
        while let Some((tenant, kind, active)) = reads.next().await {
            match active {
                Ok(active) => {
                    let slot = |channel| self.cache.slot(&(tenant.clone(), channel));
                    let slots = active.channels.into_iter().map(slot).collect();
                    // Whom a predecessor has shown has to be seen leaving.
                    let inherited = || Members::inherited(self.cache.inherited_members(&tenant, kind));
                    let collection = (tenant.clone(), kind);
                    let members = self.collections.entry(collection.clone()).or_insert_with(inherited);
                    members.replace(slots, active.latest, now);
                    self.stirred.insert(collection);
                    is_changed += 1;
                }
                Err(error) => {
                    self.outbound.note_failed_reads(1);
                    warn!(shard = self.number, %error, "a directory could not be read; the next overview will");
                }
            }
        }
        is_changed > 0
    }

    /// Reads what has moved and is watched, and makes anew what the clock has changed; who only watches collections is told
    /// at overviews.
    async fn read_channels(&mut self, is_overview: bool, now: Timestamp) {
        let subscribers = &self.subscribers;
        let is_prompt = |slot: Slot, (_, channel): &Key| *channel != ChannelId::system() && subscribers.names(slot);
        let slots = self.cache.take_due(now, |slot, key| is_overview || is_prompt(slot, key));
        let (found, failed) = channel_reads::read(&self.services.channels, &mut self.cache, slots, now).await;
        self.outbound.note_failed_reads(failed);
        let mut changed = Vec::new();
        for read in found {
            let slot = read.slot;
            if self.cache.view(slot).key.1 == ChannelId::system() {
                self.cache.view_mut(slot).take_in(read.state);
            } else {
                self.cache.refresh(slot, read.state, read.news, now);
                changed.push(slot);
            }
        }
        changed.extend(self.cache.fade(now));
        for slot in changed {
            self.note_change(slot);
        }
    }

    /// Tells who watches a channel that there is something new, and forgets its notices: they are told once.
    fn note_change(&mut self, slot: Slot) {
        self.subscribers.note_change(slot, &self.cache);
        let view = self.cache.view_mut(slot);
        view.notices.clear();
        self.stirred.insert((view.key.0.clone(), view.key.1.kind()));
    }

    async fn make_systems(&mut self, now: Timestamp) {
        let tenants = self.subscribers.system_tenants(&self.cache);
        self.journal.retain(&tenants);
        if tenants.is_empty() {
            return;
        }
        self.read_publishers(now).await;
        let Some((_, publishers)) = &self.publishers else { return };
        let mut changed = Vec::new();
        for tenant in tenants {
            match self.journal.latest_records(&self.services.channels, &tenant).await {
                Ok(latest) => {
                    let pipeline = publishers.pipeline(&tenant, latest, now);
                    let key = (tenant, ChannelId::system());
                    let slot = self.cache.slot(&key);
                    // Where a part has never been read there would be less in it than there is.
                    if self.cache.is_due(slot) || self.lacks_members(&key.0) {
                        continue;
                    }
                    let (view, cursor) = system_view(&self.cache, &self.collections, &key, slot, pipeline, now);
                    if self.cache.view_mut(slot).refresh_system(&view, cursor, now) {
                        changed.push(slot);
                    }
                }
                Err(error) => {
                    self.outbound.note_failed_reads(1);
                    warn!(shard = self.number, %error, "system health could not be read; the next overview will");
                }
            }
        }
        for slot in changed {
            self.note_change(slot);
        }
    }

    /// Whether a campaign of a tenant's has never been read.
    fn lacks_members(&self, tenant: &TenantId) -> bool {
        let members = self.collections.get(&(tenant.clone(), Kind::Campaign));
        members.is_none_or(|all| all.active.iter().any(|slot| self.cache.view(*slot).posted().is_none()))
    }

    /// Reads how the publishers go: once for all tenants.
    async fn read_publishers(&mut self, now: Timestamp) {
        if self.publishers.as_ref().is_some_and(|(read_at, _)| now.since(*read_at) < PUBLISHERS_INTERVAL) {
            return;
        }
        match self.services.reader.publishers().await {
            Ok(publishers) => self.publishers = Some((now, publishers)),
            Err(error) => {
                self.outbound.note_failed_reads(1);
                warn!(shard = self.number, %error, "the leases could not be read; the next overview will");
            }
        }
    }
}

/// The health of a tenant's nodes together with the totals over its campaigns.
fn system_view(
    cache: &ViewCache,
    collections: &Collections,
    (tenant, channel): &Key,
    slot: Slot,
    pipeline: Pipeline,
    now: Timestamp,
) -> (View, Cursor) {
    let nodes = &cache.view(slot).state;
    let members = collections.get(&(tenant.clone(), Kind::Campaign));
    let campaigns: Vec<_> = members.iter().flat_map(|all| &all.active).map(|slot| cache.view(*slot)).collect();
    let views = campaigns.iter().map(|campaign| campaign.state.view(&campaign.key.1, now));
    let view = views::complete(nodes.view(channel, now), views, pipeline);
    let states = campaigns.iter().map(|campaign| &campaign.state).chain([nodes]);
    (view, views::cursor_over(states, members.map(|all| all.latest).unwrap_or_default()))
}
