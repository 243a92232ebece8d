//! A Kafka record, and what of it every topic shares: tenant and time.

use serde::Deserialize;
use serde_json::Value;

use crate::{BadRecord, ChannelId, Event, TenantId, Timestamp, scalar::Scalar};

/// What some editors and Windows programs put before UTF-8.
pub(crate) const BYTE_ORDER_MARK: &str = "\u{feff}";

/// One record as Kafka holds it.
#[derive(Clone, Copy, Debug)]
pub struct Record<'a> {
    /// The topic that it was read from.
    pub topic: &'a str,
    /// Kafka's own time of the record, or the time when it was read from Kafka where that is earlier. Kafka's may be the
    /// producer's too, whose clock may lead; nothing in the record is taken to have happened later than this.
    pub timestamp: Timestamp,
    /// Whose data it is when the value does not say.
    pub default_tenant: Option<&'a TenantId>,
    /// The bytes of its value; empty for a tombstone.
    pub value: &'a [u8],
}

/// A decoded record as it concerns one channel.
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

impl<'a> Record<'a> {
    /// Parses the value. The fast path reads it once; only where that fails is it read again to find out why.
    pub(crate) fn parse<T: Deserialize<'a>>(&self) -> Result<T, BadRecord> {
        if self.value.is_empty() {
            return Err(BadRecord::Empty);
        }
        let text = std::str::from_utf8(self.value).map_err(|_| BadRecord::NotUtf8)?;
        let text = text.strip_prefix(BYTE_ORDER_MARK).unwrap_or(text);
        // serde would take an array for an object's fields in order.
        if text.trim_ascii_start().starts_with('[') {
            return Err(BadRecord::NotAnObject);
        }
        serde_json::from_str(text).map_err(|error| diagnose(text, &error))
    }

    /// Whose record it is.
    pub(crate) fn tenant(
        &self,
        tenant_id: Option<&Scalar<'_>>,
        organization_id: Option<&Scalar<'_>>,
    ) -> Result<TenantId, BadRecord> {
        match (tenant_id, organization_id) {
            (Some(id), _) => id.tenant("tenantId"),
            (None, Some(id)) => id.tenant("organizationId"),
            (None, None) => self.default_tenant.cloned().ok_or(BadRecord::NoTenant),
        }
    }

    /// When it happened: what the value says, but never after Kafka had it. A dialer whose clock leads would otherwise push
    /// all others out of the window of rates, keep its gauges for as long as it leads, and look alive after it died.
    pub(crate) fn event_time(&self, given: Option<&Scalar<'_>>) -> Result<Timestamp, BadRecord> {
        let Some(given) = given.filter(|given| !given.is_blank()) else { return Ok(self.timestamp) };
        let at = given.time("timestamp")?;
        // Zero, in whatever form, is the time of who has none.
        Ok(if at <= Timestamp::EPOCH { self.timestamp } else { at.min(self.timestamp) })
    }
}

/// A required field's value.
pub(crate) fn required<T>(value: Option<T>, field: &'static str) -> Result<T, BadRecord> {
    value.ok_or(BadRecord::Missing(field))
}

/// A quantity in thousandths or millionths, so that sums of it are exact in any order.
pub(crate) fn fixed_point(value: &Scalar<'_>, per_unit: f64, field: &'static str) -> Result<u64, BadRecord> {
    /// More than any call costs or lasts, in units of the fixed point; a sum of four million such still fits.
    const LIMIT: f64 = 4e12;
    let value = value.number(field)?;
    if !(0.0..=LIMIT / per_unit).contains(&value) {
        return Err(BadRecord::WrongType { field, expected: "a quantity from 0, within reason" });
    }
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "checked to lie between 0 and 4e12")]
    Ok((value * per_unit).round() as u64)
}

fn diagnose(text: &str, error: &serde_json::Error) -> BadRecord {
    match serde_json::from_str::<Value>(text) {
        Err(_) => BadRecord::NotJson { line: error.line(), column: error.column() },
        // Fields take values of any type, so all that is left is one that stands there twice.
        Ok(Value::Object(_)) => BadRecord::TwiceGiven,
        Ok(_) => BadRecord::NotAnObject,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(value: &[u8]) -> Record<'_> {
        Record { topic: "t", timestamp: Timestamp::from_millis(1_000_000), default_tenant: None, value }
    }

    #[test]
    fn nothing_happened_after_kafka_had_the_record() {
        let record = record(b"{}");
        let given = |millis| Scalar::Text(Timestamp::from_millis(millis).to_string().into());
        assert_eq!(record.event_time(Some(&given(900_000))), Ok(Timestamp::from_millis(900_000)));
        assert_eq!(record.event_time(Some(&given(1_000_001))), Ok(record.timestamp));
        for unknown in [None, Some(&given(0)), Some(&Scalar::Integer(-1)), Some(&Scalar::Text("".into()))] {
            assert_eq!(record.event_time(unknown), Ok(record.timestamp), "{unknown:?}");
        }
    }

    #[test]
    fn what_is_no_object_is_told_apart() {
        let parse = |value: &'static [u8]| record(value).parse::<serde::de::IgnoredAny>().err();
        assert_eq!(parse(b""), Some(BadRecord::Empty));
        assert_eq!(parse(b"\xff\xfe"), Some(BadRecord::NotUtf8));
        assert_eq!(parse(b" [1]"), Some(BadRecord::NotAnObject));
        assert_eq!(parse(b"{\"a\":"), Some(BadRecord::NotJson { line: 1, column: 5 }));
    }
}
