//! Values of Kafka records. Input: a digit that chooses the topic and whether there is a default tenant, then a record a
//! line.

#![no_main]

use std::collections::BTreeMap;

use libfuzzer_sys::fuzz_target;
use projections::{
    ChannelId, Fold, HistoryEntry, Kind, Record, Routed, Slice, TenantId, Timestamp, View,
    history::Chunk,
    kind,
    topic::{self, TOPICS},
};
use serde_json::Value;

/// 2026-01-15T10:30:00Z.
const NOW_MILLIS: i64 = 1_768_473_000_000;

/// What ten people, twenty notices or a few hundred nodes take. An item of DynamoDB has 400 KB.
const MAX_STORED: usize = 300_000;

fuzz_target!(|input: &[u8]| {
    let Some((first, values)) = input.split_first() else { return };
    let choice = usize::from(first.wrapping_sub(b'0'));
    let topic = TOPICS.get(choice % (TOPICS.len() + 1)).map_or("unknown.v1", |(topic, _)| *topic);
    let house = TenantId::parse("house").expect("a tenant");
    let default_tenant = (choice / (TOPICS.len() + 1)).is_multiple_of(2).then_some(&house);
    let timestamp = now();
    let mut slices: BTreeMap<(TenantId, ChannelId), Slice> = BTreeMap::new();
    for (offset, value) in values.split(|byte| *byte == b'\n').enumerate() {
        let offset = i64::try_from(offset).expect("few lines");
        match topic::decode(&Record { topic, timestamp, default_tenant, value }) {
            Ok(routed) => {
                for routed in routed {
                    check_routed(&routed, default_tenant, value);
                    let slice = slices
                        .entry((routed.tenant.clone(), routed.channel.clone()))
                        .or_insert_with(|| routed.channel.kind().empty_slice());
                    assert_eq!(slice.fold(offset, routed.at, &routed.event), Some(Fold::Applied));
                    let stored = serde_json::to_string(slice).expect("a slice is stored");
                    // Kafka delivers at least once.
                    assert_ne!(slice.fold(offset, routed.at, &routed.event), Some(Fold::Applied));
                    assert_eq!(serde_json::to_string(slice).expect("still"), stored, "a record counts once");
                    check_silence(value, &routed.channel, slice);
                }
            }
            Err(reason) => {
                let text = reason.to_string();
                assert!(text.len() < 120 && text.is_ascii(), "a reason names a field and no content: {text}");
                assert!(!reason.code().is_empty());
            }
        }
    }
    for ((_, channel), slice) in &slices {
        check_slice(channel, slice);
    }
});

fn now() -> Timestamp {
    Timestamp::from_millis(NOW_MILLIS)
}

fn check_routed(routed: &Routed, default_tenant: Option<&TenantId>, value: &[u8]) {
    assert_eq!(routed.channel.kind(), routed.event.kind());
    assert_eq!(routed.channel.to_string().parse(), Ok(routed.channel.clone()));
    assert!(routed.at <= now(), "a clock that leads is not believed");
    // Whose it is, is what the record says; nobody's record becomes somebody's.
    // A number too large for any type is none where nobody reads it, and an error in here.
    let value = value.strip_prefix("\u{feff}".as_bytes()).unwrap_or(value);
    let Ok(said) = serde_json::from_slice::<Value>(value) else { return };
    // What is in an envelope has been checked without.
    if said.get("specversion").is_some() {
        return;
    }
    let id = |value: &Value| match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    };
    let named = id(&said["tenantId"]).or_else(|| id(&said["organizationId"]));
    assert_eq!(routed.tenant.as_str(), named.as_deref().or(default_tenant.map(TenantId::as_str)).unwrap_or_default());
}

/// A phone number is in no view and no notice, whatever else the record holds.
fn check_silence(value: &[u8], channel: &ChannelId, slice: &Slice) {
    let Ok(Value::Object(mut said)) = serde_json::from_slice(value) else { return };
    let Some(Value::String(phone)) = said.remove("phoneNumber") else { return };
    // One that stands elsewhere in the record too is no number any more, but a name.
    if phone.len() < 6 || Value::Object(said).to_string().contains(&phone) {
        return;
    }
    let told = format!("{:?} {}", slice.clone().cut(None), shown(channel, slice, &history(slice)));
    let stored = serde_json::to_string(slice).expect("a slice is stored");
    assert!(!told.contains(&phone) && !stored.contains(&phone), "a phone number is kept");
}

fn check_slice(channel: &ChannelId, slice: &Slice) {
    let stored = serde_json::to_string(slice).expect("a slice is stored");
    assert!(stored.len() < MAX_STORED, "{} bytes", stored.len());
    let mut reader = serde_json::Deserializer::from_str(&stored);
    let read = channel.kind().read_slice(&mut reader).expect("what was stored can be read");
    assert_eq!(serde_json::to_string(&read).expect("and stored"), stored);
    assert_eq!((read.watermark(), read.event_time()), (slice.watermark(), slice.event_time()));
    let history = history(slice);
    let text = shown(channel, slice, &history);
    assert_eq!(shown(channel, &read, &history), text, "what is seen does not depend on where it was");

    // Slices of two partitions, either first.
    let both = |a, b| serde_json::to_string(&kind::view(channel, [a, b], &history, now())).expect("a view is JSON");
    let empty = channel.kind().empty_slice();
    assert_eq!(both(slice, &empty), text);
    assert_eq!(both(&empty, slice), text);

    let view = kind::view(channel, [slice], &history, now());
    check_names(channel.kind(), view);
}

/// All that has happened, as it reads back from what is stored.
fn history(slice: &Slice) -> Vec<HistoryEntry> {
    let chunks = slice.clone().cut(None);
    let read = |chunk: &Chunk| slice.kind().read_entries(&chunk.entries).expect("what was stored can be read");
    chunks.iter().flat_map(read).collect()
}

fn shown(channel: &ChannelId, slice: &Slice, history: &[HistoryEntry]) -> String {
    serde_json::to_string(&kind::view(channel, [slice], history, now())).expect("a view is JSON")
}

/// Who may not see names sees initials: two capitals at most, and all else as it was.
fn check_names(kind: Kind, view: View) {
    let full = serde_json::to_value(&view).expect("a view is JSON");
    let mut concealed = serde_json::to_value(view.concealed()).expect("a view is JSON");
    if !kind.shows_names() {
        assert_eq!(concealed, full);
        return;
    }
    let arrivals = concealed["liveCheckInFeed"].as_array_mut().expect("a feed");
    for (arrival, before) in arrivals.iter_mut().zip(full["liveCheckInFeed"].as_array().expect("a feed")) {
        let initials = arrival["name"].as_str().expect("a name");
        let letters: Vec<char> = initials.chars().filter(|char| char.is_alphabetic()).collect();
        assert!(initials == "?" || (letters.len() <= 2 && initials.ends_with('.')), "{initials}");
        assert!(initials.chars().all(|char| char.is_alphabetic() || matches!(char, '.' | ' ' | '?')), "{initials}");
        arrival["name"] = before["name"].clone();
    }
    assert_eq!(concealed, full);
}
