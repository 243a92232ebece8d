//! Quarantine: where records that cannot be decoded are kept, with the reason, while the rest of their batch goes on.

use std::time::Duration;

use projections::{Offset, Timestamp};
use serde::{Deserialize, Deserializer, de};
use sha2::{Digest, Sha256};

use crate::{
    Channels, StoreError,
    keys::{self, Key},
    table::{Item, Range, Reading, binary, from_item, number, text},
};

/// As much of a record is kept: an item holds 400 KB, and Kafka still has the record.
pub const KEPT_BYTES: usize = 256 * 1024;

/// Two weeks are time to find out, also after a holiday.
const TTL: Duration = Duration::from_hours(14 * 24);

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
            value: value[..value.len().min(KEPT_BYTES)].to_vec(),
            length: value.len() as u64,
            sha256: hexadecimal(&Sha256::digest(value)),
            seen_at,
        }
    }
}

impl Channels {
    /// Keeps a bad record for two weeks. One that comes again is kept once, with the time when it was first met; another
    /// one at the same offset, as after a topic was made again, takes its place.
    pub async fn quarantine(&self, bad: &Quarantined) -> Result<(), StoreError> {
        let item = Item::from([
            ("topic".to_owned(), text(&bad.topic)),
            ("partition".to_owned(), number(bad.partition)),
            ("offset".to_owned(), number(bad.offset)),
            ("reason".to_owned(), text(&bad.reason)),
            ("value".to_owned(), binary(&bad.value)),
            ("length".to_owned(), number(bad.length)),
            ("sha256".to_owned(), text(&bad.sha256)),
            ("seen_at".to_owned(), text(bad.seen_at)),
            ("ttl".to_owned(), number(bad.seen_at.plus(TTL).as_seconds())),
        ]);
        let key = Key::quarantined(&bad.topic, bad.partition, bad.offset);
        let condition = "attribute_not_exists(#pk) OR #sha256 <> :sha256";
        // Where it does not hold, the record is there already.
        self.table.put_if(&key, item, condition, [(":sha256", text(&bad.sha256))]).await?;
        Ok(())
    }

    /// The bad records of a partition with the highest offsets, at most `limit`, highest first.
    pub async fn quarantined(&self, topic: &str, partition: i32, limit: usize) -> Result<Vec<Quarantined>, StoreError> {
        let reading = Reading { is_reversed: true, ..Reading::default() };
        let items = self.table.query(&keys::quarantine(topic, partition), Range::All, reading, limit).await?;
        items.into_iter().map(from_item).collect()
    }
}

fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |text, byte| text + &format!("{byte:02x}"))
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_large_value_is_cut_but_its_length_and_digest_are_those_of_the_whole() {
        let value = vec![b'x'; KEPT_BYTES + 1];
        let bad = Quarantined::new("t", 0, 1, "not JSON", &value, Timestamp::default());
        assert_eq!(bad.value.len(), KEPT_BYTES);
        assert_eq!(bad.length, 262_145);
        let other = Quarantined::new("t", 0, 1, "not JSON", &value[1..], Timestamp::default());
        assert_ne!(bad.sha256, other.sha256);
    }

    #[test]
    fn the_digest_is_the_usual_one() {
        let bad = Quarantined::new("t", 0, 1, "empty value", b"", Timestamp::default());
        assert_eq!(bad.sha256, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
    }
}
