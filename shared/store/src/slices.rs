//! Slices in the table of channels.

use projections::{ChannelId, Kind, Offset, Slice, TenantId, Timestamp, history::Chunk};

use crate::{
    Channels, SliceId, SliceKey, SliceTable, StoreError, WriteError,
    expiry::{LIVES, VACANT, is_expired},
    keys::{self, Key},
    table::{Conditional, Item, Range, Reading, key_of, number, to_item},
    windows::{StoredWindow, WindowId},
};

/// How fresh a read has to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Consistency {
    /// It sees every write that was acknowledged before it, at twice the price.
    Strong,
    /// It may miss the last second.
    Eventual,
}

impl Channels {
    /// Every slice of a channel that has not expired, of all epochs: what was counted before a topic was made again still
    /// counts.
    pub async fn slices(
        &self,
        tenant: &TenantId,
        channel: &ChannelId,
        consistency: Consistency,
        now: Timestamp,
    ) -> Result<Vec<(SliceId, Slice)>, StoreError> {
        let reading = Reading { is_consistent: consistency == Consistency::Strong, ..Reading::default() };
        let pk = keys::channel(tenant, channel);
        // One for each partition of each topic of each epoch: Kafka bounds them.
        let items = self.table.query(&pk, Range::StartingWith(keys::SLICE), reading, usize::MAX).await?;
        items
            .into_iter()
            .filter(|item| !is_expired(item, now))
            .map(|item| {
                let id = item.get("sk").and_then(|sk| sk.as_s().ok()).and_then(|sk| sk.parse().ok());
                let id = id.ok_or_else(|| corrupt(&item, "its sort key names no slice"))?;
                Ok((id, read(channel.kind(), item)?))
            })
            .collect()
    }
}

impl SliceTable for Channels {
    async fn read(&self, key: &SliceKey, now: Timestamp) -> Result<Option<Slice>, StoreError> {
        let item = self.table.get(&Key::slice(key)).await?.filter(|item| !is_expired(item, now));
        item.map(|item| read(key.channel.kind(), item)).transpose()
    }

    async fn write_if(
        &self,
        key: &SliceKey,
        slice: &Slice,
        expected: Option<Offset>,
        now: Timestamp,
    ) -> Result<(), WriteError> {
        let mut item = to_item(slice)?;
        item.insert("version".to_owned(), number(slice.kind().version()));
        item.extend(self.expiry(now).map(|ttl| ("ttl".to_owned(), number(ttl))));
        let condition = expected.map_or_else(|| VACANT.to_owned(), |_| format!("#offset = :expected AND {LIVES}"));
        let values = expected.map(|offset| (":expected", number(offset)));
        let values = values.into_iter().chain([(":now", number(now.as_seconds()))]);
        match self.table.put_if(&Key::slice(key), item, &condition, values).await? {
            Conditional::Met(_) => Ok(()),
            Conditional::Failed(stored) => {
                let stored = stored.filter(|item| !is_expired(item, now));
                let stored = stored.map(|item| read(key.channel.kind(), item)).transpose()?;
                Err(WriteError::Conflict(stored.map(Box::new)))
            }
        }
    }

    async fn put_chunk(&self, key: &SliceKey, chunk: &Chunk, now: Timestamp) -> Result<(), StoreError> {
        self.put_chunk_item(key, chunk, now).await
    }

    async fn read_window(
        &self,
        key: &SliceKey,
        window: WindowId,
        now: Timestamp,
    ) -> Result<Option<StoredWindow>, StoreError> {
        self.get_window(key, window, now).await
    }

    async fn write_window_if(
        &self,
        key: &SliceKey,
        window: WindowId,
        stored: &StoredWindow,
        expected: Option<Offset>,
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        self.put_window_if(key, window, stored, expected, now).await
    }
}

fn read(kind: Kind, item: Item) -> Result<Slice, StoreError> {
    let version: Option<u32> = item.get("version").and_then(|value| value.as_n().ok()?.parse().ok());
    match version {
        None => return Err(corrupt(&item, "it has no version")),
        Some(version) if version > kind.version() => {
            let reads = kind.version();
            return Err(corrupt(&item, &format!("it is of version {version}, this build reads up to {reads}")));
        }
        Some(_) => {}
    }
    let key = key_of(&item);
    let attributes = serde_dynamo::AttributeValue::M(serde_dynamo::Item::from(item).into());
    // serde's own text quotes what it found.
    kind.read_slice(serde_dynamo::Deserializer::from_attribute_value(attributes))
        .map_err(|_| StoreError::Corrupt { key, reason: "not of its form".into() })
}

fn corrupt(item: &Item, reason: &str) -> StoreError {
    StoreError::Corrupt { key: key_of(item), reason: reason.to_owned() }
}
