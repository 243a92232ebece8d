//! How far a view has come.

use std::{fmt, str::FromStr};

use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use projections::{Offset, Timestamp};
use serde::{Serialize, Serializer};
use sha2::{Digest, Sha256};

/// With more positions than this the cursor names them by their hash: it goes with every message, and into a header.
const MAX_NAMED: usize = 16;

/// Bytes of the hash; enough that two sets of positions never share one.
const HASH_BYTES: usize = 16;

/// The longest cursor that is read. [`MAX_NAMED`] positions in topics with the longest names that Kafka allows (249
/// characters) take three quarters of it.
pub const MAX_CURSOR_BYTES: usize = 8 * 1024;

/// `{ordinal}.{opaque}`: of two cursors of one channel, the one with the greater ordinal belongs to the newer view.
/// The rest is not for clients to look into. It is equal where the views were made of the same records.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Cursor {
    ordinal: u64,
    opaque: String,
}

/// The text is no [`Cursor`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a cursor")]
pub struct BadCursor;

impl Cursor {
    /// The cursor over a channel's slices, each with its name and watermark. Watermarks never fall and slices never go,
    /// so that their sum orders a channel's views.
    pub fn of<'a>(positions: impl IntoIterator<Item = (&'a str, Offset)>) -> Self {
        let positions: Vec<_> = positions.into_iter().collect();
        // An offset says how many came before it: one more counts the slice's own first record.
        let records = positions.iter().map(|(_, offset)| u64::try_from(offset.saturating_add(1)).unwrap_or(0));
        let ordinal = records.fold(0, u64::saturating_add);
        let is_short = positions.len() <= MAX_NAMED;
        let named = named(positions);
        Self { ordinal, opaque: if is_short { BASE64_URL_SAFE_NO_PAD.encode(named) } else { hash(&named) } }
    }

    /// The cursor over the slices of several channels. Channels come and go, so that their offsets add up to no order;
    /// the latest time that any of them tells does. The positions are always hashed: no client resumes from a crowd.
    pub fn composite<'a>(latest: Timestamp, positions: impl IntoIterator<Item = (&'a str, Offset)>) -> Self {
        let ordinal = u64::try_from(latest.as_millis()).unwrap_or(0);
        Self { ordinal, opaque: hash(&named(positions.into_iter().collect())) }
    }

    /// Orders the views of one channel.
    #[must_use]
    pub fn ordinal(&self) -> u64 {
        self.ordinal
    }
}

/// Before any record.
impl Default for Cursor {
    fn default() -> Self {
        Self { ordinal: 0, opaque: String::new() }
    }
}

/// The positions as text, the same in whatever order they come.
fn named(mut positions: Vec<(&str, Offset)>) -> String {
    positions.sort_unstable();
    positions.iter().map(|(slice, offset)| format!("{slice}={offset}")).collect::<Vec<_>>().join(",")
}

fn hash(named: &str) -> String {
    BASE64_URL_SAFE_NO_PAD.encode(&Sha256::digest(named)[..HASH_BYTES])
}

impl fmt::Display for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.ordinal, self.opaque)
    }
}

impl FromStr for Cursor {
    type Err = BadCursor;

    fn from_str(text: &str) -> Result<Self, BadCursor> {
        let (ordinal, opaque) = text.split_once('.').ok_or(BadCursor)?;
        let is_ordinal = !ordinal.is_empty() && ordinal.bytes().all(|b| b.is_ascii_digit());
        let is_opaque = opaque.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_'));
        if text.len() > MAX_CURSOR_BYTES || !is_ordinal || !is_opaque {
            return Err(BadCursor);
        }
        Ok(Self { ordinal: ordinal.parse().map_err(|_| BadCursor)?, opaque: opaque.to_owned() })
    }
}

impl Serialize for Cursor {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_counts_records_and_names_its_positions_whatever_their_order() {
        let cursor = Cursor::of([("1/t/2", 9), ("1/t/0", 4)]);
        assert_eq!(cursor.to_string(), "15.MS90LzA9NCwxL3QvMj05");
        assert_eq!(BASE64_URL_SAFE_NO_PAD.decode("MS90LzA9NCwxL3QvMj05").unwrap(), b"1/t/0=4,1/t/2=9");
        assert_eq!(cursor, Cursor::of([("1/t/0", 4), ("1/t/2", 9)]));
        assert_eq!(serde_json::to_string(&cursor).unwrap(), "\"15.MS90LzA9NCwxL3QvMj05\"");
    }

    #[test]
    fn the_first_record_of_a_partition_moves_the_cursor() {
        assert_eq!(Cursor::default().to_string(), "0.");
        assert_eq!(Cursor::of([]), Cursor::default());
        assert_eq!(Cursor::of([("1/t/0", 0)]).ordinal(), 1);
    }

    #[test]
    fn many_positions_are_named_by_their_hash() {
        let names: Vec<String> = (0..17).map(|partition| format!("1/t/{partition}")).collect();
        let over = |moved: i64, count: usize| {
            let positions = names[..count].iter().map(String::as_str);
            Cursor::of(positions.enumerate().map(|(index, name)| (name, if index == 0 { moved } else { 1 })))
        };
        assert_eq!(over(1, 17).to_string(), "34.LbBWIevhAcA0CfcoEag1mA");
        assert_ne!(over(2, 17).opaque, over(1, 17).opaque);
        assert!(over(1, 16).opaque.len() > over(1, 17).opaque.len());
    }

    #[test]
    fn a_cursor_over_channels_is_ordered_by_time() {
        let cursor = Cursor::composite(Timestamp::from_millis(1_768_473_000_120), [("0/1/t/0", 7)]);
        assert_eq!(cursor.to_string(), "1768473000120.lQrwTWGJZUvDWWOju8TvXw");
        assert_eq!(Cursor::composite(Timestamp::from_millis(-1), []).ordinal(), 0);
    }

    #[test]
    fn a_cursor_reads_back_and_anything_else_does_not() {
        for cursor in [Cursor::default(), Cursor::of([("1/t/0", 4)]), Cursor::of([("x", i64::MAX), ("y", i64::MAX)])] {
            assert_eq!(cursor.to_string().parse(), Ok(cursor));
        }
        let long = format!("1.{}", "A".repeat(MAX_CURSOR_BYTES));
        for bad in ["", "1", ".", "x.", "-1.", "+1.", "1.é", "1.a b", "1.a\"", "99999999999999999999.", &long] {
            assert_eq!(bad.parse::<Cursor>(), Err(BadCursor), "{bad:?}");
        }
    }
}
