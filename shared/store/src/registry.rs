//! The registry: which connections a shard has, and which of them have come, changed or left.
//!
//! Every change of a connection is entered in its shard's journal, once it is stored. So a publisher reads the connections
//! that changed and no others; all of them it reads once, when it begins, and page by page in a slow sweep, for what is
//! stored and not entered: its writer may have died in between.

use projections::Timestamp;
use serde::{Deserialize, Serialize};

use crate::{
    Connection, Connections, StoreError,
    journal::{self, Follower, News},
    keys,
    table::{Item, Range, Reading, addressed_by, from_item},
};

/// The connections of one page, some 100 KB.
const PAGE: usize = 200;

/// An entry of a shard's journal.
#[derive(Serialize, Deserialize)]
struct Changed {
    connection: String,
}

/// Some of a shard's connections, in the order of their ids.
#[derive(Debug)]
pub struct Page {
    /// The connections, as an eventually consistent read has found them.
    pub connections: Vec<Connection>,
    /// The id that the next page begins after; nothing at the end.
    pub next: Option<String>,
}

impl Connections {
    /// The ids of a shard's connections that have come, changed or left since `follower` read last.
    /// [`Self::get`] says what they are now.
    pub async fn changes(
        &self,
        shard: u32,
        follower: &mut Follower,
        now: Timestamp,
    ) -> Result<News<String>, StoreError> {
        let news: News<Changed> = journal::read(&self.table, &keys::registry(shard), follower, now).await?;
        let mut ids: Vec<String> = news.entries.into_iter().map(|changed| changed.connection).collect();
        ids.sort_unstable();
        ids.dedup();
        Ok(News { entries: ids, is_complete: news.is_complete })
    }

    /// All connections of a shard. One that cannot be read is left out, with a warning: it must not silence the others.
    pub async fn connections(&self, shard: u32) -> Result<Vec<Connection>, StoreError> {
        let reading = Reading { is_consistent: true, ..Reading::default() };
        let range = Range::After(keys::AFTER_HASH);
        let items = self.table.query(&keys::shard(shard), range, reading, usize::MAX).await?;
        Ok(items.into_iter().filter_map(readable).collect())
    }

    /// A page of a shard's connections, the first one or that after an id. Half the price of a consistent read: what it
    /// tells is to be looked at with [`Self::get`] before it is believed.
    pub async fn page(&self, shard: u32, after: Option<&str>) -> Result<Page, StoreError> {
        let range = Range::After(after.unwrap_or(keys::AFTER_HASH));
        let mut items = self.table.query(&keys::shard(shard), range, Reading::default(), PAGE).await?;
        items.truncate(PAGE);
        let next = items.last().filter(|_| items.len() == PAGE).map(|item| addressed_by(item).sk);
        Ok(Page { connections: items.into_iter().filter_map(readable).collect(), next })
    }

    /// Whether a shard has no connection.
    pub async fn is_empty(&self, shard: u32) -> Result<bool, StoreError> {
        let reading = Reading { is_consistent: true, ..Reading::default() };
        let range = Range::After(keys::AFTER_HASH);
        Ok(self.table.query(&keys::shard(shard), range, reading, 1).await?.is_empty())
    }

    /// Enters in its shard's journal that a connection has come, changed or left; to be called once that is stored.
    pub(crate) async fn enter_change(&self, id: &str) -> Result<(), StoreError> {
        let entry = Changed { connection: id.to_owned() };
        journal::append(&self.table, &keys::registry(self.shard_of(id)), &entry, (self.clock)()).await
    }
}

fn readable(item: Item) -> Option<Connection> {
    from_item(item).inspect_err(|error| tracing::warn!(%error, "a connection is left out")).ok()
}
