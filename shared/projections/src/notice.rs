//! Discrete things that watchers are told beside the view: a call was answered, a campaign was paused.

use std::collections::VecDeque;

use serde::{Deserialize, Serialize, de::DeserializeOwned};
use serde_json::Value;

use crate::{ChannelId, Timestamp};

/// The most notices of one type that a slice keeps, and so the most that one tick can deliver of it: a dashboard's
/// ticker shows about as many lines, and they keep the stored item near 2 KB.
pub const KEPT: usize = 20;

/// One notice of a projection.
pub trait Notice: Clone + Serialize + DeserializeOwned {
    /// The `type` of the message that carries it.
    fn message_type(&self) -> &'static str;
    /// The message's `data`.
    fn data(&self, channel: &ChannelId) -> Value;
    /// Whether those who watch all channels of the kind get it too, or only those who named this one.
    fn is_for_collection(&self) -> bool;
}

/// The notices of a projection that has none.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum NoNotice {}

impl Notice for NoNotice {
    fn message_type(&self) -> &'static str {
        match *self {}
    }

    fn data(&self, _: &ChannelId) -> Value {
        match *self {}
    }

    fn is_for_collection(&self) -> bool {
        match *self {}
    }
}

/// The newest notices of one type, and how many there ever were: who remembers the total of last time knows how many
/// are new, and how many of those are gone already.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Feed<N> {
    /// How many notices were ever added.
    pub total: u64,
    /// The newest, oldest first; at most [`KEPT`].
    pub newest: VecDeque<(Timestamp, N)>,
}

/// A feed per message type. Types are few (two for campaigns), so a scan finds one faster than a map would.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Feeds<N>(Vec<Feed<N>>);

impl<N> Default for Feeds<N> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<N: Notice> Feeds<N> {
    /// Adds a notice, dropping the oldest of its type when there are too many.
    pub fn push(&mut self, notice: N, at: Timestamp) {
        let name = notice.message_type();
        let of_type = |feed: &&mut Feed<N>| feed.message_type() == Some(name);
        let feed = match self.0.iter_mut().find(of_type) {
            Some(feed) => feed,
            None => self.0.push_mut(Feed { total: 0, newest: VecDeque::new() }),
        };
        if feed.newest.len() == KEPT {
            feed.newest.pop_front();
        }
        feed.newest.push_back((at, notice));
        feed.total += 1;
    }

    /// The feeds, one per message type.
    pub fn iter(&self) -> impl Iterator<Item = &Feed<N>> {
        self.0.iter()
    }
}

impl<N: Notice> Feed<N> {
    /// The type of the messages that this feed makes; a feed is made with its first notice and never empty.
    #[must_use]
    pub fn message_type(&self) -> Option<&'static str> {
        self.newest.back().map(|(_, notice)| notice.message_type())
    }
}

/// How many notices there ever were, by message type.
pub type Totals = std::collections::BTreeMap<String, u64>;

/// A notice as watchers are told of it.
#[derive(Clone, Debug, PartialEq)]
pub struct NoticeMessage {
    /// The `type` of the message.
    pub message_type: &'static str,
    /// When it happened.
    pub at: Timestamp,
    /// The message's `data`.
    pub data: Value,
    /// Whether those who watch all channels of the kind get it too.
    pub is_for_collection: bool,
}

/// What is new in a slice's feeds.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct NewNotices {
    /// The notices that are still there, oldest first within a type.
    pub messages: Vec<NoticeMessage>,
    /// How many more there were of a type that are gone already.
    pub left_out: Totals,
}

impl<N: Notice> Feeds<N> {
    /// How many notices there ever were, by message type.
    #[must_use]
    pub fn totals(&self) -> Totals {
        self.iter().filter_map(|feed| Some((feed.message_type()?.to_owned(), feed.total))).collect()
    }

    /// The notices that came after the totals of last time.
    #[must_use]
    pub fn news(&self, channel: &ChannelId, seen: &Totals) -> NewNotices {
        let mut news = NewNotices::default();
        for feed in self.iter() {
            let Some(message_type) = feed.message_type() else { continue };
            let new = feed.total.saturating_sub(seen.get(message_type).copied().unwrap_or(0));
            let shown = usize::try_from(new).unwrap_or(usize::MAX).min(feed.newest.len());
            let gone = new - shown as u64;
            if gone > 0 {
                news.left_out.insert(message_type.to_owned(), gone);
            }
            news.messages.extend(feed.newest.iter().skip(feed.newest.len() - shown).map(|(at, notice)| {
                NoticeMessage {
                    message_type,
                    at: *at,
                    data: notice.data(channel),
                    is_for_collection: notice.is_for_collection(),
                }
            }));
        }
        news
    }
}
