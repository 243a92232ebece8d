//! Quarantine: where records that cannot be decoded are kept, with the reason, while the rest of their batch goes on.
//!
//! A batch may hold ten thousand of them, and the next one too. So what is written of a batch's partition is bounded:
//! several records lie in one item, the first ones are kept, and those after them are counted with their offsets, where
//! Kafka still has them. One key takes a thousand units a second, so the items of a partition are spread over several.

use std::{cmp::Reverse, collections::BTreeMap, time::Duration};

use aws_sdk_dynamodb::types::AttributeValue;
use futures_util::{StreamExt, TryStreamExt, stream};
use projections::{Offset, Timestamp};
use serde::{Deserialize, Deserializer, de};
use sha2::{Digest, Sha256};

use crate::{
    Channels, StoreError,
    keys::{self, Key},
    table::{Item, Range, Reading, binary, from_item, number, text},
};

/// As much of a value is kept: Kafka still has the record.
pub const KEPT_BYTES: usize = 256 * 1024;

/// The most records of a batch's partition that are kept.
pub const MAX_KEPT: usize = 1_000;

/// The most items that the records of a batch's partition are kept in: 600 units of the 1,000 that a key takes a second.
const MAX_ITEMS: usize = 2;

/// What goes into one item, of the 400 KB that it holds: one value of the greatest length that is kept, with all around.
const ITEM_BYTES: usize = 300 * 1024;

/// What a record takes in an item beside its value, key and reason: names, digest and numbers.
const AROUND_A_RECORD: usize = 200;

/// Keys of a partition that are read at the same time.
const KEYS_AT_ONCE: usize = 4;

/// Two weeks are time to find out, also after a holiday.
pub(crate) const TTL: Duration = Duration::from_hours(14 * 24);

/// A record that could not be decoded.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Quarantined {
    /// Its topic.
    pub topic: String,
    /// Its partition.
    pub partition: i32,
    /// Its offset.
    pub offset: Offset,
    /// Why it could not be decoded.
    pub reason: String,
    /// Its key, as producers chose the partition by it.
    #[serde(default, deserialize_with = "optional_bytes")]
    pub key: Option<Vec<u8>>,
    /// Its value, or the first [`KEPT_BYTES`] of it.
    #[serde(deserialize_with = "bytes")]
    pub value: Vec<u8>,
    /// How long the whole value is, in bytes.
    pub length: u64,
    /// SHA-256 of the whole value, in hexadecimal.
    pub sha256: String,
    /// When it was met.
    pub seen_at: Timestamp,
}

/// Bad records that were counted and not kept, for there were too many of them in a batch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Omitted {
    /// Their topic.
    pub topic: String,
    /// Their partition.
    pub partition: i32,
    /// How many.
    pub records: u64,
    /// The offset of the first.
    pub first: Offset,
    /// The offset of the last. Between the two there may be good ones.
    pub last: Offset,
    /// When they were met.
    pub seen_at: Timestamp,
}

/// What lies in quarantine of a partition.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Contents {
    /// The records that were kept, those with the highest offsets first.
    pub records: Vec<Quarantined>,
    /// Those that were only counted, in the same order.
    pub omitted: Vec<Omitted>,
    /// Whether there is more than was asked for.
    pub is_cut: bool,
}

/// An item of several records.
#[derive(Deserialize)]
struct Bundle {
    topic: String,
    partition: i32,
    seen_at: Timestamp,
    records: Vec<Bundled>,
    omitted: Option<Counted>,
}

#[derive(Deserialize)]
struct Bundled {
    offset: Offset,
    reason: String,
    #[serde(default, deserialize_with = "optional_bytes")]
    key: Option<Vec<u8>>,
    #[serde(deserialize_with = "bytes")]
    value: Vec<u8>,
    length: u64,
    sha256: String,
}

#[derive(Deserialize)]
struct Counted {
    records: u64,
    first: Offset,
    last: Offset,
}

impl Quarantined {
    /// Takes what is kept from a record's whole value.
    #[must_use]
    pub fn new(
        topic: impl Into<String>,
        partition: i32,
        offset: Offset,
        reason: impl Into<String>,
        value: &[u8],
        seen_at: Timestamp,
    ) -> Self {
        Self {
            topic: topic.into(),
            partition,
            offset,
            reason: reason.into(),
            key: None,
            value: value[..value.len().min(KEPT_BYTES)].to_vec(),
            length: value.len() as u64,
            sha256: hex::encode(Sha256::digest(value)),
            seen_at,
        }
    }

    /// Whether the value is kept as a whole.
    #[must_use]
    pub fn is_whole(&self) -> bool {
        self.length == self.value.len() as u64
    }

    fn bytes(&self) -> usize {
        let key = self.key.as_ref().map_or(0, Vec::len);
        AROUND_A_RECORD + self.reason.len() + key + self.value.len()
    }

    fn attributes(&self) -> AttributeValue {
        let mut map = Item::from([
            ("offset".to_owned(), number(self.offset)),
            ("reason".to_owned(), text(&self.reason)),
            ("value".to_owned(), binary(&self.value)),
            ("length".to_owned(), number(self.length)),
            ("sha256".to_owned(), text(&self.sha256)),
        ]);
        map.extend(self.key.as_ref().map(|key| ("key".to_owned(), binary(key))));
        AttributeValue::M(map)
    }
}

impl Channels {
    /// Keeps the bad records that a batch holds of one partition, in the order of their offsets, for two weeks. A batch
    /// that comes again is kept once, with the time when it was first met. At most [`MAX_KEPT`] of them and two items are
    /// written; those after them are counted.
    pub async fn quarantine(&self, bad: &[Quarantined]) -> Result<(), StoreError> {
        let (bundles, omitted) = bundled(bad);
        for (index, bundle) in bundles.iter().enumerate() {
            let omitted = if index + 1 == bundles.len() { omitted } else { &[] };
            self.keep(bundle, omitted).await?;
        }
        Ok(())
    }

    async fn keep(&self, bundle: &[Quarantined], omitted: &[Quarantined]) -> Result<(), StoreError> {
        let Some(first) = bundle.first() else { return Ok(()) };
        let mut item = Item::from([
            ("topic".to_owned(), text(&first.topic)),
            ("partition".to_owned(), number(first.partition)),
            ("seen_at".to_owned(), text(first.seen_at)),
            ("records".to_owned(), AttributeValue::L(bundle.iter().map(Quarantined::attributes).collect())),
            ("ttl".to_owned(), number(first.seen_at.plus(TTL).as_seconds())),
        ]);
        if let (Some(start), Some(end)) = (omitted.first(), omitted.last()) {
            let range = Item::from([
                ("records".to_owned(), number(omitted.len())),
                ("first".to_owned(), number(start.offset)),
                ("last".to_owned(), number(end.offset)),
            ]);
            item.insert("omitted".to_owned(), AttributeValue::M(range));
        }
        let key = Key::quarantined(&first.topic, first.partition, first.offset, &identity(bundle, omitted));
        // Where it does not hold, the same is there already.
        self.table.put_if(&key, item, "attribute_not_exists(#pk)", []).await?;
        Ok(())
    }

    /// What lies in quarantine of a partition: at least the `limit` records with the highest offsets, if there are as many.
    pub async fn quarantined(&self, topic: &str, partition: i32, limit: usize) -> Result<Contents, StoreError> {
        let reading = Reading { is_reversed: true, ..Reading::default() };
        let pages: Vec<Vec<Item>> = stream::iter(keys::quarantine(topic, partition))
            .map(async |pk| self.table.query(&pk, Range::All, reading, limit).await)
            .buffered(KEYS_AT_ONCE)
            .try_collect()
            .await?;
        let is_cut = pages.iter().any(|page| page.len() == limit);
        // A batch that came again in other pieces is there twice.
        let mut records = BTreeMap::new();
        let mut omitted = Vec::new();
        for item in pages.into_iter().flatten() {
            let (kept, counted) = read(item)?;
            records.extend(kept.into_iter().map(|record| ((record.offset, record.sha256.clone()), record)));
            omitted.extend(counted);
        }
        omitted.sort_by_key(|omitted: &Omitted| Reverse(omitted.first));
        Ok(Contents { records: records.into_values().rev().collect(), omitted, is_cut })
    }
}

/// Reads an item of several records, or one of one record, as they were written at first.
fn read(item: Item) -> Result<(Vec<Quarantined>, Option<Omitted>), StoreError> {
    if !item.contains_key("records") {
        return Ok((vec![from_item(item)?], None));
    }
    let Bundle { topic, partition, seen_at, records, omitted } = from_item(item)?;
    let omitted = omitted.map(|Counted { records, first, last }| Omitted {
        topic: topic.clone(),
        partition,
        records,
        first,
        last,
        seen_at,
    });
    let records = records.into_iter().map(|Bundled { offset, reason, key, value, length, sha256 }| Quarantined {
        topic: topic.clone(),
        partition,
        offset,
        reason,
        key,
        value,
        length,
        sha256,
        seen_at,
    });
    Ok((records.collect(), omitted))
}

/// The records by the items that they are kept in, and those that are left out.
fn bundled(bad: &[Quarantined]) -> (Vec<&[Quarantined]>, &[Quarantined]) {
    let (mut bundles, mut rest) = (Vec::new(), bad);
    let mut left = MAX_KEPT;
    while bundles.len() < MAX_ITEMS && left > 0 && !rest.is_empty() {
        let mut bytes = 0;
        let fitting = rest.iter().take_while(|record| {
            bytes += record.bytes();
            bytes <= ITEM_BYTES
        });
        // A record fits an item by itself, whatever its reason and key: both are short.
        let fitting = fitting.count().clamp(1, left);
        left -= fitting;
        let (bundle, after) = rest.split_at(fitting);
        bundles.push(bundle);
        rest = after;
    }
    (bundles, rest)
}

/// Tells an item apart from others that begin with the same offset.
fn identity(bundle: &[Quarantined], omitted: &[Quarantined]) -> String {
    let mut hash = Sha256::new();
    for record in bundle.iter().chain(omitted) {
        hash.update(record.offset.to_be_bytes());
        hash.update(&record.sha256);
    }
    hex::encode(&hash.finalize()[..8])
}

/// `Vec<u8>` by itself would be read from a list of numbers.
fn bytes<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<u8>, D::Error> {
    struct Visitor;
    impl de::Visitor<'_> for Visitor {
        type Value = Vec<u8>;

        fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            f.write_str("bytes")
        }

        fn visit_bytes<E: de::Error>(self, bytes: &[u8]) -> Result<Vec<u8>, E> {
            Ok(bytes.to_vec())
        }

        fn visit_byte_buf<E: de::Error>(self, bytes: Vec<u8>) -> Result<Vec<u8>, E> {
            Ok(bytes)
        }
    }
    deserializer.deserialize_byte_buf(Visitor)
}

fn optional_bytes<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Vec<u8>>, D::Error> {
    bytes(deserializer).map(Some)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bad(offset: Offset, length: usize) -> Quarantined {
        Quarantined::new("t", 0, offset, "not JSON", &vec![b'x'; length], Timestamp::default())
    }

    fn split(records: &[Quarantined]) -> (Vec<usize>, usize) {
        let (bundles, omitted) = bundled(records);
        (bundles.iter().map(|bundle| bundle.len()).collect(), omitted.len())
    }

    #[test]
    fn a_large_value_is_cut_but_its_length_and_digest_are_those_of_the_whole() {
        let whole = bad(1, KEPT_BYTES + 1);
        assert_eq!((whole.value.len(), whole.length, whole.is_whole()), (KEPT_BYTES, 262_145, false));
        assert_ne!(whole.sha256, bad(1, KEPT_BYTES).sha256);
    }

    #[test]
    fn the_digest_is_the_usual_one() {
        assert_eq!(bad(1, 0).sha256, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
    }

    #[test]
    fn a_flood_takes_two_items_at_most_and_what_is_left_out_comes_after_what_is_kept() {
        let records = |count, length| (0..count).map(|offset| bad(offset, length)).collect::<Vec<_>>();
        assert_eq!(split(&records(0, 100)), (vec![], 0));
        assert_eq!(split(&records(900, 50)), (vec![900], 0));
        assert_eq!(split(&records(10_000, 50)), (vec![1_000], 9_000));
        assert_eq!(split(&records(10_000, 1_000)), (vec![254, 254], 9_492));
        assert_eq!(split(&records(20, 5_000_000)), (vec![1, 1], 18));
    }
}
