//! The part of a channel's state that one Kafka partition feeds.

use std::{borrow::Cow, time::Duration};

use serde::{Deserialize, Serialize};

use crate::{
    Projection, Timestamp,
    history::{Chunk, Entry, Recorder, Tail, cut},
    window::Windows,
};

/// Times in a state may be this far ahead of who looks at it: clocks of two functions differ by less. What is further
/// ahead comes from a producer.
pub const MAX_CLOCK_LEAD: Duration = Duration::from_mins(5);

/// A position in a Kafka partition. Offsets have holes: compare them, never count with them.
pub type Offset = i64;

/// A projection's state together with the offset up to which records have been folded into it. The two are stored in
/// one item, in one write; that is what makes counting exact.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(bound = "")]
pub struct Slice<P: Projection> {
    /// The offset of the last record that was folded in; `None` before the first.
    #[serde(rename = "offset")]
    watermark: Option<Offset>,
    /// The latest time of any record folded in.
    #[serde(with = "crate::timestamp::optional_millis")]
    event_time: Option<Timestamp>,
    /// What has been counted.
    state: P,
    /// How far history goes.
    #[serde(default)]
    history: Tail,
    /// What came in the last minutes.
    #[serde(default)]
    windows: Windows<P::Counts>,
    /// What happened since [`Self::cut`].
    #[serde(skip)]
    entries: Vec<Entry<P::Entry>>,
}

/// What became of a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fold {
    /// It changed the slice.
    Applied,
    /// It had been folded in before: Kafka delivers at least once.
    Seen,
    /// Its offset was seen, but it is newer than all that was: the topic was made again and its offsets restarted.
    /// Only a new `TOPIC_EPOCH` can tell the two apart.
    Regressed,
}

impl<P: Projection> Default for Slice<P> {
    fn default() -> Self {
        Self {
            watermark: None,
            event_time: None,
            state: P::default(),
            history: Tail::default(),
            windows: Windows::default(),
            entries: Vec::new(),
        }
    }
}

impl<P: Projection> Slice<P> {
    /// Folds in the record at `offset`, unless it has been.
    pub fn fold(&mut self, offset: Offset, at: Timestamp, event: &P::Event) -> Fold {
        if self.watermark.is_some_and(|watermark| offset <= watermark) {
            return if Some(at) > self.event_time { Fold::Regressed } else { Fold::Seen };
        }
        self.state.apply(event, at, &mut Recorder { offset, at, entries: &mut self.entries });
        if P::HAS_WINDOWS {
            let state = &self.state;
            self.windows.count(at, |counts, is_newest| {
                P::count(event, counts);
                if is_newest {
                    state.note_gauges(counts);
                }
            });
        }
        self.watermark = Some(offset);
        self.event_time = self.event_time.max(Some(at));
        Fold::Applied
    }

    /// Lets go of times that cannot be, as of `now`: see [`Projection::believed`].
    pub fn disbelieve_future(&mut self, now: Timestamp) {
        let latest = now.plus(MAX_CLOCK_LEAD);
        if let Cow::Owned(state) = self.state.believed(latest) {
            self.state = state;
        }
        self.event_time = self.event_time.min(Some(latest));
        self.windows.close_after(latest);
    }

    /// What happened since this was called last, to be stored before the slice is; from then on the slice says that it
    /// did. The slice was stored at the watermark `base` before the records were folded in.
    pub fn cut(&mut self, base: Option<Offset>) -> Vec<Chunk> {
        let chunks = cut(&std::mem::take(&mut self.entries), base, self.history);
        self.history = chunks.last().map_or(self.history, Chunk::tail);
        chunks
    }

    /// The offset up to which records have been folded in.
    #[must_use]
    pub fn watermark(&self) -> Option<Offset> {
        self.watermark
    }

    /// The latest time of any record folded in.
    #[must_use]
    pub fn event_time(&self) -> Option<Timestamp> {
        self.event_time
    }

    /// What has been counted.
    #[must_use]
    pub fn state(&self) -> &P {
        &self.state
    }

    /// How far history goes.
    #[must_use]
    pub fn history(&self) -> Tail {
        self.history
    }

    /// What came in the last minutes.
    #[must_use]
    pub fn windows(&self) -> &Windows<P::Counts> {
        &self.windows
    }

    /// Forgets what is closed of the windows: it is in their items.
    pub fn clear_closed(&mut self) {
        self.windows.clear_closed();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::live_event::{Event, LiveEvent};

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_millis(seconds * 1000)
    }

    #[test]
    fn a_record_is_folded_once_and_holes_in_the_offsets_are_no_matter() {
        let mut slice = Slice::<LiveEvent>::default();
        assert_eq!(slice.fold(3, at(1), &Event::MessageSent), Fold::Applied);
        assert_eq!(slice.fold(9, at(2), &Event::MessageSent), Fold::Applied);
        assert_eq!(slice.fold(3, at(1), &Event::MessageSent), Fold::Seen);
        assert_eq!(slice.fold(9, at(2), &Event::MessageSent), Fold::Seen);
        assert_eq!(slice.watermark(), Some(9));
    }

    #[test]
    fn a_newer_record_at_an_old_offset_betrays_a_topic_made_again() {
        let mut slice = Slice::<LiveEvent>::default();
        slice.fold(50_000, at(10), &Event::MessageSent);
        assert_eq!(slice.fold(0, at(11), &Event::MessageSent), Fold::Regressed);
    }

    #[test]
    fn a_record_of_the_future_does_not_keep_the_newest_time_of_a_slice_for_good() {
        let mut slice = Slice::<LiveEvent>::default();
        slice.fold(1, at(1_000_000), &Event::MessageSent);
        slice.disbelieve_future(at(1_000));
        assert_eq!(slice.event_time(), Some(at(1_000).plus(MAX_CLOCK_LEAD)));
        assert_eq!(
            (slice.watermark(), slice.state().clone()),
            (Some(1), {
                let mut live = LiveEvent::default();
                live.apply(
                    &Event::MessageSent,
                    at(1),
                    &mut Recorder { offset: 1, at: at(1), entries: &mut Vec::new() },
                );
                live
            })
        );
    }
}
