//! The journal of channels: which of them records have moved.

use std::{collections::BTreeMap, num::NonZeroU32};

use projections::{ChannelId, Offset, TenantId, Timestamp};
use serde::{Deserialize, Serialize};

use crate::{
    Channels, SliceId, SliceKey, StoreError,
    journal::{self, Follower, News},
    keys,
};

/// The most moves in one entry, some 30 KB: ten thousand channels of one batch do not fit an item.
const MAX_MOVES: usize = 500;

/// A slice that records have moved, as its writer stored it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Moved {
    /// Whose channel.
    pub tenant: TenantId,
    /// Which channel.
    pub channel: ChannelId,
    /// Which slice of it.
    pub slice: SliceId,
    /// Up to where it is stored: who reads less has read too early.
    pub watermark: Offset,
    /// The time of the newest of the records, not later than their arrival.
    pub latest: Timestamp,
    /// What the directory says of the channel since.
    pub listing: ListingChange,
}

/// What became of a channel's entry in the directory.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum ListingChange {
    /// It is as it was.
    #[default]
    #[serde(rename = "-")]
    None,
    /// Its last activity is [`Moved::latest`] now.
    #[serde(rename = "a")]
    Activity,
    /// It may be new, or another name, status or place in the overview.
    #[serde(rename = "l")]
    Listing,
}

/// An entry: what one batch has moved of one topic. Most of a journal's cost is its length, so it is told as short as can
/// be read.
#[derive(Debug, Serialize, Deserialize)]
struct Entry {
    topic: String,
    epoch: u32,
    /// Tenant, channel, partition, watermark, milliseconds of the newest record, listing.
    moved: Vec<(TenantId, ChannelId, i32, Offset, i64, ListingChange)>,
    /// Kafka's time of the oldest record of the batch.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    oldest: Option<i64>,
}

impl Moved {
    /// Which slice of whose channel.
    #[must_use]
    pub fn key(&self) -> SliceKey {
        SliceKey { tenant: self.tenant.clone(), channel: self.channel.clone(), slice: self.slice.clone() }
    }
}

impl Channels {
    /// Over how many partitions the journal is spread, by tenant. Whoever reads it has to know.
    #[must_use]
    pub fn with_journal_buckets(mut self, buckets: NonZeroU32) -> Self {
        self.journal_buckets = buckets;
        self
    }

    /// The part of the journal that a tenant's channels are in.
    #[must_use]
    pub fn journal_bucket(&self, tenant: &TenantId) -> u32 {
        keys::part_of(tenant.as_str(), self.journal_buckets)
    }

    /// Enters what a batch has moved, after it is stored and before it is acknowledged: so what is missing in the journal
    /// comes again. `oldest` is Kafka's time of its oldest record.
    pub async fn journal(
        &self,
        moved: Vec<Moved>,
        oldest: Option<Timestamp>,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let mut topics: BTreeMap<(u32, String, u32), Vec<_>> = BTreeMap::new();
        for Moved { tenant, channel, slice: SliceId { epoch, topic, partition }, watermark, latest, listing } in moved {
            let place = (self.journal_bucket(&tenant), topic, epoch);
            let moved = (tenant, channel, partition, watermark, latest.as_millis(), listing);
            topics.entry(place).or_default().push(moved);
        }
        for ((bucket, topic, epoch), moved) in topics {
            for moved in moved.chunks(MAX_MOVES) {
                let oldest = oldest.map(Timestamp::as_millis);
                let entry = Entry { topic: topic.clone(), epoch, moved: moved.to_vec(), oldest };
                journal::append(&self.table, &keys::journal(bucket), &entry, now).await?;
            }
        }
        Ok(())
    }

    /// What records have moved in a part of the journal since `follower` read it last.
    pub async fn moves(&self, bucket: u32, follower: &mut Follower, now: Timestamp) -> Result<News<Moved>, StoreError> {
        let News { entries, is_complete } = journal::read(&self.table, &keys::journal(bucket), follower, now).await?;
        Ok(News { entries: entries.into_iter().flat_map(Entry::into_moves).collect(), is_complete })
    }
}

impl Entry {
    fn into_moves(self) -> impl Iterator<Item = Moved> {
        let Self { topic, epoch, moved, .. } = self;
        moved.into_iter().map(move |(tenant, channel, partition, watermark, latest, listing)| Moved {
            tenant,
            channel,
            slice: SliceId { epoch, topic: topic.clone(), partition },
            watermark,
            latest: Timestamp::from_millis(latest),
            listing,
        })
    }
}
