//! A point in time.

use std::{fmt, str::FromStr, time::Duration};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// Milliseconds since the Unix epoch; RFC 3339 in UTC wherever it is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(i64);

/// Two days before the year 10000, where what `jiff` reads in every zone ends.
const LATEST_MS: i64 = 253_402_128_000_000;

/// The start of the year 1; RFC 3339 knows no earlier years worth the name.
const EARLIEST_MS: i64 = -62_135_596_800_000;

/// The text is no RFC 3339 date and time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not an RFC 3339 date and time")]
pub struct BadTimestamp;

impl Timestamp {
    /// The start of 1970.
    pub const EPOCH: Self = Self(0);

    /// From milliseconds since the Unix epoch, clamped to the years 1 to 9999.
    #[must_use]
    pub fn from_millis(millis: i64) -> Self {
        Self(millis.clamp(EARLIEST_MS, LATEST_MS))
    }

    /// From RFC 3339, in which the zone may be missing and then is UTC.
    pub fn parse_assuming_utc(text: &str) -> Result<Self, BadTimestamp> {
        // What has no colon is a mere date, which is midnight to `jiff`.
        let has_time = text.contains(':');
        text.parse().or_else(|error| {
            let local: jiff::civil::DateTime = text.parse().ok().filter(|_| has_time).ok_or(error)?;
            let at = local.to_zoned(jiff::tz::TimeZone::UTC).map_err(|_| BadTimestamp)?;
            Ok(Self::from_millis(at.timestamp().as_millisecond()))
        })
    }

    /// Milliseconds since the Unix epoch.
    #[must_use]
    pub fn as_millis(self) -> i64 {
        self.0
    }

    /// Whole seconds since the Unix epoch, rounded down.
    #[must_use]
    pub fn as_seconds(self) -> i64 {
        self.0.div_euclid(1000)
    }

    /// How long after `earlier` this is; zero if it is not after it.
    #[must_use]
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_millis(u64::try_from(self.0 - earlier.0).unwrap_or(0))
    }

    /// This much later.
    #[must_use]
    pub fn plus(self, duration: Duration) -> Self {
        Self::from_millis(self.0.saturating_add(i64::try_from(duration.as_millis()).unwrap_or(LATEST_MS)))
    }

    /// The time so much earlier.
    #[must_use]
    pub fn minus(self, duration: Duration) -> Self {
        Self::from_millis(self.0.saturating_sub(i64::try_from(duration.as_millis()).unwrap_or(LATEST_MS)))
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match jiff::Timestamp::from_millisecond(self.0) {
            Ok(at) => write!(f, "{at:.3}"),
            Err(_) => write!(f, "{}", self.0),
        }
    }
}

impl FromStr for Timestamp {
    type Err = BadTimestamp;

    fn from_str(text: &str) -> Result<Self, BadTimestamp> {
        let at: jiff::Timestamp = text.parse().map_err(|_| BadTimestamp)?;
        Ok(Self::from_millis(at.as_millisecond()))
    }
}

impl Serialize for Timestamp {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Timestamp {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl de::Visitor<'_> for Visitor {
            type Value = Timestamp;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an RFC 3339 date and time")
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Timestamp, E> {
                text.parse().map_err(E::custom)
            }
        }
        deserializer.deserialize_str(Visitor)
    }
}

/// A timestamp as a number of milliseconds, which takes a third of the text's bytes; text is read as well.
pub(crate) mod millis {
    use super::{Deserializer, Serializer, Timestamp, de, fmt};

    #[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes references")]
    pub(crate) fn serialize<S: Serializer>(at: &Timestamp, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_i64(at.0)
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Timestamp, D::Error> {
        struct Visitor;
        impl de::Visitor<'_> for Visitor {
            type Value = Timestamp;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("milliseconds, or an RFC 3339 date and time")
            }

            fn visit_i64<E: de::Error>(self, millis: i64) -> Result<Timestamp, E> {
                Ok(Timestamp::from_millis(millis))
            }

            fn visit_u64<E: de::Error>(self, millis: u64) -> Result<Timestamp, E> {
                Ok(Timestamp::from_millis(i64::try_from(millis).unwrap_or(i64::MAX)))
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Timestamp, E> {
                text.parse().map_err(E::custom)
            }
        }
        deserializer.deserialize_any(Visitor)
    }
}

/// The same for a timestamp that may be missing.
pub(crate) mod optional_millis {
    use super::{Deserialize, Deserializer, Serialize, Serializer, Timestamp};

    #[derive(Serialize, Deserialize)]
    struct Millis(#[serde(with = "super::millis")] Timestamp);

    #[expect(clippy::ref_option, reason = "serde passes references")]
    pub(crate) fn serialize<S: Serializer>(at: &Option<Timestamp>, serializer: S) -> Result<S::Ok, S::Error> {
        at.map(Millis).serialize(serializer)
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Timestamp>, D::Error> {
        Ok(Option::<Millis>::deserialize(deserializer)?.map(|Millis(at)| at))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_timestamp_is_written_in_utc_with_milliseconds() {
        let at: Timestamp = "2026-01-15T11:30:00.12+01:00".parse().unwrap();
        assert_eq!(at.to_string(), "2026-01-15T10:30:00.120Z");
        assert_eq!(serde_json::to_string(&at).unwrap(), "\"2026-01-15T10:30:00.120Z\"");
    }

    #[test]
    fn a_date_without_an_offset_is_refused_where_utc_is_not_assumed() {
        assert_eq!("2026-01-15T11:30:00".parse::<Timestamp>(), Err(BadTimestamp));
        let at: Timestamp = "2026-01-15T11:30:00Z".parse().unwrap();
        assert_eq!(Timestamp::parse_assuming_utc("2026-01-15T11:30:00"), Ok(at));
        assert_eq!(Timestamp::parse_assuming_utc("2026-01-15"), Err(BadTimestamp), "a date is no time");
    }

    #[test]
    fn extremes_are_clamped_and_can_be_written() {
        for millis in [i64::MIN, i64::MAX] {
            let at = Timestamp::from_millis(millis);
            assert_eq!(at.to_string().parse::<Timestamp>(), Ok(at));
        }
    }
}
