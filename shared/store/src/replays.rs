//! Which records in quarantine were sent to their topic again: each once, whoever does it and however often.
//!
//! A record is claimed before it is sent. Who is interrupted in between leaves the claim, and nobody knows then whether it
//! was sent: an operator looks into the topic and says so.

use std::collections::BTreeMap;

use projections::{Offset, Timestamp};
use serde::{Deserialize, Serialize};

use crate::{
    Channels, Quarantined, StoreError,
    keys::{self, Key},
    quarantine::TTL,
    table::{Conditional, Item, Range, Reading, from_item, number, text},
};

/// How far the replay of a record has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Replay {
    /// It is being sent, or whether it was is not known.
    Claimed,
    /// It was sent.
    Sent,
}

/// What tells apart a record of a partition, also from another one at the same offset of a topic made again.
pub type RecordId = (Offset, String);

#[derive(Deserialize)]
struct Stored {
    offset: Offset,
    sha256: String,
    replay: Replay,
}

impl Replay {
    const fn name(self) -> &'static str {
        match self {
            Self::Claimed => "claimed",
            Self::Sent => "sent",
        }
    }
}

impl Quarantined {
    /// What tells it apart from all others of its partition.
    #[must_use]
    pub fn id(&self) -> RecordId {
        (self.offset, self.sha256.clone())
    }
}

impl Channels {
    /// Claims a record for being sent: false if somebody has. After an error it may be claimed.
    pub async fn claim_replay(&self, record: &Quarantined, now: Timestamp) -> Result<bool, StoreError> {
        let item = replay_item(record, Replay::Claimed, now);
        let claimed = self.table.put_if(&Key::replay(record), item, "attribute_not_exists(#pk)", []).await?;
        Ok(matches!(claimed, Conditional::Met(_)))
    }

    /// Notes that a record was sent.
    pub async fn note_replay(&self, record: &Quarantined, now: Timestamp) -> Result<(), StoreError> {
        self.table.put(&Key::replay(record), replay_item(record, Replay::Sent, now)).await
    }

    /// Gives a claim back: the record was not sent.
    pub async fn release_replay(&self, record: &Quarantined) -> Result<(), StoreError> {
        self.table.delete(&Key::replay(record)).await.map(drop)
    }

    /// The records of a partition that were claimed or sent.
    pub async fn replays(&self, topic: &str, partition: i32) -> Result<BTreeMap<RecordId, Replay>, StoreError> {
        let reading = Reading { is_consistent: true, ..Reading::default() };
        let items = self.table.query(&keys::replays(topic, partition), Range::All, reading, usize::MAX).await?;
        let stored = items.into_iter().map(from_item);
        stored.map(|stored| stored.map(|Stored { offset, sha256, replay }| ((offset, sha256), replay))).collect()
    }
}

fn replay_item(record: &Quarantined, replay: Replay, now: Timestamp) -> Item {
    Item::from([
        ("offset".to_owned(), number(record.offset)),
        ("sha256".to_owned(), text(&record.sha256)),
        ("replay".to_owned(), text(replay.name())),
        // No earlier than the record itself.
        ("ttl".to_owned(), number(record.seen_at.max(now).plus(TTL).as_seconds())),
    ])
}
