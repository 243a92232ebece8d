//! History in the table of channels: chunks of entries beside the slice that they belong to.
//!
//! A chunk counts where the slice, or a chunk that counts, names it ([`projections::history`] says why). So it is read from
//! the newest to the oldest, along that chain; what a writer left behind that was overtaken is met and passed over.

use std::{cmp::Ordering, time::Duration};

use projections::{
    HistoryEntry, Kind, Offset, Timestamp,
    history::{Chunk, ChunkId, Tail},
};

use crate::{
    Channels, Consistency, SliceId, SliceKey, StoreError,
    expiry::is_expired,
    keys::{self, Key},
    table::{Item, Range, Reading, addressed_by, key_of, number, number_of, text},
};

/// What the sort keys of chunks start with.
const HISTORY: &str = "history#";

/// Chunks that are asked for at once. A page of DynamoDB's has a megabyte.
const PAGE: usize = 64;

/// Which part of a slice's history.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HistoryRange {
    /// How far the slice's history goes: what came after it is left out.
    pub through: Tail,
    /// Entries of records up to this offset are not asked for; `None` asks from the first on.
    pub after: Option<Offset>,
    /// Of more the newest are read: as many, and what lies in one chunk with them.
    pub limit: usize,
}

/// A part of a slice's history.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct History {
    /// The entries, oldest first.
    pub entries: Vec<HistoryEntry>,
    /// Whether all that was asked for is there. It is not where a part has expired, or where an eventually consistent read
    /// is behind.
    pub is_whole: bool,
}

impl Channels {
    /// Reads a part of a slice's history. An eventually consistent read that is behind is repeated consistently.
    pub async fn history(
        &self,
        key: &SliceKey,
        range: HistoryRange,
        consistency: Consistency,
        now: Timestamp,
    ) -> Result<History, StoreError> {
        let history = self.read_history(key, range, consistency, now).await?;
        if history.is_whole || consistency == Consistency::Strong {
            return Ok(history);
        }
        self.read_history(key, range, Consistency::Strong, now).await
    }

    async fn read_history(
        &self,
        SliceKey { tenant, channel, slice }: &SliceKey,
        HistoryRange { through, after, limit }: HistoryRange,
        consistency: Consistency,
        now: Timestamp,
    ) -> Result<History, StoreError> {
        let reading = Reading { is_consistent: consistency == Consistency::Strong, is_reversed: true };
        let pk = keys::channel(tenant, channel);
        let first = sort_key_from(slice, after.map_or(0, |after| after.saturating_add(1)));
        let is_wanted = |chunk: &ChunkId| after.is_none_or(|after| chunk.last > after);
        let is_new = |entry: &HistoryEntry| after.is_none_or(|after| entry.offset() > after);
        let mut chunks: Vec<Vec<HistoryEntry>> = Vec::new();
        let mut count = 0;
        let mut next = through.last.filter(is_wanted).map(|id| sort_key(slice, &id));
        let mut last = next.clone().unwrap_or_default();
        'pages: while next.is_some() && count < limit {
            let items = self.table.query(&pk, Range::Between(&first, &last), reading, PAGE).await?;
            let is_last_page = items.len() < PAGE;
            for item in items {
                last = addressed_by(&item).sk;
                match &next {
                    Some(next) if count < limit => match last.cmp(next) {
                        Ordering::Greater => continue,
                        Ordering::Equal if !is_expired(&item, now) => {}
                        Ordering::Equal | Ordering::Less => break 'pages,
                    },
                    _ => break 'pages,
                }
                let entries: Vec<_> = entries_of(channel.kind(), &item)?.into_iter().filter(is_new).collect();
                count += entries.len();
                chunks.push(entries);
                next = before(&item)?.filter(is_wanted).map(|id| sort_key(slice, &id));
            }
            if is_last_page {
                break;
            }
        }
        let entries = chunks.into_iter().rev().flatten().collect();
        Ok(History { entries, is_whole: next.is_none() || count >= limit })
    }

    pub(crate) async fn put_chunk_item(&self, key: &SliceKey, chunk: &Chunk, now: Timestamp) -> Result<(), StoreError> {
        let kind = key.channel.kind();
        let mut item = Item::from([
            ("count".to_owned(), number(chunk.count)),
            ("total".to_owned(), number(chunk.before.total)),
            ("entries".to_owned(), text(&chunk.entries)),
            ("version".to_owned(), number(kind.version())),
        ]);
        item.extend(chunk.before.last.map(|before| ("before".to_owned(), text(in_key(&before)))));
        item.insert("ttl".to_owned(), number(now.plus(self.kept(kind.history())).as_seconds()));
        let address = Key { pk: keys::channel(&key.tenant, &key.channel), sk: sort_key(&key.slice, &chunk.id) };
        self.table.put(&address, item).await
    }

    /// How long what a kind would keep is kept: no longer than the channel.
    fn kept(&self, wanted: Duration) -> Duration {
        self.retention().map_or(wanted, |retention| wanted.min(retention))
    }
}

fn sort_key(slice: &SliceId, chunk: &ChunkId) -> String {
    format!("{HISTORY}{}#{}", slice.in_key(), in_key(chunk))
}

/// Sorts before every chunk of a slice whose last record has this offset or a later one, and after all others.
fn sort_key_from(slice: &SliceId, offset: Offset) -> String {
    format!("{HISTORY}{}#{offset:019}", slice.in_key())
}

/// As wide as the greatest offset, so that keys sort as offsets do.
fn in_key(ChunkId { last, first, base }: &ChunkId) -> String {
    match base {
        Some(base) => format!("{last:019}#{first:019}#{base:019}"),
        None => format!("{last:019}#{first:019}#"),
    }
}

fn id_in(text: &str) -> Option<ChunkId> {
    let mut parts = text.split('#');
    let (last, first, base) = (parts.next()?.parse().ok()?, parts.next()?.parse().ok()?, parts.next()?);
    let base = if base.is_empty() { None } else { Some(base.parse().ok()?) };
    parts.next().is_none().then_some(ChunkId { last, first, base })
}

/// The chunk before this one.
fn before(item: &Item) -> Result<Option<ChunkId>, StoreError> {
    let Some(before) = item.get("before").and_then(|before| before.as_s().ok()) else { return Ok(None) };
    let id = id_in(before).ok_or_else(|| corrupt(item, "it names no chunk before it"))?;
    Ok(Some(id))
}

fn entries_of(kind: Kind, item: &Item) -> Result<Vec<HistoryEntry>, StoreError> {
    let version = number_of(item, "version")?;
    if version > u64::from(kind.version()) {
        return Err(corrupt(item, &format!("it is of version {version}, this build reads up to {}", kind.version())));
    }
    let entries = item.get("entries").and_then(|entries| entries.as_s().ok());
    let entries = entries.and_then(|entries| kind.read_entries(entries).ok());
    // serde's own text quotes what it found.
    entries.ok_or_else(|| corrupt(item, "not of its form"))
}

fn corrupt(item: &Item, reason: &str) -> StoreError {
    StoreError::Corrupt { key: key_of(item), reason: reason.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chunks_sort_by_their_last_record_and_read_back_from_their_keys() {
        let slice = SliceId { epoch: 1, topic: "t".into(), partition: 0 };
        let id = |last, first, base| ChunkId { last, first, base };
        let keys = [id(9, 9, None), id(9, 9, Some(8)), id(10, 2, None), id(10, 3, Some(2)), id(Offset::MAX, 0, None)];
        assert!(keys.map(|id| sort_key(&slice, &id)).is_sorted());
        assert!(sort_key_from(&slice, 10) > sort_key(&slice, &keys[1]));
        assert!(sort_key_from(&slice, 10) < sort_key(&slice, &keys[2]));
        assert!(keys.iter().all(|id| id_in(&in_key(id)) == Some(*id)));
        assert_eq!(
            sort_key(&slice, &id(10, 3, Some(2))),
            "history#1#t#0#0000000000000000010#0000000000000000003#0000000000000000002"
        );
        for bad in ["", "1", "1#2", "1#2#x", "1#2#3#4"] {
            assert_eq!(id_in(bad), None, "{bad:?}");
        }
    }
}
