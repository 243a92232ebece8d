//! What happened in a channel, one thing after the other: a call was answered, a campaign was paused, somebody arrived.
//!
//! A state says how things stand; history says what happened. It lies beside the slice, in chunks: all that the records
//! of one commit add is one chunk (or several, where it is much). A chunk is stored before the slice that it belongs to, so
//! that a slice never counts what history does not have. A writer that was overtaken, or died in between, leaves chunks that
//! no slice ever came to. So each slice names its last chunk and each chunk the one before it: what is not in that chain
//! did not happen.

use serde::{Deserialize, Serialize, de::DeserializeOwned};
use serde_json::Value;

use crate::{ChannelId, Offset, Timestamp};

/// The most bytes of entries in one chunk, but for those of a single record. A page of a query takes ten of them, and an
/// item holds four times as much.
pub const MAX_CHUNK_BYTES: usize = 100_000;

/// One thing that happened, of one kind of channel.
pub trait Happened: Clone + PartialEq + std::fmt::Debug + Serialize + DeserializeOwned {
    /// The `type` of the message that tells watchers of it; nothing where only views show it.
    fn message_type(&self) -> Option<&'static str>;
    /// The message's `data`.
    fn data(&self, channel: &ChannelId) -> Value;
    /// Whether those who watch all channels of the kind are told, too, or only those who named this one.
    fn is_for_collection(&self) -> bool;
    /// As those see it who may not see names of people.
    #[must_use]
    fn concealed(self) -> Self {
        self
    }
}

/// What happens in a channel of which nothing is told.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Nothing {}

impl Happened for Nothing {
    fn message_type(&self) -> Option<&'static str> {
        match *self {}
    }

    fn data(&self, _: &ChannelId) -> Value {
        match *self {}
    }

    fn is_for_collection(&self) -> bool {
        match *self {}
    }
}

/// An entry of a slice's history.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(bound(deserialize = "E: DeserializeOwned"))]
pub struct Entry<E> {
    /// The record that says so. One record may add several entries.
    #[serde(rename = "o")]
    pub offset: Offset,
    /// When it happened.
    #[serde(rename = "t", with = "crate::timestamp::millis")]
    pub at: Timestamp,
    /// What happened.
    #[serde(rename = "e")]
    pub what: E,
}

impl<E: Happened> Entry<E> {
    /// As those see it who may not see names of people.
    #[must_use]
    pub fn concealed(mut self) -> Self {
        self.what = self.what.concealed();
        self
    }
}

/// Takes down what one record adds to history.
pub struct Recorder<'a, E> {
    pub(crate) offset: Offset,
    pub(crate) at: Timestamp,
    pub(crate) entries: &'a mut Vec<Entry<E>>,
}

impl<E> Recorder<'_, E> {
    /// This happened.
    pub fn add(&mut self, what: E) {
        self.entries.push(Entry { offset: self.offset, at: self.at, what });
    }
}

/// Which chunk. Two chunks of one id hold the same: it says which records were folded into which slice. Writers that do not
/// know of each other cut batches otherwise, or begin with an older slice; their chunks have other ids.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct ChunkId {
    /// The last record that it is made of.
    pub last: Offset,
    /// The first record that it is made of.
    pub first: Offset,
    /// The watermark of the slice that the records were folded into.
    pub base: Option<Offset>,
}

/// How far a slice's history goes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tail {
    /// How many entries there ever were.
    pub total: u64,
    /// The last chunk; nothing before the first.
    pub last: Option<ChunkId>,
}

/// A part of a slice's history, ready to be stored.
#[derive(Clone, Debug, PartialEq)]
pub struct Chunk {
    /// Which one.
    pub id: ChunkId,
    /// How far history went before it.
    pub before: Tail,
    /// How many entries it has.
    pub count: u64,
    /// The entries, oldest first: a JSON array of [`Entry`].
    pub entries: String,
}

impl Chunk {
    /// How far history goes with it.
    #[must_use]
    pub fn tail(&self) -> Tail {
        Tail { total: self.before.total + self.count, last: Some(self.id) }
    }
}

/// Cuts entries, oldest first, into chunks that follow `tail`. They were folded into a slice of the watermark `base`.
pub(crate) fn cut<E: Happened>(entries: &[Entry<E>], base: Option<Offset>, mut tail: Tail) -> Vec<Chunk> {
    let mut chunks = Vec::new();
    let mut records = entries.chunk_by(|a, b| a.offset == b.offset).peekable();
    while let Some(first) = records.peek().map(|record| record[0].offset) {
        let (mut text, mut last, mut count) = (String::from("["), first, 0);
        while let Some(record) = records.peek() {
            let mut written = String::new();
            for entry in *record {
                // What our own types hold is JSON.
                written += &serde_json::to_string(entry).unwrap_or_default();
                written.push(',');
            }
            if count > 0 && text.len() + written.len() > MAX_CHUNK_BYTES {
                break;
            }
            text += &written;
            last = record[0].offset;
            count += record.len() as u64;
            records.next();
        }
        text.pop();
        text.push(']');
        let chunk = Chunk { id: ChunkId { last, first, base }, before: tail, count, entries: text };
        tail = chunk.tail();
        chunks.push(chunk);
    }
    chunks
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::campaign::{CallEventType, CampaignEntry};

    fn entry(offset: Offset, call_id: &str) -> Entry<CampaignEntry> {
        let what = CampaignEntry::Call { call_id: Some(call_id.to_owned()), event_type: CallEventType::CallAnswered };
        Entry { offset, at: Timestamp::from_millis(1_768_473_000_120), what }
    }

    #[test]
    fn what_one_commit_adds_is_one_chunk_whose_form_is_pinned() {
        let tail = Tail { total: 7, last: Some(ChunkId { last: 4, first: 4, base: None }) };
        let chunks = cut(&[entry(9, "k1"), entry(9, "k2"), entry(12, "k3")], Some(4), tail);
        let [chunk] = &chunks[..] else { panic!("one chunk") };
        assert_eq!((chunk.id, chunk.before), (ChunkId { last: 12, first: 9, base: Some(4) }, tail));
        assert_eq!(chunk.tail(), Tail { total: 10, last: Some(chunk.id) });
        assert!(chunk.entries.starts_with(
            r#"[{"o":9,"t":1768473000120,"e":{"call":{"call_id":"k1","event_type":"call_answered"}}},{"o":9,"#
        ));
        assert_eq!(cut::<CampaignEntry>(&[], Some(4), tail), []);
    }

    #[test]
    fn much_is_cut_between_records_into_chunks_that_name_each_other() {
        let long = "k".repeat(900);
        let entries: Vec<_> = (0..1_000).map(|n| entry(n / 2, &long)).collect();
        let chunks = cut(&entries, None, Tail::default());
        assert!(chunks.len() > 9);
        let mut tail = Tail::default();
        let mut read = Vec::new();
        for chunk in &chunks {
            assert_eq!(chunk.before, tail);
            assert!(chunk.entries.len() <= MAX_CHUNK_BYTES + 1);
            tail = chunk.tail();
            read.extend(serde_json::from_str::<Vec<Entry<CampaignEntry>>>(&chunk.entries).unwrap());
        }
        assert_eq!((read, tail.total), (entries, 1_000));
        assert!(chunks.windows(2).all(|pair| pair[0].id.last < pair[1].id.first));
    }
}
