//! A channel's slices, as far as they have been read.

use std::collections::BTreeMap;

use projections::{ChannelId, Slice, Timestamp, View, kind};
use protocol::Cursor;
use store::SliceId;

/// The slices of one channel. What was read once never goes back, whatever a later, eventually consistent read says.
#[derive(Clone, Debug, Default)]
pub struct ChannelState {
    slices: BTreeMap<SliceId, Slice>,
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
        kind::view(channel, self.slices.values(), now)
    }

    /// The slices, for those who look at their notices.
    pub fn slices(&self) -> impl Iterator<Item = (&SliceId, &Slice)> {
        self.slices.iter()
    }
}
