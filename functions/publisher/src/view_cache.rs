//! The views of the channels that are watched: made once, whoever gets them, and again when records have moved a channel
//! or the clock alone changes it.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap, HashSet},
    time::Duration,
};

use projections::{ChannelId, HistoryEntry, Kind, Offset, TenantId, Timestamp};
use sha2::{Digest, Sha256};
use store::{Moved, SliceId};
use views::{ChannelState, Known};

use crate::{
    cached_view::{CachedView, Fingerprints},
    handover::PublishedView,
};

/// Every channel that is watched is read again after this long, though no journal says that it has moved: a lost entry
/// costs a minute, and never a number.
pub(crate) const SWEEP: Duration = Duration::from_mins(1);

/// How often views are made anew that change by the clock alone.
const FADE_INTERVAL: Duration = Duration::from_millis(500);

/// What nobody has watched for this long is old to whoever comes next, and not left to a successor.
const FORGOTTEN_AFTER: Duration = Duration::from_secs(10);

/// A channel of a tenant.
pub(crate) type Key = (TenantId, ChannelId);

/// Where a channel is in the cache. Slots are not given up: a cache lives as long as one invocation, and its successor
/// starts with the channels that were watched last.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Slot(u32);

/// All channels that somebody has watched during this invocation.
pub(crate) struct ViewCache {
    forgotten_after: Duration,
    slots: HashMap<Key, Slot>,
    views: Vec<CachedView>,
    watched: HashSet<Slot>,
    /// What is to be read: it has moved, is new here, or could not be read.
    due: HashSet<Slot>,
    /// What is watched, by when it is read though it has not moved.
    sweep: BTreeSet<(Timestamp, Slot)>,
    /// What the clock alone may change.
    fading: HashSet<Slot>,
    fades_at: Timestamp,
}

impl ViewCache {
    /// An empty cache, of which some channels are read at every overview only.
    pub(crate) fn new(overview_interval: Duration) -> Self {
        Self {
            forgotten_after: FORGOTTEN_AFTER.max(overview_interval * 3),
            slots: HashMap::new(),
            views: Vec::new(),
            watched: HashSet::new(),
            due: HashSet::new(),
            sweep: BTreeSet::new(),
            fading: HashSet::new(),
            fades_at: Timestamp::EPOCH,
        }
    }

    /// The slot of a channel; made if it has none.
    pub(crate) fn slot(&mut self, key: &Key) -> Slot {
        if let Some(slot) = self.slots.get(key) {
            return *slot;
        }
        #[expect(clippy::cast_possible_truncation, reason = "memory ends long before four billion channels")]
        let slot = Slot(self.views.len() as u32);
        self.views.push(CachedView::new(key.clone()));
        self.slots.insert(key.clone(), slot);
        slot
    }

    /// The channel in a slot.
    pub(crate) fn view(&self, slot: Slot) -> &CachedView {
        &self.views[slot.0 as usize]
    }

    /// The channel in a slot, to be changed.
    pub(crate) fn view_mut(&mut self, slot: Slot) -> &mut CachedView {
        &mut self.views[slot.0 as usize]
    }

    /// Takes in which channels somebody watches from `now` on. Those that nobody watched before are due.
    pub(crate) fn watch(&mut self, watched: HashSet<Slot>, now: Timestamp) {
        let before = std::mem::replace(&mut self.watched, watched);
        for slot in before.difference(&self.watched) {
            self.views[slot.0 as usize].left_at = Some(now);
            self.due.remove(slot);
        }
        let new: Vec<Slot> = self.watched.difference(&before).copied().collect();
        for slot in new {
            let forgotten_after = self.forgotten_after;
            self.view_mut(slot).return_to_watch(forgotten_after, now);
            self.due.insert(slot);
            let first = now.plus(phase(&self.view(slot).key));
            self.schedule_sweep(slot, first);
        }
    }

    fn schedule_sweep(&mut self, slot: Slot, at: Timestamp) {
        self.view_mut(slot).sweep_at = at;
        self.sweep.insert((at, slot));
    }

    /// The tenants some channel of whom is watched.
    pub(crate) fn tenants(&self) -> HashSet<&TenantId> {
        self.watched.iter().map(|slot| &self.view(*slot).key.0).collect()
    }

    /// Notes that records have moved a channel. One that nobody watches is none of ours.
    pub(crate) fn note_move(&mut self, moved: Moved) {
        let Moved { tenant, channel, slice, watermark, .. } = moved;
        let Some(slot) = self.slots.get(&(tenant, channel)).copied().filter(|slot| self.watched.contains(slot)) else {
            return;
        };
        if self.view_mut(slot).expect(slice, watermark) {
            self.due.insert(slot);
        }
    }

    /// Anything may have moved.
    pub(crate) fn distrust(&mut self) {
        self.due.extend(&self.watched);
    }

    /// Takes those of the channels that are due `now` that this holds for; the others stay due.
    pub(crate) fn take_due(&mut self, now: Timestamp, is_wanted: impl Fn(Slot, &Key) -> bool) -> Vec<Slot> {
        while let Some((at, slot)) = self.sweep.first().copied().filter(|(at, _)| *at <= now) {
            self.sweep.pop_first();
            // Of a channel that was left and watched again meanwhile, the turn that it had before does not count.
            if self.watched.contains(&slot) && self.view(slot).sweep_at == at {
                self.due.insert(slot);
                self.schedule_sweep(slot, now.plus(SWEEP));
            }
        }
        let due: Vec<Slot> = self.due.iter().copied().filter(|slot| is_wanted(*slot, &self.view(*slot).key)).collect();
        for slot in &due {
            self.due.remove(slot);
        }
        due
    }

    /// Whether a channel has not been read as far as it has moved.
    pub(crate) fn is_due(&self, slot: Slot) -> bool {
        self.due.contains(&slot)
    }

    /// A channel could not be read; the next tick does.
    pub(crate) fn put_back(&mut self, slot: Slot) {
        if self.watched.contains(&slot) {
            self.due.insert(slot);
        }
    }

    /// Takes in a channel's state as read `now` and what has happened in it since it was told of last, and makes its view and
    /// its notices anew.
    pub(crate) fn refresh(&mut self, slot: Slot, state: ChannelState, news: Vec<HistoryEntry>, now: Timestamp) {
        let view = self.view_mut(slot);
        view.refresh(state, news, now);
        if view.fades_until().is_some_and(|until| now < until) {
            self.fading.insert(slot);
        }
    }

    /// Makes those views anew that the clock alone may have changed, where it is time for that; which have changed.
    pub(crate) fn fade(&mut self, now: Timestamp) -> Vec<Slot> {
        if now < self.fades_at {
            return Vec::new();
        }
        self.fades_at = now.plus(FADE_INTERVAL);
        let mut changed = Vec::new();
        let (views, watched) = (&mut self.views, &self.watched);
        self.fading.retain(|slot| {
            let view = &mut views[slot.0 as usize];
            if !watched.contains(slot) {
                return false;
            }
            if view.fade(now) {
                changed.push(*slot);
            }
            view.fades_until().is_some_and(|until| now < until)
        });
        changed
    }

    /// Takes over what a predecessor has published of a channel.
    pub(crate) fn restore(&mut self, published: PublishedView, now: Timestamp) {
        let slot = self.slot(&(published.tenant, published.channel));
        let view = self.view_mut(slot);
        view.inherited = Some(published.fingerprints);
        view.told = Some(published.told);
        view.was_member = published.is_member;
        view.left_at = Some(now);
    }

    /// The views that a predecessor has published and that have not been made here yet.
    pub(crate) fn inherited(&self) -> impl Iterator<Item = (Slot, Fingerprints)> {
        (0..).map(Slot).zip(&self.views).filter_map(|(slot, view)| Some((slot, view.inherited?)))
    }

    /// The members of a collection that a predecessor has published. A channel that somebody named is none: it may be one
    /// that nobody has heard of.
    pub(crate) fn inherited_members(&self, tenant: &TenantId, kind: Kind) -> Vec<Slot> {
        let is_member =
            |(owner, channel): &Key| owner == tenant && matches!(channel, ChannelId::One(k, _) if *k == kind);
        let shown = self.inherited().map(|(slot, _)| slot).filter(|slot| self.view(*slot).was_member);
        shown.filter(|slot| is_member(&self.view(*slot).key)).collect()
    }

    /// What a successor has to know of every channel that is watched; `members` are those that collections show.
    pub(crate) fn published(&self, members: &HashSet<Slot>, now: Timestamp) -> impl Iterator<Item = PublishedView> {
        let is_watched =
            move |view: &CachedView| view.left_at.is_none_or(|left_at| now.since(left_at) < self.forgotten_after);
        (0..).map(Slot).zip(&self.views).filter(move |(_, view)| is_watched(view)).filter_map(|(slot, view)| {
            Some(PublishedView {
                tenant: view.key.0.clone(),
                channel: view.key.1.clone(),
                fingerprints: view.fingerprints()?,
                told: view.told.clone().unwrap_or_default(),
                is_member: members.contains(&slot),
            })
        })
    }
}

/// What a view still has to be read up to, by slice: as far as journals say.
pub(crate) type Expected = BTreeMap<SliceId, Offset>;

/// Up to where the history of a channel was told.
pub(crate) type Told = Option<Known>;

/// When within a minute a channel is swept: spread evenly, so that a thousand that were opened at once are not read at
/// once again and again.
fn phase((tenant, channel): &Key) -> Duration {
    let digest = Sha256::digest(format!("{tenant}#{channel}"));
    let share = u32::from(u16::from_be_bytes([digest[0], digest[1]]));
    SWEEP * share / u32::from(u16::MAX)
}

#[cfg(test)]
mod tests;
