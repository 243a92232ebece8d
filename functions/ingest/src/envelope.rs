//! The event that an MSK event source mapping sends.
//!
//! `aws_lambda_events` has this type too, but owns every string of it; here they are borrowed from the payload, which
//! halves the time to read a batch. Keys and headers are not read: routing is by what the value says.
//! <https://docs.aws.amazon.com/lambda/latest/dg/with-msk.html>

use std::{borrow::Cow, collections::BTreeMap};

use projections::Timestamp;
use serde::Deserialize;

/// A batch of records of one topic, of one or several partitions.
#[derive(Debug, Deserialize)]
pub(crate) struct Envelope<'a> {
    /// By `{topic}-{partition}`; each record says both again.
    #[serde(borrow)]
    records: BTreeMap<String, Vec<Enveloped<'a>>>,
}

/// One record as the mapping sends it.
#[derive(Debug, Deserialize)]
pub(crate) struct Enveloped<'a> {
    #[serde(borrow)]
    pub(crate) topic: Cow<'a, str>,
    pub(crate) partition: i32,
    pub(crate) offset: i64,
    /// Milliseconds since the Unix epoch, by the producer's clock or the broker's, as the topic is configured.
    pub(crate) timestamp: i64,
    #[serde(borrow)]
    value: Option<Text<'a>>,
}

/// A string that borrows from the payload where no escape stands in it. (`Option<Cow<str>>` alone would always copy.)
#[derive(Debug, Deserialize)]
#[serde(transparent)]
struct Text<'a>(#[serde(borrow)] Cow<'a, str>);

/// The payload is not what an MSK event source mapping sends: the function is wired to something else.
#[derive(Debug, thiserror::Error)]
#[error("not an MSK event (line {line}, column {column})")]
pub struct NotAnEvent {
    line: usize,
    column: usize,
}

impl Enveloped<'_> {
    /// The value in base64; `None` for a tombstone.
    pub(crate) fn base64(&self) -> Option<&[u8]> {
        self.value.as_ref().map(|text| text.0.as_bytes())
    }

    /// When Kafka had it: never later than `now`, for Kafka's time may be that of a producer whose clock leads; and `now`
    /// where Kafka has none, which it says as -1 and some producers as 0.
    pub(crate) fn arrived_at(&self, now: Timestamp) -> Timestamp {
        if self.timestamp > 0 { Timestamp::from_millis(self.timestamp).min(now) } else { now }
    }
}

impl<'a> Envelope<'a> {
    pub(crate) fn parse(payload: &'a str) -> Result<Self, NotAnEvent> {
        // The error's own text could repeat content.
        serde_json::from_str(payload).map_err(|error| NotAnEvent { line: error.line(), column: error.column() })
    }

    pub(crate) fn records(&self) -> impl Iterator<Item = &Enveloped<'a>> {
        self.records.values().flatten()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_is_read_whatever_stands_beside_its_fields() {
        let payload = r#"{"eventSource":"aws:kafka","records":{"t-3":[
            {"topic":"t","partition":3,"offset":7,"timestamp":12,"timestampType":"CREATE_TIME","key":null,
             "value":"QQ==","headers":[{"a":[1,-2]}],"schemaMetadata":{}},
            {"topic":"t","partition":3,"offset":8,"timestamp":13,"value":null},
            {"topic":"t","partition":3,"offset":9,"timestamp":13},
            {"topic":"t","partition":3,"offset":10,"timestamp":13,"value":"a\/b="}]}}"#;
        let envelope = Envelope::parse(payload).unwrap();
        let read: Vec<_> = envelope.records().map(|r| (r.offset, r.timestamp, r.base64())).collect();
        assert_eq!(read, [(7, 12, Some(&b"QQ=="[..])), (8, 13, None), (9, 13, None), (10, 13, Some(&b"a/b="[..]))]);
        assert!(matches!(envelope.records().next().unwrap().topic, Cow::Borrowed(_)));
    }

    #[test]
    fn another_event_is_told_apart_without_repeating_it() {
        let error = Envelope::parse(r#"{"records":{"t-0":[{"topic":"+15550100"}]}}"#).unwrap_err();
        assert!(error.to_string().starts_with("not an MSK event"));
        assert!(!error.to_string().contains("555"));
    }
}
