//! The kinds of channels, and the types that hold one of any kind.

use std::time::Duration;

use serde::{Deserializer, Serialize, Serializer};
use serde_json::{Map, Value};

use crate::{
    ChannelId, Fold, Listing, Offset, Projection, Timestamp,
    campaign::Campaign,
    history::{Chunk, Entry, Happened, Tail},
    live_event::LiveEvent,
    slice::{self, MAX_CLOCK_LEAD},
    system::System,
    window::{self, Minute},
};

macro_rules! kinds {
    ($($(#[$doc:meta])* $kind:ident => $projection:ty,)+) => {
        /// A kind of channel.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Kind { $($(#[$doc])* $kind,)+ }

        /// What a record says, of any kind.
        #[derive(Clone, Debug)]
        pub enum Event { $($(#[$doc])* $kind(<$projection as Projection>::Event),)+ }

        /// The slice of a channel of any kind.
        #[derive(Clone, Debug)]
        pub enum Slice { $($(#[$doc])* $kind(slice::Slice<$projection>),)+ }

        /// The view of a channel of any kind.
        #[derive(Clone, Debug, PartialEq, Serialize)]
        #[serde(untagged)]
        pub enum View { $($(#[$doc])* $kind(<$projection as Projection>::View),)+ }

        /// An entry of the history of a channel of any kind.
        #[derive(Clone, Debug, PartialEq)]
        pub enum HistoryEntry { $($(#[$doc])* $kind(Entry<<$projection as Projection>::Entry>),)+ }

        /// What is counted in a window, of any kind.
        #[derive(Clone, Debug, PartialEq)]
        pub enum Counts { $($(#[$doc])* $kind(<$projection as Projection>::Counts),)+ }

        impl Kind {
            /// Every kind.
            pub const ALL: [Self; [$(Kind::$kind),+].len()] = [$(Self::$kind),+];

            /// The channel's name before the colon, or all of it where a tenant has only one.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self { $(Self::$kind => <$projection>::NAME,)+ }
            }

            /// Whether a tenant has many channels of this kind, each with an id.
            #[must_use]
            pub const fn is_keyed(self) -> bool {
                match self { $(Self::$kind => <$projection>::KEYED,)+ }
            }

            /// The channel that shows all of a tenant's active channels of this kind.
            #[must_use]
            pub const fn collection(self) -> Option<&'static str> {
                match self { $(Self::$kind => <$projection>::COLLECTION,)+ }
            }

            /// The `type` of the message that carries the view.
            #[must_use]
            pub const fn message_type(self) -> &'static str {
                match self { $(Self::$kind => <$projection>::MESSAGE,)+ }
            }

            /// Whether the view shows names of people, which not everybody may see.
            #[must_use]
            pub const fn shows_names(self) -> bool {
                match self { $(Self::$kind => <$projection>::SHOWS_NAMES,)+ }
            }

            /// For how long after its last record the view goes on changing by the clock alone.
            #[must_use]
            pub const fn fades_for(self) -> Duration {
                match self { $(Self::$kind => <$projection>::FADES_FOR,)+ }
            }

            /// Version of the stored state.
            #[must_use]
            pub const fn version(self) -> u32 {
                match self { $(Self::$kind => <$projection>::VERSION,)+ }
            }

            /// How long history is kept; less where the channel itself is forgotten before.
            #[must_use]
            pub const fn history(self) -> Duration {
                match self { $(Self::$kind => <$projection>::HISTORY,)+ }
            }

            /// How many of the newest entries of each slice's history the view is made of.
            #[must_use]
            pub const fn shown_entries(self) -> usize {
                match self { $(Self::$kind => <$projection>::SHOWN_ENTRIES,)+ }
            }

            /// Whether windows of time are counted.
            #[must_use]
            pub const fn has_windows(self) -> bool {
                match self { $(Self::$kind => <$projection>::HAS_WINDOWS,)+ }
            }

            /// Nothing counted yet.
            #[must_use]
            pub fn no_counts(self) -> Counts {
                match self { $(Self::$kind => Counts::$kind(Default::default()),)+ }
            }

            /// Reads what was counted in a window from its stored form.
            pub fn read_counts<'de, D: Deserializer<'de>>(self, deserializer: D) -> Result<Counts, D::Error> {
                match self {
                    $(Self::$kind => serde::Deserialize::deserialize(deserializer).map(Counts::$kind),)+
                }
            }

            /// Reads the entries of a [`Chunk`], oldest first.
            pub fn read_entries(self, text: &str) -> serde_json::Result<Vec<HistoryEntry>> {
                match self {
                    $(Self::$kind => serde_json::from_str::<Vec<Entry<<$projection as Projection>::Entry>>>(text)
                        .map(|entries| entries.into_iter().map(HistoryEntry::$kind).collect()),)+
                }
            }

            /// A slice into which nothing has been folded yet.
            #[must_use]
            pub fn empty_slice(self) -> Slice {
                match self { $(Self::$kind => Slice::$kind(slice::Slice::default()),)+ }
            }

            /// Reads a slice of this kind from its stored form.
            pub fn read_slice<'de, D: Deserializer<'de>>(self, deserializer: D) -> Result<Slice, D::Error> {
                match self {
                    $(Self::$kind => serde::Deserialize::deserialize(deserializer).map(Slice::$kind),)+
                }
            }
        }

        impl Event {
            /// The kind of channel that it changes.
            #[must_use]
            pub fn kind(&self) -> Kind {
                match self { $(Self::$kind(_) => Kind::$kind,)+ }
            }
        }

        impl View {
            /// The view for those who may not see names of people: with their initials.
            #[must_use]
            pub fn concealed(mut self) -> Self {
                match &mut self { $(Self::$kind(view) => <$projection>::conceal(view),)+ }
                self
            }
        }

        impl Slice {
            /// Folds in the record at `offset`, unless it has been. `None` if the event is of another kind: that
            /// record was routed wrongly.
            pub fn fold(&mut self, offset: Offset, at: Timestamp, event: &Event) -> Option<Fold> {
                match (self, event) {
                    $((Self::$kind(slice), Event::$kind(event)) => Some(slice.fold(offset, at, event)),)+
                    _ => None,
                }
            }

            /// Lets go of times that cannot be, as of `now`: what a producer's clock that led has set, before arrival
            /// bounded times, must not win against what is fresh.
            pub fn disbelieve_future(&mut self, now: Timestamp) {
                match self { $(Self::$kind(slice) => slice.disbelieve_future(now),)+ }
            }

            /// How many gauges have gone below zero, and are shown as 0.
            #[must_use]
            pub fn gauges_below_zero(&self) -> usize {
                match self { $(Self::$kind(slice) => slice.state().gauges_below_zero(),)+ }
            }

            /// The kind of channel that it belongs to.
            #[must_use]
            pub fn kind(&self) -> Kind {
                match self { $(Self::$kind(_) => Kind::$kind,)+ }
            }

            /// The offset up to which records have been folded in; `None` before the first.
            #[must_use]
            pub fn watermark(&self) -> Option<Offset> {
                match self { $(Self::$kind(slice) => slice.watermark(),)+ }
            }

            /// The latest time of any record folded in.
            #[must_use]
            pub fn event_time(&self) -> Option<Timestamp> {
                match self { $(Self::$kind(slice) => slice.event_time(),)+ }
            }

            /// How the channel stands in its tenant's directory, as far as this slice knows.
            #[must_use]
            pub fn listing(&self) -> Option<Listing> {
                match self { $(Self::$kind(slice) => slice.state().listing(),)+ }
            }

            /// How far history goes.
            #[must_use]
            pub fn history(&self) -> Tail {
                match self { $(Self::$kind(slice) => slice.history(),)+ }
            }

            /// What happened since this was called last: see [`slice::Slice::cut`].
            pub fn cut(&mut self, base: Option<Offset>) -> Vec<Chunk> {
                match self { $(Self::$kind(slice) => slice.cut(base),)+ }
            }

            /// What is to be added to the windows' items, oldest first.
            #[must_use]
            pub fn closed(&self) -> Vec<(Minute, Counts)> {
                match self {
                    $(Self::$kind(slice) => slice.windows().closed().iter()
                        .map(|window| (window.minute, Counts::$kind(window.counts.clone()))).collect(),)+
                }
            }

            /// The newest minutes, oldest first.
            #[must_use]
            pub fn open(&self) -> Vec<(Minute, Counts)> {
                match self {
                    $(Self::$kind(slice) => slice.windows().open().iter()
                        .map(|window| (window.minute, Counts::$kind(window.counts.clone()))).collect(),)+
                }
            }

            /// How many windows wait to be added to their items.
            #[must_use]
            pub fn closed_len(&self) -> usize {
                match self { $(Self::$kind(slice) => slice.windows().closed().len(),)+ }
            }

            /// Forgets what is closed of the windows: it is in their items.
            pub fn clear_closed(&mut self) {
                match self { $(Self::$kind(slice) => slice.clear_closed(),)+ }
            }
        }

        impl HistoryEntry {
            /// The record that says so.
            #[must_use]
            pub fn offset(&self) -> Offset {
                match self { $(Self::$kind(entry) => entry.offset,)+ }
            }

            /// When it happened.
            #[must_use]
            pub fn at(&self) -> Timestamp {
                match self { $(Self::$kind(entry) => entry.at,)+ }
            }

            /// The `type` of the message that tells watchers of it; nothing where only views show it.
            #[must_use]
            pub fn message_type(&self) -> Option<&'static str> {
                match self { $(Self::$kind(entry) => entry.what.message_type(),)+ }
            }

            /// The message's `data`.
            #[must_use]
            pub fn data(&self, channel: &ChannelId) -> Value {
                match self { $(Self::$kind(entry) => entry.what.data(channel),)+ }
            }

            /// Whether those who watch all channels of the kind are told, too, or only those who named this one.
            #[must_use]
            pub fn is_for_collection(&self) -> bool {
                match self { $(Self::$kind(entry) => entry.what.is_for_collection(),)+ }
            }

            /// As those see it who may not see names of people.
            #[must_use]
            #[allow(unreachable_code, reason = "a kind without history has no entries")]
            pub fn concealed(self) -> Self {
                match self { $(Self::$kind(entry) => Self::$kind(entry.concealed()),)+ }
            }
        }

        impl Counts {
            /// Takes in what later records of the same slice counted, in the same window or the next. Counts of another kind
            /// are not looked at.
            pub fn follow(&mut self, later: &Self) {
                match (self, later) {
                    $((Self::$kind(counts), Self::$kind(later)) => window::Counts::follow(counts, later),)+
                    _ => {}
                }
            }

            /// Takes in what another slice counted in the same window. Counts of another kind are not looked at.
            pub fn merge(&mut self, other: &Self) {
                match (self, other) {
                    $((Self::$kind(counts), Self::$kind(other)) => window::Counts::merge(counts, other),)+
                    _ => {}
                }
            }

            /// What a window begins with that follows this one: nothing has come, and gauges stand as they did.
            #[must_use]
            pub fn carried(&self) -> Self {
                match self { $(Self::$kind(counts) => Self::$kind(window::Counts::carried(counts)),)+ }
            }

            /// What clients see of it; counters as what came in the window, rates over `length`.
            #[must_use]
            pub fn values(&self, length: Duration) -> Map<String, Value> {
                match self { $(Self::$kind(counts) => window::Counts::values(counts, length),)+ }
            }
        }

        impl Serialize for Counts {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                match self { $(Self::$kind(counts) => counts.serialize(serializer),)+ }
            }
        }

        impl Serialize for Slice {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                match self { $(Self::$kind(slice) => slice.serialize(serializer),)+ }
            }
        }

        /// What the channel that these slices make up looks like `now`; `recent` are the newest entries of its history, as many
        /// as [`Kind::shown_entries`] says. Slices and entries of another kind are not looked at.
        #[must_use]
        pub fn view<'a>(
            channel: &ChannelId,
            slices: impl IntoIterator<Item = &'a Slice>,
            recent: impl IntoIterator<Item = &'a HistoryEntry>,
            now: Timestamp,
        ) -> View {
            match channel.kind() {
                $(Kind::$kind => {
                    let (mut merged, latest) = (<$projection>::default(), now.plus(MAX_CLOCK_LEAD));
                    for slice in slices {
                        if let Slice::$kind(slice) = slice {
                            merged.merge(&slice.state().believed(latest));
                        }
                    }
                    let recent = recent.into_iter();
                    let recent: Vec<_> =
                        recent.filter_map(|entry| if let HistoryEntry::$kind(entry) = entry { Some(entry) } else { None }).collect();
                    View::$kind(merged.view(channel, &recent, now))
                })+
            }
        }
    };
}

impl Event {
    /// How many of its words are none that we know, so that it counts for less than its producer may think.
    #[must_use]
    pub fn unknown_words(&self) -> usize {
        match self {
            Self::Campaign(event) => event.unknown_words(),
            Self::LiveEvent(_) | Self::System(_) => 0,
        }
    }
}

kinds! {
    /// One outbound calling campaign.
    Campaign => Campaign,
    /// One live event with its audience.
    LiveEvent => LiveEvent,
    /// The dialer nodes of a tenant, and Livefold itself.
    System => System,
}
