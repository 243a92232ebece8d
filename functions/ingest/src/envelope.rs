//! The event that an MSK event source mapping sends.
//!
//! `aws_lambda_events` has this type too, but owns every string of it; here they are borrowed from the payload, which
//! halves the time to read a batch. Headers are not read, and keys are only kept: routing is by what the value says.
//! <https://docs.aws.amazon.com/lambda/latest/dg/with-msk.html>

use std::{borrow::Cow, collections::BTreeMap};

use projections::Timestamp;
use serde::Deserialize;
use serde_json::{Value, value::RawValue};

/// A batch of records of one topic, of one or several partitions.
#[derive(Debug, Deserialize)]
pub(crate) struct Envelope<'a> {
    /// By `{topic}-{partition}`; each record says both again.
    #[serde(borrow)]
    records: BTreeMap<String, Vec<Enveloped<'a>>>,
}

/// A batch of records that have not been looked at.
#[derive(Deserialize)]
struct Unread<'a> {
    #[serde(borrow)]
    records: BTreeMap<String, Vec<&'a RawValue>>,
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
    key: Option<Text<'a>>,
    #[serde(borrow)]
    value: Option<Text<'a>>,
    /// Why nothing can be made of it, whatever its value is.
    #[serde(skip)]
    pub(crate) flaw: Option<&'static str>,
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

    /// The key in base64; `None` where there is none.
    pub(crate) fn key_base64(&self) -> Option<&[u8]> {
        self.key.as_ref().map(|text| text.0.as_bytes())
    }
}

impl Enveloped<'static> {
    /// Makes the most of a record that is not of its form. Numbers may be text, and what is said twice or beside the
    /// point is not looked at. `group` is the `{topic}-{partition}` that it stands under.
    fn salvaged(json: &RawValue, group: &str) -> Self {
        let fields: BTreeMap<String, Value> = serde_json::from_str(json.get()).unwrap_or_default();
        let number = |name| fields.get(name).and_then(|field| field.as_i64().or_else(|| field.as_str()?.parse().ok()));
        let text = |name| fields.get(name).and_then(Value::as_str).map(ToOwned::to_owned);
        let (topic, partition) = group.rsplit_once('-').unwrap_or((group, ""));
        let partition =
            number("partition").and_then(|number| number.try_into().ok()).or_else(|| partition.parse().ok());
        let value = match fields.get("value") {
            None | Some(Value::Null) => None,
            Some(Value::String(value)) => Some(value.clone()),
            // No base64, and its text is what is kept of it.
            Some(other) => Some(other.to_string()),
        };
        let flaw = match (partition, number("offset")) {
            (None, _) => Some("no partition"),
            (_, None) => Some("no offset"),
            _ => None,
        };
        Self {
            topic: text("topic").unwrap_or_else(|| topic.to_owned()).into(),
            partition: partition.unwrap_or(-1),
            offset: number("offset").unwrap_or(-1),
            timestamp: number("timestamp").unwrap_or(-1),
            key: text("key").map(|key| Text(key.into())),
            value: value.map(|value| Text(value.into())),
            flaw,
        }
    }
}

impl<'a> Envelope<'a> {
    pub(crate) fn parse(payload: &'a str) -> Result<Self, NotAnEvent> {
        // The usual case takes one pass. Where one record is odd, it must not bring the others back with it.
        serde_json::from_str(payload).or_else(|_| Self::parse_singly(payload))
    }

    /// Reads each record by itself.
    fn parse_singly(payload: &'a str) -> Result<Self, NotAnEvent> {
        // The error's own text could repeat content.
        let unread: Unread<'a> =
            serde_json::from_str(payload).map_err(|error| NotAnEvent { line: error.line(), column: error.column() })?;
        let read = |group: String, records: Vec<&'a RawValue>| {
            let read = |record: &'a RawValue| {
                serde_json::from_str(record.get()).unwrap_or_else(|_| Enveloped::salvaged(record, &group))
            };
            (group.clone(), records.into_iter().map(read).collect())
        };
        Ok(Self { records: unread.records.into_iter().map(|(group, records)| read(group, records)).collect() })
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
    fn a_record_of_another_form_is_read_by_itself_and_those_around_it_as_ever() {
        let payload = r#"{"records":{"a-b-3":[
            {"topic":"a-b","partition":3,"offset":7,"timestamp":12,"value":"QQ==","headers":[null,{"a":null},{"b":"c"}]},
            {"topic":"a-b","partition":"3","offset":"8","timestamp":null,"key":{"id":1},"value":"Qg==","headers":null},
            {"offset":9,"offset":9,"value":"Qw=="},
            {"topic":"a-b","partition":3,"offset":10,"timestamp":12,"value":{"eventType":"x"}},
            {"topic":"a-b","partition":3,"timestamp":12,"value":"QQ=="},
            7]}}"#;
        let envelope = Envelope::parse(payload).unwrap();
        let read: Vec<_> = envelope
            .records()
            .map(|r| (&*r.topic, r.partition, r.offset, r.timestamp, r.base64().unwrap_or_default(), r.flaw))
            .collect();
        assert_eq!(
            read,
            [
                ("a-b", 3, 7, 12, &b"QQ=="[..], None),
                ("a-b", 3, 8, -1, b"Qg==", None),
                ("a-b", 3, 9, -1, b"Qw==", None),
                ("a-b", 3, 10, 12, br#"{"eventType":"x"}"#, None),
                ("a-b", 3, -1, 12, b"QQ==", Some("no offset")),
                ("a-b", 3, -1, -1, b"", Some("no offset")),
            ]
        );
    }

    #[test]
    fn another_event_is_told_apart_without_repeating_it() {
        let error = Envelope::parse(r#"{"records":[{"topic":"+15550100"}]}"#).unwrap_err();
        assert!(error.to_string().starts_with("not an MSK event"));
        assert!(!error.to_string().contains("555"));
    }
}
