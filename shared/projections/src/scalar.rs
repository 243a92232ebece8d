//! A field of a record, whatever its producer wrote there: `"456"` and `456`, `41.5` and `"41.5"`, `5` and `5.0`.

use std::{borrow::Cow, fmt};

use serde::{
    Deserialize, Deserializer,
    de::{self, IgnoredAny, MapAccess, SeqAccess},
};

use crate::{BadRecord, Id, TenantId, Timestamp};

/// The longest text of an id that is no key, and of a name, that is kept, in characters; the rest is cut.
const MAX_LABEL: usize = 200;

/// Whole numbers up to here are exact in a floating-point number.
const MAX_EXACT: f64 = 9_007_199_254_740_992.0;

/// A value of JSON that is no `null`. Text borrows from the record where no escape stands in it.
#[derive(Debug)]
pub(crate) enum Scalar<'a> {
    Text(Cow<'a, str>),
    Integer(i128),
    Float(f64),
    /// Of no use in any field: a boolean, an array, an object.
    Other,
}

impl Scalar<'_> {
    /// Whether there is nothing in it, as in what comes out of a table with an empty cell.
    pub(crate) fn is_blank(&self) -> bool {
        matches!(self, Self::Text(text) if text.trim_ascii().is_empty())
    }

    /// A word, to be looked up.
    pub(crate) fn word(&self, field: &'static str) -> Result<&str, BadRecord> {
        match self {
            Self::Text(text) => Ok(text.trim_ascii()),
            _ => Err(BadRecord::WrongType { field, expected: "a string" }),
        }
    }

    /// An id that is part of keys.
    pub(crate) fn id(&self, field: &'static str) -> Result<Id, BadRecord> {
        match self {
            Self::Text(text) => Id::parse(text),
            Self::Integer(number) => Id::parse(&number.to_string()),
            Self::Float(_) | Self::Other => {
                return Err(BadRecord::WrongType { field, expected: "a string or a whole number" });
            }
        }
        .map_err(|_| BadRecord::BadId(field))
    }

    /// A tenant's id.
    pub(crate) fn tenant(&self, field: &'static str) -> Result<TenantId, BadRecord> {
        self.id(field).map(TenantId::from)
    }

    /// A name, or an id that is in no key: any text or number, cut to what is kept.
    pub(crate) fn label(&self, field: &'static str) -> Result<String, BadRecord> {
        match self {
            Self::Text(text) => Ok(text.chars().take(MAX_LABEL).collect()),
            Self::Integer(number) => Ok(number.to_string()),
            Self::Float(number) => Ok(number.to_string()),
            Self::Other => Err(BadRecord::WrongType { field, expected: "a string or a number" }),
        }
    }

    /// A quantity.
    pub(crate) fn number(&self, field: &'static str) -> Result<f64, BadRecord> {
        let number = match self {
            Self::Integer(number) => Some(*number as f64),
            Self::Float(number) => Some(*number),
            // As JSON would have it: Rust's own reading also takes `+15550100`, `inf` and `nan`.
            Self::Text(text) => serde_json::from_str(text.trim_ascii()).ok(),
            Self::Other => None,
        };
        number.ok_or(BadRecord::WrongType { field, expected: "a number" })
    }

    /// How many there are.
    pub(crate) fn count(&self, field: &'static str) -> Result<u64, BadRecord> {
        let count = match self {
            Self::Integer(number) => u64::try_from(*number).ok(),
            _ => self.number(field).ok().and_then(whole),
        };
        count.ok_or(BadRecord::WrongType { field, expected: "a whole number from 0" })
    }

    /// A point in time: RFC 3339, in UTC where it names no zone, or seconds or milliseconds since the Unix epoch.
    pub(crate) fn time(&self, field: &'static str) -> Result<Timestamp, BadRecord> {
        let at = match self {
            Self::Text(text) => {
                let text = text.trim_ascii();
                Timestamp::parse_assuming_utc(text).ok().or_else(|| since_epoch(serde_json::from_str(text).ok()?))
            }
            Self::Integer(number) => since_epoch(*number as f64),
            Self::Float(number) => since_epoch(*number),
            Self::Other => None,
        };
        at.ok_or(BadRecord::WrongType { field, expected: "an RFC 3339 date and time, or seconds or ms since 1970" })
    }
}

fn whole(number: f64) -> Option<u64> {
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "checked to be whole and in bounds")]
    ((0.0..=MAX_EXACT).contains(&number) && number.fract() == 0.0).then_some(number as u64)
}

/// Seconds are told from milliseconds by their size: what would be the year 5138 in the one is 1973 in the other. Below
/// are dates without separators (`20260115`) and no times of calls; zero and less say that the time is not known.
fn since_epoch(number: f64) -> Option<Timestamp> {
    const SECONDS_FROM: f64 = 1e9;
    const MILLIS_FROM: f64 = 1e11;
    const MILLIS_TO: f64 = 1e14;

    let millis = match number {
        _ if number <= 0.0 => return Some(Timestamp::EPOCH),
        _ if (SECONDS_FROM..MILLIS_FROM).contains(&number) => number * 1e3,
        _ if (MILLIS_FROM..MILLIS_TO).contains(&number) => number,
        _ => return None,
    };
    #[expect(clippy::cast_possible_truncation, reason = "below 1e14")]
    Some(Timestamp::from_millis(millis.round() as i64))
}

impl<'de: 'a, 'a> Deserialize<'de> for Scalar<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl<'de> de::Visitor<'de> for Visitor {
            type Value = Scalar<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("any value")
            }

            fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Scalar<'de>, E> {
                Ok(Scalar::Text(text.into()))
            }

            fn visit_str<E>(self, text: &str) -> Result<Scalar<'de>, E> {
                Ok(Scalar::Text(text.to_owned().into()))
            }

            fn visit_u64<E>(self, number: u64) -> Result<Scalar<'de>, E> {
                Ok(Scalar::Integer(number.into()))
            }

            fn visit_i64<E>(self, number: i64) -> Result<Scalar<'de>, E> {
                Ok(Scalar::Integer(number.into()))
            }

            fn visit_f64<E>(self, number: f64) -> Result<Scalar<'de>, E> {
                Ok(Scalar::Float(number))
            }

            fn visit_bool<E>(self, _: bool) -> Result<Scalar<'de>, E> {
                Ok(Scalar::Other)
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Scalar<'de>, A::Error> {
                while items.next_element::<IgnoredAny>()?.is_some() {}
                Ok(Scalar::Other)
            }

            fn visit_map<A: MapAccess<'de>>(self, mut fields: A) -> Result<Scalar<'de>, A::Error> {
                while fields.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
                Ok(Scalar::Other)
            }
        }
        deserializer.deserialize_any(Visitor)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scalar(json: &str) -> Scalar<'_> {
        serde_json::from_str(json).unwrap()
    }

    #[test]
    fn a_quantity_is_taken_as_a_number_and_as_text() {
        for json in ["41.5", r#""41.5""#, r#"" 41.50 ""#, r#""4.15e1""#] {
            assert_eq!(scalar(json).number("duration"), Ok(41.5), "{json}");
        }
        for json in ["true", "{}", "[1]", r#""""#, r#""41,5""#, r#""long""#, r#""+15550100""#, r#""inf""#] {
            let bad = scalar(json).number("duration").unwrap_err();
            assert_eq!(bad, BadRecord::WrongType { field: "duration", expected: "a number" }, "{json}");
        }
    }

    #[test]
    fn a_reason_never_repeats_what_the_record_held() {
        let bad = scalar(r#""ring 555 0100""#).number("duration").unwrap_err();
        assert!(!bad.to_string().contains("555"), "{bad}");
    }

    #[test]
    fn a_count_is_whole_however_it_is_written() {
        for json in ["5", "5.0", r#""5""#, r#""5.0""#, "5e0"] {
            assert_eq!(scalar(json).count("queueDepth"), Ok(5), "{json}");
        }
        for json in ["-1", "5.5", r#""-1""#, r#""NaN""#, "1e300", "[]"] {
            assert!(scalar(json).count("queueDepth").is_err(), "{json}");
        }
    }

    #[test]
    fn a_key_is_an_id_or_a_whole_number() {
        for (json, id) in [("456", "456"), (r#""c-17""#, "c-17"), ("-1", "-1")] {
            assert_eq!(scalar(json).id("campaignId").unwrap().as_str(), id);
        }
        assert_eq!(scalar(r#""a b""#).id("campaignId"), Err(BadRecord::BadId("campaignId")));
        for json in ["4.5", "456.0", "true", "{}"] {
            assert!(matches!(scalar(json).id("campaignId"), Err(BadRecord::WrongType { .. })), "{json}");
        }
    }

    #[test]
    fn what_is_no_key_is_any_text_or_number_cut_to_what_is_kept() {
        for (json, label) in [
            (r#""a84b4c76e66710@pc33.example.com""#, "a84b4c76e66710@pc33.example.com"),
            (r#""{3F2504E0-4F89-11D3-9A0C-0305E82C3301}""#, "{3F2504E0-4F89-11D3-9A0C-0305E82C3301}"),
            (r#""q8Wv+/=""#, "q8Wv+/="),
            ("17", "17"),
            ("1.5", "1.5"),
        ] {
            assert_eq!(scalar(json).label("callId").unwrap(), label);
        }
        let long = format!(r#""{}""#, "é".repeat(201));
        assert_eq!(scalar(&long).label("callId").unwrap(), "é".repeat(200));
        assert!(scalar("[]").label("callId").is_err());
    }

    #[test]
    fn a_time_is_rfc_3339_with_or_without_a_zone_or_seconds_or_milliseconds() {
        let at = Timestamp::from_millis(1_768_473_000_000);
        for json in [
            r#""2026-01-15T10:30:00Z""#,
            r#""2026-01-15T12:30:00+02:00""#,
            r#""2026-01-15T10:30:00""#,
            r#""2026-01-15 10:30:00.000""#,
            "1768473000",
            "1768473000.0",
            r#""1768473000""#,
            "1768473000000",
            r#""1768473000000""#,
            "1.768473e12",
        ] {
            assert_eq!(scalar(json).time("timestamp"), Ok(at), "{json}");
        }
        assert_eq!(scalar("1768473000.25").time("timestamp"), Ok(Timestamp::from_millis(1_768_473_000_250)));
        for json in ["0", "-1", r#""0""#] {
            assert_eq!(scalar(json).time("timestamp"), Ok(Timestamp::EPOCH), "{json} says that it is not known");
        }
        for json in
            ["20260115", "2026", r#""soon""#, r#""2026-01-15""#, r#""2026-01-15T10:30:00+99:00""#, "true", "1e99"]
        {
            assert!(scalar(json).time("timestamp").is_err(), "{json}");
        }
    }
}
