//! One channel's view, in the forms in which it is posted, and what is new beside it.

use std::time::Duration;

use bytes::Bytes;
use projections::{ChannelId, HistoryEntry, Offset, Timestamp, View};
use protocol::Cursor;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use store::SliceId;
use views::{ChannelState, fingerprint};

use crate::{
    notices::{self, Selected},
    view_cache::{Expected, Key, Told},
};

/// `system` is published again for its ages alone (seconds since the last record, of the lease) only this often.
const AGES_INTERVAL: Duration = Duration::from_secs(5);

/// One channel in the cache.
pub(crate) struct CachedView {
    /// Which channel of which tenant.
    pub(crate) key: Key,
    /// Its slices as last read.
    pub(crate) state: ChannelState,
    /// What is new beside the view, since the last tick.
    pub(crate) notices: Vec<Notice>,
    /// What a predecessor has published of it, until its view is made here.
    pub(crate) inherited: Option<Fingerprints>,
    /// Whether a predecessor has shown it as a member of a collection.
    pub(crate) was_member: bool,
    /// Up to where the history of each slice was told; `None` before the first read, for what is old is no news.
    pub(crate) told: Told,
    /// Since when nobody watches it; `None` while somebody does.
    pub(crate) left_at: Option<Timestamp>,
    /// When it is read though no journal says that it has moved.
    pub(crate) sweep_at: Timestamp,
    /// Up to where journals say that its slices go, where it has not been read as far.
    expected: Expected,
    posted: Option<Posted>,
    /// Raised with each view that is posted for its ages alone.
    ages: u64,
}

/// A view as it is posted: for those who may see names of people and for those who may not. Where no name is in it the two
/// are the same bytes.
#[derive(Clone, Debug)]
pub(crate) struct Posted {
    full: Bytes,
    concealed: Bytes,
    fingerprints: Fingerprints,
    /// When it was made: the start of the tick that read the channel.
    pub(crate) made_at: Timestamp,
}

/// Tell a view apart from others of its channel, in each of its forms.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Fingerprints {
    full: u64,
    concealed: u64,
}

/// A message beside the view.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Notice {
    /// What it is about.
    pub(crate) channel: ChannelId,
    /// The message.
    pub(crate) message: Bytes,
    /// The message for those who may not see names of people; nothing where it is the same.
    pub(crate) concealed: Option<Bytes>,
    /// Whether those who watch the whole collection get it too.
    pub(crate) is_for_collection: bool,
}

impl CachedView {
    /// A channel of which nothing has been read.
    pub(crate) fn new(key: Key) -> Self {
        Self {
            key,
            state: ChannelState::default(),
            notices: Vec::new(),
            inherited: None,
            was_member: false,
            told: None,
            left_at: Some(Timestamp::EPOCH),
            sweep_at: Timestamp::EPOCH,
            expected: Expected::new(),
            posted: None,
            ages: 0,
        }
    }

    /// The view as it is posted; nothing before the first read here.
    pub(crate) fn posted(&self) -> Option<&Posted> {
        self.posted.as_ref()
    }

    /// Tell the view apart that was published last, here or by a predecessor.
    pub(crate) fn fingerprints(&self) -> Option<Fingerprints> {
        self.posted.as_ref().map(|posted| posted.fingerprints).or(self.inherited)
    }

    /// Somebody watches it from `now` on. What has happened while nobody did is old to them, unless that was a moment.
    pub(crate) fn return_to_watch(&mut self, forgotten_after: Duration, now: Timestamp) {
        if self.left_at.take().is_some_and(|left_at| now.since(left_at) >= forgotten_after) {
            self.told = None;
        }
    }

    /// Notes that a slice is stored up to `watermark`; false if that is read already.
    pub(crate) fn expect(&mut self, slice: SliceId, watermark: Offset) -> bool {
        if self.state.watermark(&slice) >= Some(watermark) {
            return false;
        }
        let expected = self.expected.entry(slice).or_insert(watermark);
        *expected = watermark.max(*expected);
        true
    }

    /// What is to be read at least.
    pub(crate) fn expected(&self) -> Expected {
        self.expected.clone()
    }

    /// Takes in what was read `now`, and makes view and notices anew.
    pub(crate) fn refresh(&mut self, state: ChannelState, news: Vec<HistoryEntry>, now: Timestamp) {
        self.take_in(state);
        self.told = Some(self.state.history());
        let view = self.state.view(&self.key.1, now);
        self.show(&view, None, false, now);
        self.collect_notices(news, now);
    }

    /// Takes in what was read of a channel whose view is made of more than that.
    pub(crate) fn take_in(&mut self, state: ChannelState) {
        self.state = state;
        self.expected.retain(|slice, watermark| self.state.watermark(slice) < Some(*watermark));
    }

    /// Whether what is in hand is older than a journal says.
    pub(crate) fn is_behind(state: &ChannelState, expected: &Expected) -> bool {
        expected.iter().any(|(slice, watermark)| state.watermark(slice) < Some(*watermark))
    }

    /// What was expected is not there, not even for a consistent read: it has expired, or was taken back by hand.
    pub(crate) fn expect_no_longer(&mut self, expected: &Expected) {
        self.expected.retain(|slice, watermark| expected.get(slice).is_none_or(|given_up| *watermark > *given_up));
    }

    /// Makes the view of the clock's hour; true if it is another one.
    pub(crate) fn fade(&mut self, now: Timestamp) -> bool {
        let before = self.fingerprints();
        let view = self.state.view(&self.key.1, now);
        self.show(&view, None, false, now);
        before != self.fingerprints()
    }

    /// Until when the clock alone may change the view; nothing before the first record.
    pub(crate) fn fades_until(&self) -> Option<Timestamp> {
        self.state.event_time().map(|at| at.plus(self.key.1.kind().fades_for()))
    }

    /// Publishes `system`, unless only its ages have changed and that not long ago; true if it does.
    pub(crate) fn refresh_system(&mut self, view: &View, cursor: Cursor, now: Timestamp) -> bool {
        let before = self.fingerprints();
        let is_aged = self.posted.as_ref().is_some_and(|posted| now.since(posted.made_at) >= AGES_INTERVAL);
        self.show(view, Some(cursor), is_aged, now);
        before != self.fingerprints()
    }

    /// Makes the message of a view that is new. `cursor` is given where the view is made of more than its own slices;
    /// elsewhere it is made here, and not in the many ticks in which nothing has changed.
    fn show(&mut self, view: &View, cursor: Option<Cursor>, is_aged: bool, now: Timestamp) {
        let full = fingerprint(view);
        let is_same = |posted: &Posted| posted.fingerprints.full == full.wrapping_add(self.ages);
        if !is_aged && self.posted.as_ref().is_some_and(is_same) {
            return;
        }
        if is_aged {
            self.ages += 1;
        }
        let concealed = self.key.1.kind().shows_names().then(|| view.clone().concealed()).filter(|other| other != view);
        let fingerprints = Fingerprints {
            full: full.wrapping_add(self.ages),
            concealed: concealed.as_ref().map_or(full, fingerprint).wrapping_add(self.ages),
        };
        let cursor = cursor.unwrap_or_else(|| self.state.cursor());
        let message = |view: &View| {
            let data = serde_json::value::to_raw_value(view).ok()?;
            Some(self.channel_message(self.key.1.kind().message_type(), &data, &cursor, now))
        };
        let Some(full) = message(view) else { return };
        // What cannot be written is shown to nobody rather than with names.
        let Some(concealed) = concealed.map_or_else(|| Some(full.clone()), |view| message(&view)) else { return };
        self.inherited = None;
        self.posted = Some(Posted { full, concealed, fingerprints, made_at: now });
    }

    fn collect_notices(&mut self, news: Vec<HistoryEntry>, now: Timestamp) {
        let selected = notices::select(&self.key.1, news);
        if selected.is_empty() {
            return;
        }
        let cursor = self.state.cursor();
        let message = |selected: &Selected, data: &serde_json::Value| {
            let data = serde_json::value::to_raw_value(data).ok()?;
            Some(self.channel_message(selected.message_type, &data, &cursor, now))
        };
        let notices = selected.iter().filter_map(|selected| {
            let concealed = match &selected.concealed {
                Some(data) => Some(message(selected, data)?),
                None => None,
            };
            let message = message(selected, &selected.data)?;
            let (channel, is_for_collection) = (self.key.1.clone(), selected.is_for_collection);
            Some(Notice { channel, message, concealed, is_for_collection })
        });
        let notices: Vec<Notice> = notices.collect();
        self.notices.extend(notices);
    }

    fn channel_message(&self, message_type: &str, data: &RawValue, cursor: &Cursor, now: Timestamp) -> Bytes {
        protocol::channel_message(message_type, &self.key.1, data, now, cursor).into()
    }
}

impl Posted {
    /// The message for somebody.
    pub(crate) fn message(&self, sees_names: bool) -> &Bytes {
        if sees_names { &self.full } else { &self.concealed }
    }

    /// Tells the message for somebody apart from others of its channel.
    pub(crate) fn fingerprint(&self, sees_names: bool) -> u64 {
        self.fingerprints.shown(sees_names)
    }
}

impl Fingerprints {
    /// That of the form that somebody sees.
    pub(crate) fn shown(self, sees_names: bool) -> u64 {
        if sees_names { self.full } else { self.concealed }
    }

    /// Those of a view that names nobody.
    #[cfg(test)]
    pub(crate) fn of_both(fingerprint: u64) -> Self {
        Self { full: fingerprint, concealed: fingerprint }
    }
}

impl Notice {
    /// As somebody is told it.
    pub(crate) fn shown(mut self, sees_names: bool) -> Self {
        if let (false, Some(concealed)) = (sees_names, &self.concealed) {
            self.message = concealed.clone();
        }
        self
    }
}
