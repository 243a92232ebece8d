//! What the journal of channels says: which of them have moved, and which directories have changed.

use std::collections::{BTreeMap, HashMap, HashSet};

use projections::{TenantId, Timestamp};
use store::{Channels, Follower, ListingChange, Moved, StoreError};
use tracing::warn;

use crate::{
    members::{Collections, Members},
    view_cache::ViewCache,
};

/// Follows the parts of the channels' journal that its tenants are in.
#[derive(Default)]
pub(crate) struct ChannelJournal {
    followers: BTreeMap<u32, Follower>,
    /// The time of each tenant's latest record, by topic: as far as it has been read.
    latest: HashMap<TenantId, BTreeMap<String, Timestamp>>,
}

impl ChannelJournal {
    /// Reads what has moved by `now`, and notes it with the views and collections that it is about. Returns how many reads
    /// failed; what they would have found the next ones do.
    pub(crate) async fn read(
        &mut self,
        channels: &Channels,
        cache: &mut ViewCache,
        collections: &mut Collections,
        now: Timestamp,
    ) -> u64 {
        // A tenant's collection may have no member yet.
        let tenants = cache.tenants().into_iter().chain(collections.keys().map(|(tenant, _)| tenant));
        let buckets: HashSet<u32> = tenants.map(|tenant| channels.journal_bucket(tenant)).collect();
        self.followers.retain(|bucket, _| buckets.contains(bucket));
        let mut failed = 0;
        for bucket in buckets {
            let follower = self.followers.entry(bucket).or_insert_with(|| Follower::new(now));
            match channels.moves(bucket, follower, now).await {
                Ok(news) => {
                    if !news.is_complete {
                        cache.distrust();
                        collections.values_mut().for_each(Members::distrust);
                    }
                    for moved in news.entries {
                        self.note(moved, cache, collections);
                    }
                }
                Err(error) => {
                    warn!(bucket, %error, "the journal was not read; the next tick does");
                    failed += 1;
                }
            }
        }
        failed
    }

    fn note(&mut self, moved: Moved, cache: &mut ViewCache, collections: &mut Collections) {
        if let Some(topics) = self.latest.get_mut(&moved.tenant) {
            let latest = topics.entry(moved.slice.topic.clone()).or_default();
            *latest = moved.latest.max(*latest);
        }
        if let Some(members) = collections.get_mut(&(moved.tenant.clone(), moved.channel.kind())) {
            match moved.listing {
                ListingChange::None => {}
                ListingChange::Activity => members.note_activity(moved.latest),
                ListingChange::Listing => members.distrust(),
            }
        }
        cache.note_move(moved);
    }

    /// The time of a tenant's latest record by topic, read at first and from the journal since.
    pub(crate) async fn latest_records(
        &mut self,
        channels: &Channels,
        tenant: &TenantId,
    ) -> Result<&BTreeMap<String, Timestamp>, StoreError> {
        if !self.latest.contains_key(tenant) {
            self.latest.insert(tenant.clone(), channels.last_records(tenant).await?);
        }
        Ok(&self.latest[tenant])
    }

    /// Forgets the records of tenants that nobody asks about.
    pub(crate) fn retain(&mut self, tenants: &HashSet<TenantId>) {
        self.latest.retain(|tenant, _| tenants.contains(tenant));
    }
}
