//! The event that MSK's event source mapping sends.
//!
//! <https://docs.aws.amazon.com/lambda/latest/dg/with-msk.html>

use std::collections::BTreeMap;

use base64::{Engine as _, prelude::BASE64_STANDARD};
use bytes::Bytes;
use rdkafka::{
    Timestamp,
    message::{Headers as _, Message},
};
use serde::Serialize;
use serde_json::value::RawValue;

/// Where a mapping's records come from.
#[derive(Debug)]
pub(super) struct Source {
    arn: String,
    bootstrap_servers: String,
    topic: String,
}

/// A record as it stands in the event, and what is needed to put it there.
#[derive(Debug)]
pub(super) struct Encoded {
    pub(super) partition: i32,
    pub(super) offset: i64,
    pub(super) json: Box<RawValue>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
#[expect(clippy::struct_field_names, reason = "the names are AWS's")]
struct Event<'a> {
    event_source: &'a str,
    event_source_arn: &'a str,
    bootstrap_servers: &'a str,
    records: BTreeMap<String, Vec<&'a RawValue>>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Record<'a> {
    topic: &'a str,
    partition: i32,
    offset: i64,
    timestamp: i64,
    timestamp_type: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    key: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    value: Option<String>,
    headers: Vec<BTreeMap<&'a str, Option<Vec<i8>>>>,
}

impl Source {
    pub(super) fn new(bootstrap_servers: &str, topic: &str) -> Self {
        Self {
            arn: "arn:aws:kafka:us-east-1:000000000000:cluster/local/00000000-0000-0000-0000-000000000000-1".to_owned(),
            bootstrap_servers: bootstrap_servers.to_owned(),
            topic: topic.to_owned(),
        }
    }

    /// The event's size without any records, and with a key and brackets for each of the partitions.
    pub(super) fn envelope_bytes(&self, partitions: usize) -> usize {
        /// `"-2147483648":[],` around the topic's name.
        const AROUND_A_PARTITION: usize = 20;
        /// The names of the event's own fields.
        const AROUND_THE_EVENT: usize = 128;
        AROUND_THE_EVENT
            + self.arn.len()
            + self.bootstrap_servers.len()
            + partitions * (self.topic.len() + AROUND_A_PARTITION)
    }

    /// The payload of an invocation with these records.
    pub(super) fn payload(&self, records: &[Encoded]) -> serde_json::Result<Bytes> {
        let mut by_partition: BTreeMap<String, Vec<&RawValue>> = BTreeMap::new();
        for record in records {
            by_partition.entry(format!("{}-{}", self.topic, record.partition)).or_default().push(&record.json);
        }
        serde_json::to_vec(&Event {
            event_source: "aws:kafka",
            event_source_arn: &self.arn,
            bootstrap_servers: &self.bootstrap_servers,
            records: by_partition,
        })
        .map(Bytes::from)
    }
}

impl Encoded {
    /// Takes a record as it was read.
    pub(super) fn new(message: &impl Message) -> serde_json::Result<Self> {
        let headers = message.headers().into_iter().flat_map(|headers| headers.iter()).map(|header| {
            // Java's bytes, and so MSK's, are signed.
            let value = header.value.map(|bytes| bytes.iter().map(|byte| byte.cast_signed()).collect());
            BTreeMap::from([(header.key, value)])
        });
        let (timestamp_type, timestamp) = match message.timestamp() {
            Timestamp::CreateTime(at) => ("CREATE_TIME", at),
            Timestamp::LogAppendTime(at) => ("LOG_APPEND_TIME", at),
            Timestamp::NotAvailable => ("NO_TIMESTAMP_TYPE", -1),
        };
        let json = serde_json::value::to_raw_value(&Record {
            topic: message.topic(),
            partition: message.partition(),
            offset: message.offset(),
            timestamp,
            timestamp_type,
            key: message.key().map(|key| BASE64_STANDARD.encode(key)),
            value: message.payload().map(|value| BASE64_STANDARD.encode(value)),
            headers: headers.collect(),
        })?;
        Ok(Self { partition: message.partition(), offset: message.offset(), json })
    }

    /// Its share of the payload, with the comma.
    pub(super) fn bytes(&self) -> usize {
        self.json.get().len() + 1
    }
}

#[cfg(test)]
mod tests {
    use rdkafka::message::{Header, OwnedHeaders, OwnedMessage};

    use super::*;

    fn message(at: Timestamp, partition: i32, offset: i64, key: Option<&str>, value: Option<&str>) -> OwnedMessage {
        let trace = Header { key: "trace", value: Some(&[0, 127, 128, 255]) };
        let headers = OwnedHeaders::new().insert(trace).insert(Header::<&[u8]> { key: "empty", value: None });
        let bytes = |text: &str| text.as_bytes().to_vec();
        OwnedMessage::new(value.map(bytes), key.map(bytes), "t".to_owned(), at, partition, offset, Some(headers))
    }

    fn encoded(partition: i32, offset: i64, key: Option<&str>, value: Option<&str>) -> Encoded {
        Encoded::new(&message(Timestamp::CreateTime(1_545_084_650_987), partition, offset, key, value)).unwrap()
    }

    #[test]
    fn the_event_is_what_msk_sends() {
        let records =
            [encoded(0, 15, Some("k"), Some("{}")), encoded(2, 7, None, None), encoded(0, 16, None, Some(""))];
        let payload = Source::new("b-1.kafka:9092", "t").payload(&records).unwrap();
        let expected = concat!(
            r#"{"eventSource":"aws:kafka","#,
            r#""eventSourceArn":"arn:aws:kafka:us-east-1:000000000000:cluster/local/"#,
            r#"00000000-0000-0000-0000-000000000000-1","#,
            r#""bootstrapServers":"b-1.kafka:9092","records":{"#,
            r#""t-0":[{"topic":"t","partition":0,"offset":15,"timestamp":1545084650987,"#,
            r#""timestampType":"CREATE_TIME","key":"aw==","value":"e30=","headers":[{"trace":[0,127,-128,-1]},{"empty":null}]},"#,
            r#"{"topic":"t","partition":0,"offset":16,"timestamp":1545084650987,"#,
            r#""timestampType":"CREATE_TIME","value":"","headers":[{"trace":[0,127,-128,-1]},{"empty":null}]}],"#,
            r#""t-2":[{"topic":"t","partition":2,"offset":7,"timestamp":1545084650987,"#,
            r#""timestampType":"CREATE_TIME","headers":[{"trace":[0,127,-128,-1]},{"empty":null}]}]}}"#,
        );
        assert_eq!(std::str::from_utf8(&payload).unwrap(), expected);
    }

    #[test]
    fn a_time_that_the_broker_has_set_is_told_as_such() {
        let record = Encoded::new(&message(Timestamp::LogAppendTime(7), 0, 0, None, None)).unwrap();
        assert!(record.json.get().contains(r#""timestamp":7,"timestampType":"LOG_APPEND_TIME""#), "{}", record.json);
    }

    #[test]
    fn the_size_is_never_estimated_too_small() {
        for count in [0, 1, 2, 50] {
            let source = Source::new("localhost:9092", "t");
            let records: Vec<Encoded> = (0..count).map(|n| encoded(n, i64::MAX, Some("k"), Some("v"))).collect();
            let estimate = source.envelope_bytes(records.len()) + records.iter().map(Encoded::bytes).sum::<usize>();
            assert!(source.payload(&records).unwrap().len() <= estimate);
        }
    }
}
