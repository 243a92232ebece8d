//! What the watched channels show: the view last published of each, and what is new in it.

use std::{
    collections::{HashMap, HashSet},
    time::Duration,
};

use bytes::Bytes;
use projections::{ChannelId, HistoryEntry, Kind, TenantId, Timestamp, View};
use protocol::Cursor;
use serde_json::value::RawValue;
use views::{ChannelState, Known, fingerprint};

use crate::{
    notices::{self, Told},
    published::Baseline,
};

/// A channel that has not moved for this long is read less often, …
const QUIET_AFTER: Duration = Duration::from_secs(10);

/// … this often: a dashboard left open over night costs a fifth, and the first record after a pause comes at most this
/// much later.
const QUIET_INTERVAL: Duration = Duration::from_millis(500);

/// `system` is published again for its ages alone (seconds since the last record, of the lease) only this often.
const AGES_INTERVAL: Duration = Duration::from_secs(5);

/// A channel of a tenant.
pub(crate) type Key = (TenantId, ChannelId);

/// What nobody has watched for this long is news to whoever comes next, and not left to a successor.
const FORGOTTEN_AFTER: Duration = Duration::from_secs(10);

/// Where a channel stands on the board. Places are not given up: a board lives as long as one invocation, and its
/// successor starts with those that were watched last.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Place(usize);

/// All channels that somebody has watched during this invocation.
pub(crate) struct Board {
    forgotten_after: Duration,
    places: HashMap<Key, Place>,
    posters: Vec<Poster>,
}

/// One channel on the board.
pub(crate) struct Poster {
    /// Which channel of which tenant.
    pub(crate) key: Key,
    /// Its slices as last read.
    pub(crate) state: ChannelState,
    /// Raised whenever the view differs from the one before; 0 before the first.
    pub(crate) revision: u64,
    /// The message that carries the view; nothing before the first view, or while it is still the predecessor's.
    pub(crate) message: Option<Forms>,
    /// What is new beside the view, since the last refresh.
    pub(crate) notices: Vec<Notice>,
    /// When the message was made: the start of the tick that read the channel.
    pub(crate) published_at: Timestamp,
    fingerprint: u64,
    moved_at: Timestamp,
    read_at: Option<Timestamp>,
    /// Whether a predecessor has shown it as a member of a collection.
    was_member: bool,
    /// Up to where the history of each slice was told; `None` before the first read, for what is old is no news.
    told: Option<Known>,
}

/// The message that carries a view, for those who may see names of people and for those who may not. Where no name is in
/// it the two are the same bytes.
#[derive(Clone, Debug)]
pub(crate) struct Forms {
    full: Bytes,
    concealed: Bytes,
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

impl Board {
    /// An empty board, of which some channels are read at every overview only.
    pub(crate) fn new(overview_interval: Duration) -> Self {
        Self {
            forgotten_after: FORGOTTEN_AFTER.max(overview_interval * 3),
            places: HashMap::new(),
            posters: Vec::new(),
        }
    }

    /// The place of a channel; made if it has none.
    pub(crate) fn place(&mut self, key: &Key) -> Place {
        if let Some(place) = self.places.get(key) {
            return *place;
        }
        let place = Place(self.posters.len());
        self.posters.push(Poster::new(key.clone()));
        self.places.insert(key.clone(), place);
        place
    }

    /// The channel at a place.
    pub(crate) fn poster(&self, place: Place) -> &Poster {
        &self.posters[place.0]
    }

    /// The channel at a place, to be changed.
    pub(crate) fn poster_mut(&mut self, place: Place) -> &mut Poster {
        &mut self.posters[place.0]
    }

    /// Forgets the notices of the last tick: they are told once.
    pub(crate) fn clear_notices(&mut self) {
        for poster in &mut self.posters {
            poster.notices.clear();
        }
    }

    /// Takes over what a predecessor has published of a channel.
    pub(crate) fn restore(&mut self, baseline: Baseline) {
        let place = self.place(&(baseline.tenant, baseline.channel));
        let poster = self.poster_mut(place);
        poster.revision = 1;
        poster.fingerprint = baseline.fingerprint;
        poster.told = Some(baseline.told);
        poster.was_member = baseline.is_member;
    }

    /// The places that a predecessor has published, each with the revision that it counts as.
    pub(crate) fn restored(&self) -> impl Iterator<Item = (Place, u64)> {
        let is_restored = |(_, poster): &(usize, &Poster)| poster.revision == 1 && poster.message.is_none();
        self.posters.iter().enumerate().filter(is_restored).map(|(index, _)| (Place(index), 1))
    }

    /// The members of a collection that a predecessor has published. A channel that somebody named is none: it may be one
    /// that nobody has heard of.
    pub(crate) fn restored_members(&self, tenant: &TenantId, kind: Kind) -> Vec<Place> {
        let is_member =
            |(owner, channel): &Key| owner == tenant && matches!(channel, ChannelId::One(k, _) if *k == kind);
        let shown = self.restored().map(|(place, _)| place).filter(|place| self.poster(*place).was_member);
        shown.filter(|place| is_member(&self.poster(*place).key)).collect()
    }

    /// Takes in a channel's state as read `now` and what has happened in it since it was told of last, and makes its view and
    /// its notices anew.
    pub(crate) fn refresh(&mut self, place: Place, state: ChannelState, news: Vec<HistoryEntry>, now: Timestamp) {
        self.poster_mut(place).refresh(state, news, now);
    }

    /// Up to where the history of a channel was told; nothing where what has happened by `now` is old to whoever watches it.
    pub(crate) fn told(&self, place: Place, now: Timestamp) -> Option<&Known> {
        let poster = self.poster(place);
        let is_forgotten = poster.read_at.is_some_and(|read_at| now.since(read_at) >= self.forgotten_after);
        poster.told.as_ref().filter(|_| !is_forgotten)
    }

    /// What a successor has to know of every channel that is watched; `members` are those that collections show.
    pub(crate) fn baselines(&self, members: &HashSet<Place>, now: Timestamp) -> impl Iterator<Item = Baseline> {
        let is_watched = move |(_, poster): &(usize, &Poster)| {
            poster.revision > 0 && poster.read_at.is_some_and(|read_at| now.since(read_at) < self.forgotten_after)
        };
        self.posters.iter().enumerate().filter(is_watched).map(move |(index, poster)| Baseline {
            tenant: poster.key.0.clone(),
            channel: poster.key.1.clone(),
            fingerprint: poster.fingerprint,
            told: poster.told.clone().unwrap_or_default(),
            is_member: members.contains(&Place(index)),
        })
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

impl Forms {
    /// The message for somebody.
    pub(crate) fn shown(&self, sees_names: bool) -> &Bytes {
        if sees_names { &self.full } else { &self.concealed }
    }
}

impl Poster {
    fn new(key: Key) -> Self {
        Self {
            key,
            state: ChannelState::default(),
            revision: 0,
            message: None,
            notices: Vec::new(),
            fingerprint: 0,
            published_at: Timestamp::default(),
            moved_at: Timestamp::default(),
            read_at: None,
            was_member: false,
            told: None,
        }
    }

    /// Tells the view apart from others; nothing before the first.
    pub(crate) fn fingerprint(&self) -> Option<u64> {
        (self.revision > 0).then_some(self.fingerprint)
    }

    /// Whether names of people may be in the view.
    pub(crate) fn shows_names(&self) -> bool {
        self.key.1.kind().shows_names()
    }

    /// Whether the channel is to be read `now`.
    pub(crate) fn is_due(&self, now: Timestamp) -> bool {
        let is_quiet = now.since(self.moved_at) > QUIET_AFTER;
        !is_quiet || self.read_at.is_none_or(|read_at| now.since(read_at) >= QUIET_INTERVAL)
    }

    fn refresh(&mut self, state: ChannelState, news: Vec<HistoryEntry>, now: Timestamp) {
        self.read_at = Some(now);
        self.state = state;
        self.told = Some(self.state.history());
        let view = self.state.view(&self.key.1, now);
        self.show(&view, None, false, now);
        self.collect_notices(news, now);
    }

    /// Publishes `system`, unless only its ages have changed and that not long ago.
    pub(crate) fn refresh_system(&mut self, view: &View, cursor: Cursor, now: Timestamp) {
        self.read_at = Some(now);
        let is_aged = self.message.is_some() && now.since(self.published_at) >= AGES_INTERVAL;
        self.show(view, Some(cursor), is_aged, now);
    }

    /// Makes the message of a view that is new. `cursor` is given where the view is made of more than its own slices;
    /// elsewhere it is made here, and not in the many ticks in which nothing has changed.
    fn show(&mut self, view: &View, cursor: Option<Cursor>, is_aged: bool, now: Timestamp) {
        let fingerprint = fingerprint(view);
        let is_new = self.revision == 0 || self.fingerprint != fingerprint || is_aged;
        if !is_new && self.message.is_some() {
            return;
        }
        let Ok(data) = serde_json::value::to_raw_value(view) else { return };
        if is_new {
            self.revision += 1;
            self.moved_at = now;
            self.fingerprint = fingerprint;
        }
        self.published_at = now;
        let cursor = cursor.unwrap_or_else(|| self.state.cursor());
        let full = self.channel_message(self.key.1.kind().message_type(), &data, &cursor, now);
        let concealed = match self.concealed(view) {
            Some(data) => self.channel_message(self.key.1.kind().message_type(), &data, &cursor, now),
            None => full.clone(),
        };
        self.message = Some(Forms { full, concealed });
    }

    /// The view with initials for names; nothing where that makes no difference.
    fn concealed(&self, view: &View) -> Option<Box<RawValue>> {
        if !self.shows_names() {
            return None;
        }
        let concealed = view.clone().concealed();
        if concealed == *view {
            return None;
        }
        // What cannot be written is shown to nobody rather than with names.
        Some(serde_json::value::to_raw_value(&concealed).unwrap_or_default())
    }

    fn collect_notices(&mut self, news: Vec<HistoryEntry>, now: Timestamp) {
        let selected = notices::select(&self.key.1, news);
        if selected.is_empty() {
            self.notices.clear();
            return;
        }
        let cursor = self.state.cursor();
        let message = |told: &Told, data: &serde_json::Value| {
            let data = serde_json::value::to_raw_value(data).ok()?;
            Some(self.channel_message(told.message_type, &data, &cursor, now))
        };
        self.notices = selected
            .iter()
            .filter_map(|told| {
                let concealed = match &told.concealed {
                    Some(data) => Some(message(told, data)?),
                    None => None,
                };
                let message = message(told, &told.data)?;
                let (channel, is_for_collection) = (self.key.1.clone(), told.is_for_collection);
                Some(Notice { channel, message, concealed, is_for_collection })
            })
            .collect();
    }

    fn channel_message(&self, message_type: &str, data: &RawValue, cursor: &Cursor, now: Timestamp) -> Bytes {
        protocol::channel_message(message_type, &self.key.1, data, now, cursor).into()
    }
}
