//! A batch, decoded and sorted by what it changes.

use std::collections::HashMap;

use base64::{Engine, engine::general_purpose::STANDARD};
use projections::{BadRecord, ChannelId, Offset, Record, Routed, TenantId, Timestamp, topic};
use store::{Entry, Quarantined, SliceId, SliceKey};

use crate::envelope::{Envelope, Enveloped, NotAnEvent};

/// The longest key that is kept of a bad record, in bytes.
const MAX_KEY: usize = 1024;

/// What a batch says, by the slice that it changes.
#[derive(Debug, Default)]
pub struct Batch {
    /// The topic of its records, for a mapping has one; nothing where there are none.
    pub topic: Option<String>,
    /// Kafka's time of the oldest of them, if it has any.
    pub oldest: Option<Timestamp>,
    /// Words of its records that are none that we know.
    pub unknown_words: usize,
    /// The slices that it changes.
    pub changes: Vec<Change>,
    /// The records that cannot be counted.
    pub bad: Vec<Bad>,
}

/// What a batch does to one slice.
#[derive(Debug)]
pub struct Change {
    /// Which slice.
    pub key: SliceKey,
    /// The events, in the order of the batch.
    pub entries: Vec<Entry>,
    /// Kafka's time of the newest of them.
    pub latest: Timestamp,
}

/// A record that cannot be counted.
#[derive(Debug)]
pub struct Bad {
    /// Its topic.
    pub topic: String,
    /// Its partition.
    pub partition: i32,
    /// Its offset.
    pub offset: Offset,
    /// Why.
    pub reason: BadRecord,
    /// Its key; none where that is no base64, or longer than any that partitions are chosen by.
    pub key: Option<Vec<u8>>,
    /// Its value; as the envelope gave it where that is no base64.
    pub value: Vec<u8>,
}

/// How records are read.
#[derive(Clone, Debug)]
pub struct Reading {
    /// Whose records those are that name no tenant.
    pub default_tenant: Option<TenantId>,
    /// Told apart from earlier lives of the same topics.
    pub epoch: u32,
}

/// Where a record belongs. Looked up once a record, so what can be is borrowed.
#[derive(PartialEq, Eq, Hash)]
struct Place<'a> {
    channel: ChannelId,
    tenant: TenantId,
    topic: &'a str,
    partition: i32,
}

#[derive(Default)]
struct Gathered {
    entries: Vec<Entry>,
    latest: Timestamp,
}

impl Batch {
    /// Decodes every record of an MSK event that came `now`.
    pub fn read(payload: &str, reading: &Reading, now: Timestamp) -> Result<Self, NotAnEvent> {
        let envelope = Envelope::parse(payload)?;
        let mut places: HashMap<Place<'_>, Gathered> = HashMap::new();
        let mut bad = Vec::new();
        let mut buffer = Vec::new();
        let (mut oldest, mut unknown_words) = (i64::MAX, 0);
        for enveloped in envelope.records() {
            // Kafka says -1 where it knows no time, and some producers 0.
            if enveloped.timestamp > 0 {
                oldest = oldest.min(enveloped.timestamp);
            }
            let routed = match decode(enveloped, reading, now, &mut buffer) {
                Ok(routed) => routed,
                Err(reason) => {
                    bad.push(Bad::new(enveloped, reason, &buffer));
                    continue;
                }
            };
            for Routed { tenant, channel, at, event } in routed {
                unknown_words += event.unknown_words();
                let place = Place { channel, tenant, topic: &enveloped.topic, partition: enveloped.partition };
                let gathered = places.entry(place).or_default();
                gathered.entries.push(Entry { offset: enveloped.offset, at, event });
                gathered.latest = gathered.latest.max(Timestamp::from_millis(enveloped.timestamp));
            }
        }
        let changes = places.into_iter().map(|(place, gathered)| Change::new(place, gathered, reading.epoch)).collect();
        let topic = envelope.records().next().map(|enveloped| enveloped.topic.clone().into_owned());
        let oldest = (oldest < i64::MAX).then(|| Timestamp::from_millis(oldest));
        Ok(Self { topic, oldest, unknown_words, changes, bad })
    }
}

impl Change {
    fn new(place: Place<'_>, Gathered { entries, latest }: Gathered, epoch: u32) -> Self {
        let slice = SliceId { epoch, topic: place.topic.to_owned(), partition: place.partition };
        Self { key: SliceKey { tenant: place.tenant, channel: place.channel, slice }, entries, latest }
    }
}

impl Bad {
    /// What is kept of it, met `now`.
    #[must_use]
    pub fn to_keep(&self, now: Timestamp) -> Quarantined {
        let reason = self.reason.to_string();
        let kept = Quarantined::new(self.topic.as_str(), self.partition, self.offset, reason, &self.value, now);
        Quarantined { key: self.key.clone(), ..kept }
    }

    /// Whether it is of a type that this build does not know: nothing is wrong with it, and a newer build may count it.
    #[must_use]
    pub fn is_unknown(&self) -> bool {
        self.reason.is_unknown_type()
    }

    fn new(enveloped: &Enveloped<'_>, reason: BadRecord, decoded: &[u8]) -> Self {
        let value = match reason {
            BadRecord::Envelope(_) => enveloped.base64().unwrap_or_default(),
            _ => decoded,
        };
        Self {
            topic: enveloped.topic.clone().into_owned(),
            partition: enveloped.partition,
            offset: enveloped.offset,
            reason,
            key: enveloped.key_base64().and_then(|key| STANDARD.decode(key).ok()).filter(|key| key.len() <= MAX_KEY),
            value: value.to_vec(),
        }
    }
}

/// Decodes one record; its value is left in `buffer`, which is the same for all records of a batch.
fn decode(
    enveloped: &Enveloped<'_>,
    reading: &Reading,
    now: Timestamp,
    buffer: &mut Vec<u8>,
) -> Result<Vec<Routed>, BadRecord> {
    buffer.clear();
    if let Some(flaw) = enveloped.flaw {
        return Err(BadRecord::Envelope(flaw));
    }
    let base64 = enveloped.base64().ok_or(BadRecord::Empty)?;
    STANDARD.decode_vec(base64, buffer).map_err(|_| BadRecord::Envelope("value is not base64"))?;
    topic::decode(&Record {
        topic: &enveloped.topic,
        timestamp: enveloped.arrived_at(now),
        default_tenant: reading.default_tenant.as_ref(),
        value: buffer,
    })
}
