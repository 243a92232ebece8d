//! What may stand around a record, or in place of one.

use std::borrow::Cow;

use base64::{Engine, engine::general_purpose::STANDARD};
use serde::{Deserialize, de::IgnoredAny};
use serde_json::value::RawValue;

use crate::{BadRecord, record::BYTE_ORDER_MARK};

/// Confluent's serializers begin with this byte and a schema's number in four more.
/// <https://docs.confluent.io/platform/current/schema-registry/fundamentals/serdes-develop/index.html#wire-format>
const CONFLUENT_MAGIC: u8 = 0;
const CONFLUENT_HEADER: usize = 5;

/// The fields by which envelopes are known.
#[derive(Deserialize)]
struct Outer<'a> {
    specversion: Option<IgnoredAny>,
    #[serde(borrow)]
    data: Option<&'a RawValue>,
    #[serde(borrow)]
    data_base64: Option<Cow<'a, str>>,
    op: Option<IgnoredAny>,
    before: Option<IgnoredAny>,
    after: Option<IgnoredAny>,
    schema: Option<IgnoredAny>,
    payload: Option<IgnoredAny>,
}

/// The record within a value that could not be decoded by itself: the data of a `CloudEvent`. `None` where the value looks
/// like nothing that we know; an error where it does and cannot be opened, whose reason names what it looks like.
///
/// Called only for what is no plain record, so that plain ones pay nothing for it.
pub(crate) fn open(value: &[u8]) -> Result<Option<Cow<'_, [u8]>>, BadRecord> {
    if value.len() > CONFLUENT_HEADER && value[0] == CONFLUENT_MAGIC {
        return Err(BadRecord::Foreign("Confluent's wire format (a zero byte and a schema id)"));
    }
    let Ok(text) = std::str::from_utf8(value) else { return Ok(None) };
    let text = text.strip_prefix(BYTE_ORDER_MARK).unwrap_or(text);
    match text.trim_ascii_start().as_bytes().first() {
        Some(b'{') => match serde_json::from_str::<Outer<'_>>(text) {
            Ok(outer) => outer.open(),
            Err(_) if is_several(text) => Err(BadRecord::Foreign("several lines of JSON; send one record each")),
            Err(_) => Ok(None),
        },
        Some(b'[') if is_json(text) => Err(BadRecord::Foreign("an array; send one record each")),
        Some(b'"') => match serde_json::from_str::<String>(text) {
            Ok(inner) if is_json(&inner) => Err(BadRecord::Foreign("JSON that was encoded twice")),
            _ => Ok(None),
        },
        _ => Ok(None),
    }
}

impl<'a> Outer<'a> {
    /// <https://github.com/cloudevents/spec/blob/v1.0.2/cloudevents/formats/json-format.md>
    fn open(self) -> Result<Option<Cow<'a, [u8]>>, BadRecord> {
        if self.specversion.is_some() {
            return match (self.data, self.data_base64) {
                (Some(data), _) => Ok(Some(unquoted(data.get()))),
                (None, Some(base64)) => STANDARD
                    .decode(base64.as_bytes())
                    .map(|data| Some(data.into()))
                    .map_err(|_| BadRecord::Envelope("`data_base64` of the CloudEvent is not base64")),
                (None, None) => Err(BadRecord::Envelope("the CloudEvent has no data")),
            };
        }
        if self.op.is_some() && (self.before.is_some() || self.after.is_some()) {
            return Err(BadRecord::Foreign("a Debezium change event; let Debezium unwrap it"));
        }
        if self.schema.is_some() && self.payload.is_some() {
            return Err(BadRecord::Foreign("Kafka Connect's JSON with a schema; set schemas.enable=false"));
        }
        Ok(None)
    }
}

/// Data may be JSON, or JSON as a text.
fn unquoted(json: &str) -> Cow<'_, [u8]> {
    match serde_json::from_str::<String>(json) {
        Ok(text) => Cow::Owned(text.into_bytes()),
        Err(_) => Cow::Borrowed(json.as_bytes()),
    }
}

fn is_json(text: &str) -> bool {
    serde_json::from_str::<IgnoredAny>(text).is_ok()
}

fn is_several(text: &str) -> bool {
    let values = serde_json::Deserializer::from_str(text).into_iter::<IgnoredAny>();
    values.take(2).flatten().count() == 2
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_data_of_a_cloud_event_is_found_in_all_its_forms() {
        for value in [
            r#"{"specversion":"1.0","type":"t","source":"/s","id":"1","data":{"a":1}}"#,
            r#"{"specversion":"1.0","datacontenttype":"application/json","data":"{\"a\":1}"}"#,
            r#"{"specversion":"1.0","data_base64":"eyJhIjoxfQ=="}"#,
        ] {
            assert_eq!(open(value.as_bytes()).unwrap().as_deref(), Some(&br#"{"a":1}"#[..]), "{value}");
        }
        for value in [r#"{"specversion":"1.0"}"#, r#"{"specversion":"1.0","data_base64":"?"}"#] {
            assert!(matches!(open(value.as_bytes()), Err(BadRecord::Envelope(_))), "{value}");
        }
    }

    #[test]
    fn what_is_no_record_of_ours_is_named() {
        for (value, looks) in [
            (&b"\0\0\0\0\x07{\"a\":1}"[..], "Confluent"),
            (b"\0\0\0\0\x07\x02\xff", "Confluent"),
            (br#"{"before":null,"after":{"a":1},"source":{},"op":"c","ts_ms":1}"#, "Debezium"),
            (br#"{"schema":{"type":"struct"},"payload":{"a":1}}"#, "Connect"),
            (br#"[{"a":1},{"a":2}]"#, "array"),
            (b"{\"a\":1}\n{\"a\":2}\n", "several lines"),
            (br#""{\"a\":1}""#, "twice"),
        ] {
            let reason = open(value).unwrap_err();
            assert_eq!(reason.code(), "foreign_format");
            assert!(reason.to_string().contains(looks), "{reason}");
        }
    }

    #[test]
    fn anything_else_is_left_as_it_is() {
        for value in ["", "{", r#"{"a":1}"#, r#"{"op":"c","type":"x"}"#, r#"{"a":1} x"#, "[1", r#""text""#, "5"] {
            assert_eq!(open(value.as_bytes()), Ok(None), "{value}");
        }
    }
}
