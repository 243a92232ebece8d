//! What came in each minute, hour or day of a channel, and how things stood at its end.

use std::{collections::BTreeMap, time::Duration};

use futures_util::{StreamExt, TryStreamExt, stream};
use projections::{ChannelId, Counts, Slice, TenantId, Timestamp, window::Minute};
use serde::Serialize;
use serde_json::{Map, Value};
use store::{Channels, Consistency, Resolution, SliceId, SliceKey, StoreError, StoredWindow, visible};

use crate::{ChannelState, Reader, Rendered};

/// Slices that are read at the same time.
const READ_AHEAD: usize = 8;

/// A span of time in steps. Each begins where the one before ends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Span {
    /// As it is called.
    pub step: &'static str,
    /// Of what resolution the steps are made.
    pub resolution: Resolution,
    /// When each step begins, and when the last one ends.
    pub edges: Vec<Timestamp>,
}

/// A step of a span.
#[derive(Debug, Serialize)]
struct Point {
    at: Timestamp,
    values: Map<String, Value>,
}

#[derive(Serialize)]
struct Body<'a> {
    channel: &'a ChannelId,
    from: Timestamp,
    to: Timestamp,
    step: &'static str,
    points: Vec<Point>,
}

impl Reader {
    /// What came in each step of a span. Steps before the first of which anything is known, and those that have not begun
    /// `now`, have no point.
    pub async fn history(
        &self,
        tenant: &TenantId,
        channel: &ChannelId,
        span: &Span,
        now: Timestamp,
    ) -> Result<Rendered, StoreError> {
        let mut state = ChannelState::default();
        state.update(self.channels().slices(tenant, channel, Consistency::Strong, now).await?);
        let key = |slice: &SliceId| SliceKey { tenant: tenant.clone(), channel: channel.clone(), slice: slice.clone() };
        let slices: Vec<_> = state.slices().map(|(id, slice)| (key(id), slice.clone())).collect();
        let reads =
            slices.into_iter().map(|(key, slice)| async move { read(self.channels(), &key, &slice, span, now).await });
        let slices: Vec<_> = stream::iter(reads).buffered(READ_AHEAD).try_collect().await?;
        let points = sum(&slices, span, now);
        let (from, to) = (span.edges.first().copied(), span.edges.last().copied());
        let body =
            Body { channel, from: from.unwrap_or_default(), to: to.unwrap_or_default(), step: span.step, points };
        Ok(crate::reader::render(channel, state.is_known(), state.cursor(), &body, 0))
    }
}

/// What a slice counted in each step; nothing before the first of which it knows anything.
async fn read(
    channels: &Channels,
    key: &SliceKey,
    slice: &Slice,
    span: &Span,
    now: Timestamp,
) -> Result<Vec<Option<Counts>>, StoreError> {
    let [from, .., to] = span.edges[..] else { return Ok(Vec::new()) };
    let before = channels.window_before(key, span.resolution, from, now).await?;
    let mut items = channels.windows(key, span.resolution, from, to, now).await?;
    items.extend(before);
    let parts = parts(channels, key, slice, span.resolution, &items, now).await?;
    // How things stood before, by the newest that is known of it.
    let mut standing = parts.range(..Minute::of(from)).next_back().map(|(_, counts)| counts.carried());
    let mut steps = Vec::new();
    for edges in span.edges.windows(2) {
        let mut counts = standing.clone();
        for (_, part) in parts.range(Minute::of(edges[0])..Minute::of(edges[1])) {
            counts.get_or_insert_with(|| key.channel.kind().no_counts()).follow(part);
        }
        standing = counts.as_ref().map(Counts::carried);
        steps.push(counts);
    }
    Ok(steps)
}

/// What a slice counted, by the minute that each part of a window begins with.
async fn parts(
    channels: &Channels,
    key: &SliceKey,
    slice: &Slice,
    resolution: Resolution,
    items: &BTreeMap<Minute, StoredWindow>,
    now: Timestamp,
) -> Result<BTreeMap<Minute, Counts>, StoreError> {
    let mut seen = visible(resolution, slice, items);
    for hour in seen.overtaken {
        let (from, to) = (hour.start(), hour.start().plus(Duration::from_hours(1)));
        let minutes = channels.windows(key, Resolution::Minute, from, to, now).await?;
        seen.counts.retain(|part, _| !(from..to).contains(&part.start()));
        let minutes = visible(Resolution::Minute, slice, &minutes).counts;
        for (minute, counts) in minutes.range(hour..Minute::of(to)) {
            let part = Minute(minute.0.div_euclid(15) * 15);
            seen.counts.entry(part).or_insert_with(|| slice.kind().no_counts()).follow(counts);
        }
    }
    Ok(seen.counts)
}

/// All slices together.
fn sum(slices: &[Vec<Option<Counts>>], span: &Span, now: Timestamp) -> Vec<Point> {
    let mut points = Vec::new();
    for (step, edges) in span.edges.windows(2).enumerate().filter(|(_, edges)| edges[0] <= now) {
        let known = slices.iter().filter_map(|slice| slice.get(step)?.as_ref());
        let merged = known.cloned().reduce(|mut sum, counts| {
            sum.merge(&counts);
            sum
        });
        points.extend(merged.map(|counts| Point { at: edges[0], values: counts.values(edges[1].since(edges[0])) }));
    }
    points
}
