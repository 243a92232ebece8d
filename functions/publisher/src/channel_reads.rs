//! Reading channels: as cheaply as will do, and never less than a journal says is there.

use futures_util::{StreamExt, stream};
use projections::{HistoryEntry, Timestamp};
use store::{Consistency, StoreError};
use tracing::warn;
use views::{ChannelState, ChannelStore, Known};

use crate::{
    cached_view::CachedView,
    view_cache::{Expected, Key, Slot, ViewCache},
};

/// Channels that are read at the same time.
const READS: usize = 64;

/// A channel as it has been read.
pub(crate) struct ChannelRead {
    /// Where it is in the cache.
    pub(crate) slot: Slot,
    /// Its slices, further than they were.
    pub(crate) state: ChannelState,
    /// What has happened since it was told of last.
    pub(crate) news: Vec<HistoryEntry>,
}

/// Reads these channels; one that cannot be read is due again, and counted.
pub(crate) async fn read(
    channels: &impl ChannelStore,
    cache: &mut ViewCache,
    slots: Vec<Slot>,
    now: Timestamp,
) -> (Vec<ChannelRead>, u64) {
    let asked: Vec<_> = slots
        .into_iter()
        .map(|slot| {
            let view = cache.view(slot);
            (slot, view.key.clone(), view.state.clone(), view.told.clone(), view.expected())
        })
        .collect();
    let mut reads = stream::iter(asked)
        .map(async |(slot, key, state, told, expected)| {
            let read = read_channel(channels, &key, state, told, &expected, now).await;
            (slot, expected, read)
        })
        .buffer_unordered(READS);
    let (mut found, mut failed) = (Vec::new(), 0);
    while let Some((slot, expected, read)) = reads.next().await {
        match read {
            Ok((state, news)) => {
                cache.view_mut(slot).expect_no_longer(&expected);
                found.push(ChannelRead { slot, state, news });
            }
            Err(error) => {
                warn!(%error, "a channel was not read; the next tick does");
                failed += 1;
                cache.put_back(slot);
            }
        }
    }
    (found, failed)
}

/// A channel's state, further than it was and at least as far as `expected`, and what has happened since it was `told` of.
async fn read_channel(
    channels: &impl ChannelStore,
    (tenant, channel): &Key,
    mut state: ChannelState,
    told: Option<Known>,
    expected: &Expected,
    now: Timestamp,
) -> Result<(ChannelState, Vec<HistoryEntry>), StoreError> {
    let mut consistency = Consistency::Eventual;
    state.update(channels.slices(tenant, channel, consistency, now).await?);
    if CachedView::is_behind(&state, expected) {
        consistency = Consistency::Strong;
        state.update(channels.slices(tenant, channel, consistency, now).await?);
    }
    state.read_recent(channels, tenant, channel, consistency, now).await?;
    let news = match told {
        Some(told) => state.news(channels, tenant, channel, &told, now).await?,
        None => Vec::new(),
    };
    Ok((state, news))
}

#[cfg(test)]
mod tests;
