//! A channel's slices, as far as they have been read.

use std::{collections::BTreeMap, future::Future};

use projections::{ChannelId, HistoryEntry, Offset, Slice, TenantId, Timestamp, View, history::Tail, kind};
use protocol::Cursor;
use store::{Channels, Consistency, History, HistoryRange, SliceId, SliceKey, StoreError};

/// The most entries of a slice that are read at once as news: an hour's backlog of a campaign. Of more the newest are told.
const MAX_NEWS: usize = 20_000;

/// The slices of one channel, and of their history what its view is made of. What was read once never goes back, whatever
/// a later, eventually consistent read says.
#[derive(Clone, Debug, Default)]
pub struct ChannelState {
    slices: BTreeMap<SliceId, Slice>,
    recent: BTreeMap<SliceId, Recent>,
}

/// The newest entries of a slice's history.
#[derive(Clone, Debug, Default)]
struct Recent {
    through: Tail,
    /// Oldest first.
    entries: Vec<HistoryEntry>,
}

/// Up to where somebody knows the history of each slice. It is named as in cursors.
pub type Known = BTreeMap<String, Tail>;

/// Where channels are read. [`Channels`] is the real place; tests put one in between that lags.
pub trait ChannelStore {
    /// [`Channels::slices`].
    fn slices(
        &self,
        tenant: &TenantId,
        channel: &ChannelId,
        consistency: Consistency,
        now: Timestamp,
    ) -> impl Future<Output = Result<Vec<(SliceId, Slice)>, StoreError>> + Send;

    /// [`Channels::history`].
    fn history(
        &self,
        key: &SliceKey,
        range: HistoryRange,
        consistency: Consistency,
        now: Timestamp,
    ) -> impl Future<Output = Result<History, StoreError>> + Send;
}

impl ChannelStore for Channels {
    async fn slices(
        &self,
        tenant: &TenantId,
        channel: &ChannelId,
        consistency: Consistency,
        now: Timestamp,
    ) -> Result<Vec<(SliceId, Slice)>, StoreError> {
        self.slices(tenant, channel, consistency, now).await
    }

    async fn history(
        &self,
        key: &SliceKey,
        range: HistoryRange,
        consistency: Consistency,
        now: Timestamp,
    ) -> Result<History, StoreError> {
        self.history(key, range, consistency, now).await
    }
}

impl ChannelState {
    /// Takes in a read: of each slice the one that has come further stays.
    pub fn update(&mut self, read: impl IntoIterator<Item = (SliceId, Slice)>) {
        for (id, slice) in read {
            let is_older = self.slices.get(&id).is_some_and(|known: &Slice| known.watermark() > slice.watermark());
            if !is_older {
                self.slices.insert(id, slice);
            }
        }
    }

    /// Reads what of the channel's history its view needs and is not in hand.
    pub async fn read_recent(
        &mut self,
        channels: &impl ChannelStore,
        tenant: &TenantId,
        channel: &ChannelId,
        consistency: Consistency,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let shown = channel.kind().shown_entries();
        if shown == 0 {
            return Ok(());
        }
        for (id, slice) in &self.slices {
            let known = self.recent.get(id).map(|recent| recent.through).unwrap_or_default();
            let through = slice.history();
            if through.total == known.total {
                continue;
            }
            let range = HistoryRange { through, after: known.last.map(|chunk| chunk.last), limit: shown };
            let history = channels.history(&key(tenant, channel, id), range, consistency, now).await?;
            remember(&mut self.recent, id, through, history.entries, shown);
        }
        Ok(())
    }

    /// Takes in what has happened since, up to where the slice's history goes, as [`Self::read_recent`] does.
    pub fn remember(&mut self, id: &SliceId, entries: Vec<HistoryEntry>) {
        if let Some(slice) = self.slices.get(id) {
            remember(&mut self.recent, id, slice.history(), entries, slice.kind().shown_entries());
        }
    }

    /// Reads what has happened since, oldest first within a slice. Of a slice that is not `known` all that has happened is
    /// old.
    pub async fn news(
        &self,
        channels: &impl ChannelStore,
        tenant: &TenantId,
        channel: &ChannelId,
        known: &Known,
        now: Timestamp,
    ) -> Result<Vec<HistoryEntry>, StoreError> {
        let mut news = Vec::new();
        for (id, slice) in &self.slices {
            let through = slice.history();
            let known = known.get(&id.name()).copied().unwrap_or_default();
            if through.total <= known.total {
                continue;
            }
            let range = HistoryRange { through, after: known.last.map(|chunk| chunk.last), limit: MAX_NEWS };
            let history = channels.history(&key(tenant, channel, id), range, Consistency::Eventual, now).await?;
            news.extend(history.entries);
        }
        Ok(news)
    }

    /// Up to where the history of each slice goes.
    #[must_use]
    pub fn history(&self) -> Known {
        self.slices.iter().map(|(id, slice)| (id.name(), slice.history())).collect()
    }

    /// Up to where a slice has been read; nothing where it was not found.
    #[must_use]
    pub fn watermark(&self, slice: &SliceId) -> Option<Offset> {
        self.slices.get(slice).and_then(Slice::watermark)
    }

    /// The latest time of any record that it is made of; nothing where there is none.
    #[must_use]
    pub fn event_time(&self) -> Option<Timestamp> {
        self.slices.values().filter_map(Slice::event_time).max()
    }

    /// Whether any record has ever touched the channel.
    #[must_use]
    pub fn is_known(&self) -> bool {
        !self.slices.is_empty()
    }

    /// How far this view of the channel has come.
    #[must_use]
    pub fn cursor(&self) -> Cursor {
        let names: Vec<(String, i64)> =
            self.slices.iter().filter_map(|(id, slice)| Some((id.name(), slice.watermark()?))).collect();
        Cursor::of(names.iter().map(|(name, watermark)| (name.as_str(), *watermark)))
    }

    /// What the channel looks like `now`.
    #[must_use]
    pub fn view(&self, channel: &ChannelId, now: Timestamp) -> View {
        let recent = self.recent.values().flat_map(|recent| &recent.entries);
        kind::view(channel, self.slices.values(), recent, now)
    }

    /// The slices.
    pub fn slices(&self) -> impl Iterator<Item = (&SliceId, &Slice)> {
        self.slices.iter()
    }
}

fn remember(
    recent: &mut BTreeMap<SliceId, Recent>,
    id: &SliceId,
    through: Tail,
    entries: Vec<HistoryEntry>,
    shown: usize,
) {
    let recent = recent.entry(id.clone()).or_default();
    recent.through = through;
    recent.entries.extend(entries);
    recent.entries.drain(..recent.entries.len().saturating_sub(shown));
}

fn key(tenant: &TenantId, channel: &ChannelId, slice: &SliceId) -> SliceKey {
    SliceKey { tenant: tenant.clone(), channel: channel.clone(), slice: slice.clone() }
}
