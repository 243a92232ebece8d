//! The kinds of channels, and the types that hold one of any kind.

use serde::{Deserializer, Serialize, Serializer};

use crate::{
    ChannelId, Fold, Listing, Offset, Projection, Timestamp,
    campaign::Campaign,
    live_event::LiveEvent,
    notice::{NewNotices, Totals},
    slice::{self, MAX_CLOCK_LEAD},
    system::System,
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

            /// Version of the stored state.
            #[must_use]
            pub const fn version(self) -> u32 {
                match self { $(Self::$kind => <$projection>::VERSION,)+ }
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

            /// The notices that came after the totals of last time.
            #[must_use]
            pub fn news(&self, channel: &ChannelId, seen: &Totals) -> NewNotices {
                match self { $(Self::$kind(slice) => slice.notices().news(channel, seen),)+ }
            }

            /// How many notices of each type there ever were.
            #[must_use]
            pub fn notice_totals(&self) -> Totals {
                match self { $(Self::$kind(slice) => slice.notices().totals(),)+ }
            }
        }

        impl Serialize for Slice {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                match self { $(Self::$kind(slice) => slice.serialize(serializer),)+ }
            }
        }

        /// What the channel that these slices make up looks like `now`. Slices of another kind are not looked at.
        #[must_use]
        pub fn view<'a>(channel: &ChannelId, slices: impl IntoIterator<Item = &'a Slice>, now: Timestamp) -> View {
            match channel.kind() {
                $(Kind::$kind => {
                    let (mut merged, latest) = (<$projection>::default(), now.plus(MAX_CLOCK_LEAD));
                    for slice in slices {
                        if let Slice::$kind(slice) = slice {
                            merged.merge(&slice.state().believed(latest));
                        }
                    }
                    View::$kind(merged.view(channel, now))
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
