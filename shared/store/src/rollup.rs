//! Adding what commits have closed to the items of windows of time, each record once.
//!
//! A slice remembers what the commit at its watermark has closed, until the next commit. By then it has to be in the items:
//! whoever commits next sees to that first, who committed it does so at once.

use std::collections::BTreeMap;

use futures_util::{TryStreamExt, stream};
use projections::{Counts, Offset, Slice, Timestamp};

use crate::{
    CommitError, SliceKey, SliceTable, StoreError,
    windows::{Resolution, StoredWindow, WindowId},
};

/// Windows that are written at the same time.
const AT_ONCE: usize = 16;

/// How often an item is tried again because another writer came first. All of them add the same, so that who loses a round
/// mostly finds everything done.
const MAX_ROUNDS: usize = 8;

/// What a commit has closed, by the windows that it lies in.
type Parts = BTreeMap<WindowId, BTreeMap<u8, Counts>>;

/// Adds to its windows' items what the commit at a slice's watermark has closed. Once this is `Ok` they have it.
pub(crate) async fn roll_up<T: SliceTable>(
    table: &T,
    key: &SliceKey,
    slice: &Slice,
    now: Timestamp,
) -> Result<(), CommitError> {
    let Some(through) = slice.watermark().filter(|_| slice.closed_len() > 0) else { return Ok(()) };
    let additions = parts(slice, now).into_iter().map(|(window, parts)| {
        // What has to be kept no longer is not counted any more.
        Ok(add(table, key, window, parts, through, now))
    });
    stream::iter(additions).try_for_each_concurrent(AT_ONCE, |added| added).await
}

fn parts(slice: &Slice, now: Timestamp) -> Parts {
    let mut all = Parts::new();
    for (minute, counts) in slice.closed() {
        for resolution in Resolution::ALL {
            let (window, part) = WindowId::of(resolution, minute);
            if window.is_kept(now) {
                let parts = all.entry(window).or_default();
                parts.entry(part).or_insert_with(|| slice.kind().no_counts()).follow(&counts);
            }
        }
    }
    all
}

async fn add<T: SliceTable>(
    table: &T,
    key: &SliceKey,
    window: WindowId,
    parts: BTreeMap<u8, Counts>,
    through: Offset,
    now: Timestamp,
) -> Result<(), CommitError> {
    for _ in 0..MAX_ROUNDS {
        let found = table.read_window(key, window, now).await?;
        let expected = found.as_ref().map(|found| found.through);
        if expected >= Some(through) {
            return Ok(());
        }
        let mut sum = StoredWindow { through, ..found.unwrap_or_default() };
        sum.through = through;
        for (part, counts) in &parts {
            sum.parts.entry(*part).or_insert_with(|| key.channel.kind().no_counts()).follow(counts);
        }
        if table.write_window_if(key, window, &sum, expected, now).await? {
            return Ok(());
        }
    }
    Err(CommitError::Store(StoreError::Unavailable("a window of time is written by others".into())))
}
