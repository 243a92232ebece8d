//! What a kind of dashboard has to say.

use std::{borrow::Cow, time::Duration};

use serde::{Serialize, de::DeserializeOwned};

use crate::{
    ChannelId, Timestamp,
    history::{Entry, Happened, Recorder},
    window::Counts,
};

/// The read model of one kind of channel: how records change it, how slices merge, what its view is.
///
/// A channel's records arrive over several Kafka partitions. Each partition folds into a state of its own (a *slice*);
/// the states are merged only to be looked at. So [`merge`](Self::merge) has to be associative and commutative, with
/// [`Default`] as its identity; `tests/laws.rs` holds every kind to that.
pub trait Projection: Clone + Default + Serialize + DeserializeOwned {
    /// The channel's name before the colon, or all of it where a tenant has only one.
    const NAME: &'static str;
    /// Whether a tenant has many channels of this kind, each with an id.
    const KEYED: bool = true;
    /// The channel that shows all of a tenant's active channels of this kind.
    const COLLECTION: Option<&'static str> = None;
    /// The `type` of the message that carries the view.
    const MESSAGE: &'static str;
    /// Whether the view shows names of people. Where it does, [`conceal`](Self::conceal) leaves initials of them, and who
    /// may not see names gets the view after that. A name that was concealed nowhere else would be seen by all.
    const SHOWS_NAMES: bool = false;
    /// Version of the stored state. Raise it when an older state can no longer be read.
    const VERSION: u32 = 1;
    /// How long history is kept; less where the channel itself is forgotten before.
    const HISTORY: Duration = Duration::from_hours(7 * 24);
    /// How many of the newest entries of each slice's history the view is made of.
    const SHOWN_ENTRIES: usize = 0;
    /// Whether windows of time are counted.
    const HAS_WINDOWS: bool = false;

    /// For how long after its last record the view goes on changing by the clock alone: a rate falls, a reading becomes
    /// stale.
    const FADES_FOR: Duration = Duration::ZERO;

    /// What a record says, decoded and already routed to this channel.
    type Event;
    /// What happens, one thing after the other.
    type Entry: Happened;
    /// What is counted in a window.
    type Counts: Counts;
    /// What clients see.
    type View: Serialize;

    /// Takes in one event that happened `at`; what is to be remembered of it in the channel's history it adds to `history`.
    fn apply(&mut self, event: &Self::Event, at: Timestamp, history: &mut Recorder<'_, Self::Entry>);
    /// Counts an event in its window.
    fn count(_event: &Self::Event, _counts: &mut Self::Counts) {}
    /// Notes in the newest window how things stand.
    fn note_gauges(&self, _counts: &mut Self::Counts) {}
    /// Takes in what another partition has counted for the same channel.
    fn merge(&mut self, other: &Self);
    /// What `channel` looks like `now`; `recent` are the newest entries of its history in no order,
    /// [`SHOWN_ENTRIES`](Self::SHOWN_ENTRIES) of each slice where there are as many.
    fn view(&self, channel: &ChannelId, recent: &[&Entry<Self::Entry>], now: Timestamp) -> Self::View;

    /// This state as far as its times can be believed. One after `latest` was set by a producer's clock that led, in a
    /// record that was folded before arrival bounded times; what it dates is older than all else, or it would win for as
    /// long as that clock led.
    fn believed(&self, latest: Timestamp) -> Cow<'_, Self>;

    /// How many gauges have gone below zero, and are shown as 0: more went than came, as when events were lost or sent
    /// twice. (Also where one partition sees only the ends of calls whose beginnings another one sees.)
    fn gauges_below_zero(&self) -> usize {
        0
    }

    /// Leaves [initials](crate::initials::of) of the names of people.
    fn conceal(_view: &mut Self::View) {}

    /// How the channel stands in the tenant's directory, as far as this state knows.
    fn listing(&self) -> Option<Listing> {
        None
    }
}

/// How a channel describes itself in its tenant's directory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listing {
    /// A name for people.
    pub name: Option<String>,
    /// The status, in the words of its kind.
    pub status: Option<&'static str>,
    /// Whether the collection of its kind shows it.
    pub active: bool,
    /// When this was last changed; of two descriptions the later one holds.
    pub at: Timestamp,
}
