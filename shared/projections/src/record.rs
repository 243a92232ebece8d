//! A Kafka record, and what of it every topic shares: tenant and time.

use std::{borrow::Cow, time::Duration};

use serde::Deserialize;
use serde_json::Value;

use crate::{BadRecord, ChannelId, Event, Id, TenantId, Timestamp, id};

/// A dialer's clock may run this far ahead of Kafka's before it is not believed: one that is wrong by more would
/// freeze every gauge that keeps the newest value.
const MAX_CLOCK_LEAD: Duration = Duration::from_mins(5);

/// The longest name of a person or a campaign that is kept, in characters; the rest is cut.
const MAX_NAME: usize = 200;

/// One record as Kafka holds it.
#[derive(Clone, Copy, Debug)]
pub struct Record<'a> {
    /// The topic that it was read from.
    pub topic: &'a str,
    /// Kafka's own time of the record.
    pub timestamp: Timestamp,
    /// Whose data it is when the value does not say.
    pub default_tenant: Option<&'a TenantId>,
    /// The bytes of its value; empty for a tombstone.
    pub value: &'a [u8],
}

/// A decoded record, and the channel whose state it changes.
#[derive(Clone, Debug)]
pub struct Routed {
    /// Who owns it.
    pub tenant: TenantId,
    /// What it changes.
    pub channel: ChannelId,
    /// When it happened.
    pub at: Timestamp,
    /// How it changes it.
    pub event: Event,
}

/// What a field has to be; the text stands in the reason of a bad record.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Shape {
    Text,
    Number,
    Count,
    CheckIn,
}

impl Shape {
    fn describe(self) -> &'static str {
        match self {
            Self::Text => "a string",
            Self::Number => "a number",
            Self::Count => "a whole number from 0",
            Self::CheckIn => "an object with the strings `id` and `name`",
        }
    }

    fn fits(self, value: &Value) -> bool {
        match self {
            Self::Text => value.is_string(),
            Self::Number => value.is_number(),
            Self::Count => value.is_u64(),
            Self::CheckIn => {
                let text_or_nothing = |key| value.get(key).is_none_or(|field| field.is_null() || field.is_string());
                value.is_object() && text_or_nothing("id") && text_or_nothing("name")
            }
        }
    }
}

/// A string that borrows from the record where no escape stands in it. (`Option<Cow<str>>` alone would always copy.)
#[derive(Debug, Deserialize)]
#[serde(transparent)]
pub(crate) struct Text<'a>(#[serde(borrow)] Cow<'a, str>);

impl Text<'_> {
    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

impl<'a> Record<'a> {
    /// Parses the value. The fast path reads it once; only where that fails is it read again to find out why.
    pub(crate) fn parse<T: Deserialize<'a>>(&self, fields: &[(&'static str, Shape)]) -> Result<T, BadRecord> {
        if self.value.is_empty() {
            return Err(BadRecord::Empty);
        }
        let text = std::str::from_utf8(self.value).map_err(|_| BadRecord::NotUtf8)?;
        // serde would take an array for an object's fields in order.
        if text.trim_ascii_start().starts_with('[') {
            return Err(BadRecord::NotAnObject);
        }
        serde_json::from_str(text).map_err(|error| diagnose(text, fields, &error))
    }

    /// Whose record it is.
    pub(crate) fn tenant(
        &self,
        tenant_id: Option<&Text<'_>>,
        organization_id: Option<&Text<'_>>,
    ) -> Result<TenantId, BadRecord> {
        match (tenant_id, organization_id) {
            (Some(text), _) => TenantId::parse(text.as_str()).map_err(|_| BadRecord::BadId("tenantId")),
            (None, Some(text)) => TenantId::parse(text.as_str()).map_err(|_| BadRecord::BadId("organizationId")),
            (None, None) => self.default_tenant.cloned().ok_or(BadRecord::NoTenant),
        }
    }

    /// When it happened: what the value says, unless that is too far ahead to be believed.
    pub(crate) fn event_time(&self, given: Option<&Text<'_>>) -> Result<Timestamp, BadRecord> {
        let Some(given) = given else { return Ok(self.timestamp) };
        let wrong = BadRecord::WrongType { field: "timestamp", expected: "an RFC 3339 date and time" };
        let at: Timestamp = given.as_str().parse().map_err(|_| wrong)?;
        Ok(if at > self.timestamp.plus(MAX_CLOCK_LEAD) { self.timestamp } else { at })
    }
}

/// A required field's value.
pub(crate) fn required<T>(value: Option<T>, field: &'static str) -> Result<T, BadRecord> {
    value.ok_or(BadRecord::Missing(field))
}

/// A required field that holds an id.
pub(crate) fn required_id(value: Option<&Text<'_>>, field: &'static str) -> Result<Id, BadRecord> {
    Id::parse(required(value, field)?.as_str()).map_err(|_| BadRecord::BadId(field))
}

/// Checks a field that may be there and then holds an id.
pub(crate) fn optional_id(value: Option<&Text<'_>>, field: &'static str) -> Result<(), BadRecord> {
    match value {
        Some(text) if !id::is_valid(text.as_str()) => Err(BadRecord::BadId(field)),
        _ => Ok(()),
    }
}

/// A quantity in thousandths or millionths, so that sums of it are exact in any order.
pub(crate) fn fixed_point(value: f64, per_unit: f64, field: &'static str) -> Result<u64, BadRecord> {
    /// More than any call costs or lasts, in units of the fixed point; a sum of four million such still fits.
    const LIMIT: f64 = 4e12;
    if !(0.0..=LIMIT / per_unit).contains(&value) {
        return Err(BadRecord::WrongType { field, expected: "a quantity from 0, within reason" });
    }
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "checked to lie between 0 and 4e12")]
    Ok((value * per_unit).round() as u64)
}

/// A name for people, cut to what is kept.
pub(crate) fn name(text: &Text<'_>) -> String {
    text.as_str().chars().take(MAX_NAME).collect()
}

fn diagnose(text: &str, fields: &[(&'static str, Shape)], error: &serde_json::Error) -> BadRecord {
    let Ok(value) = serde_json::from_str::<Value>(text) else {
        return BadRecord::NotJson { line: error.line(), column: error.column() };
    };
    let Value::Object(object) = value else { return BadRecord::NotAnObject };
    fields
        .iter()
        .find(|(field, shape)| object.get(*field).is_some_and(|value| !value.is_null() && !shape.fits(value)))
        .map_or(BadRecord::TwiceGiven, |(field, shape)| BadRecord::WrongType { field, expected: shape.describe() })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(value: &[u8]) -> Record<'_> {
        Record { topic: "t", timestamp: Timestamp::from_millis(1_000_000), default_tenant: None, value }
    }

    #[test]
    fn a_clock_more_than_five_minutes_ahead_is_not_believed() {
        let record = record(b"{}");
        let given = |millis| Text(Timestamp::from_millis(millis).to_string().into());
        assert_eq!(record.event_time(Some(&given(1_300_000))), Ok(Timestamp::from_millis(1_300_000)));
        assert_eq!(record.event_time(Some(&given(1_300_001))), Ok(record.timestamp));
        assert_eq!(record.event_time(None), Ok(record.timestamp));
    }

    #[test]
    fn a_reason_never_repeats_what_the_record_held() {
        #[derive(Debug, Deserialize)]
        struct Call {
            #[expect(dead_code)]
            duration: Option<f64>,
        }
        let fields = [("duration", Shape::Number)];
        let bad = record(br#"{"duration":"+15550100"}"#).parse::<Call>(&fields).unwrap_err();
        assert_eq!(bad, BadRecord::WrongType { field: "duration", expected: "a number" });
        assert!(!bad.to_string().contains("555"));
    }

    #[test]
    fn what_is_no_object_is_told_apart() {
        let parse = |value: &'static [u8]| record(value).parse::<serde::de::IgnoredAny>(&[]).err();
        assert_eq!(parse(b""), Some(BadRecord::Empty));
        assert_eq!(parse(b"\xff\xfe"), Some(BadRecord::NotUtf8));
        assert_eq!(parse(b" [1]"), Some(BadRecord::NotAnObject));
        assert_eq!(parse(b"{\"a\":"), Some(BadRecord::NotJson { line: 1, column: 5 }));
    }
}
