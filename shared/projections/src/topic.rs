//! Which topics are read, and how their records are decoded and routed.

use crate::{BadRecord, Record, Routed, campaign, envelope, live_event, system};

/// Decodes one record of a topic and says which channels it changes.
type Decode = fn(&Record<'_>) -> Result<Vec<Routed>, BadRecord>;

/// Every topic that Livefold reads.
pub const TOPICS: &[(&str, Decode)] = &[
    ("campaign.events.v1", campaign::decode),
    ("dialer.health.v1", system::decode),
    ("platform.analytics.check-in.v1", live_event::decode),
    ("platform.analytics.events.v1", live_event::decode),
];

/// Decodes a record, in an envelope or without, and says which channels it changes: one or more, each once.
pub fn decode(record: &Record<'_>) -> Result<Vec<Routed>, BadRecord> {
    let (_, decode) = TOPICS.iter().find(|(topic, _)| *topic == record.topic).ok_or(BadRecord::UnknownTopic)?;
    decode(record).or_else(|reason| match envelope::open(record.value)? {
        Some(data) => decode(&Record { value: &data, ..*record }),
        None => Err(reason),
    })
}
