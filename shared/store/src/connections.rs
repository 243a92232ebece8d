//! Connections: who is there. One item is all there is to know of a connection.

use std::{collections::BTreeMap, num::NonZeroU32, time::Duration};

use aws_sdk_dynamodb::Client;
use projections::{ChannelId, TenantId, Timestamp};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::{
    StoreError,
    keys::{self, Key},
    places,
    table::{Range, Reading, Table, from_item, number, to_item},
};

/// API Gateway closes a connection after two hours; ten minutes more, and nobody can still be there. What a lost
/// `$disconnect` has left behind is forgotten then.
pub const MAX_CONNECTION_AGE: Duration = Duration::from_mins(130);

/// The sort key of the counter that every change of a shard's connections raises.
const VERSION: &str = "#version";

/// A connection: what it may do and what it watches. Its item carries no version of its form, for none outlives
/// [`MAX_CONNECTION_AGE`]; a new field needs a default while a new build takes over.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Connection {
    /// API Gateway's id of it.
    #[serde(rename = "sk")]
    pub id: String,
    /// Whose data it may see.
    pub tenant: TenantId,
    /// Who is there.
    pub user: String,
    /// What they may do.
    pub permissions: Vec<String>,
    /// The channels that it watches, each with the fingerprint of the view that answered its `subscribe`; empty where
    /// none did.
    pub channels: BTreeMap<ChannelId, String>,
    /// Whether it has never subscribed to anything and still watches what every new connection does.
    pub is_default: bool,
    /// When it was opened.
    pub connected_at: Timestamp,
    /// When its token expires.
    pub expires_at: Timestamp,
}

/// A connection was not let in.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ConnectError {
    /// The user has as many as allowed. One of them has to go first.
    #[error("the user has too many connections")]
    TooMany,
    /// The table failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// The table of connections. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Connections {
    pub(crate) table: Table,
    shards: NonZeroU32,
}

impl Connections {
    /// The table of this name. With another number of shards the connections that are open are no longer found.
    #[must_use]
    pub fn new(client: Client, table: String, shards: NonZeroU32) -> Self {
        Self { table: Table::new(client, table), shards }
    }

    /// Asks for an item that is not there: opens the connection during init, and tells whether the table answers.
    pub async fn ping(&self) -> Result<(), StoreError> {
        self.table.ping().await
    }

    /// How many shards there are, numbered from 0.
    #[must_use]
    pub fn shards(&self) -> u32 {
        self.shards.get()
    }

    /// The shard of a connection: the same in every function and in every build.
    #[must_use]
    pub fn shard_of(&self, connection_id: &str) -> u32 {
        let digest = Sha256::digest(connection_id);
        u32::from_be_bytes([digest[0], digest[1], digest[2], digest[3]]) % self.shards
    }

    /// Lets a connection in, unless its user has `limit_per_user` already.
    pub async fn connect(
        &self,
        connection: &Connection,
        limit_per_user: usize,
        now: Timestamp,
    ) -> Result<(), ConnectError> {
        places::take(&self.table, connection, limit_per_user, now).await?;
        if let Err(error) = self.enter(connection).await {
            // The socket will not open, so no `$disconnect` frees the place: a client that comes again and again would
            // lock itself out. If leaving fails too, the place's expiry has to do.
            let _ = places::leave(&self.table, connection).await;
            return Err(error.into());
        }
        Ok(())
    }

    async fn enter(&self, connection: &Connection) -> Result<(), StoreError> {
        let ttl = connection.connected_at.plus(MAX_CONNECTION_AGE).as_seconds();
        let mut item = to_item(connection)?;
        item.insert("ttl".to_owned(), number(ttl));
        self.table.put(&self.key(&connection.id), item).await?;
        self.raise_version(&connection.id).await
    }

    /// The connection, if it is there.
    pub async fn get(&self, id: &str) -> Result<Option<Connection>, StoreError> {
        self.table.get(&self.key(id)).await?.map(from_item).transpose()
    }

    /// Forgets a connection and frees its user's place. Doing so twice is no error, and completes what the first time
    /// may have left undone: the item goes after the place, for it is what knows the user.
    pub async fn disconnect(&self, id: &str) -> Result<(), StoreError> {
        if let Some(connection) = self.get(id).await? {
            places::leave(&self.table, &connection).await?;
            self.table.delete(&self.key(id)).await?;
        }
        self.raise_version(id).await
    }

    /// A number that is raised after every change of a shard's connections. Read it before them: whoever then finds the
    /// same number has missed nothing.
    pub async fn version(&self, shard: u32) -> Result<u64, StoreError> {
        #[derive(Deserialize)]
        struct Version {
            version: u64,
        }
        let item = self.table.get(&Key::of_shard(shard, VERSION)).await?;
        item.map_or(Ok(0), |item| from_item(item).map(|Version { version }| version))
    }

    /// All connections of a shard. One that cannot be read is left out, with a warning: it must not silence the others.
    pub async fn connections(&self, shard: u32) -> Result<Vec<Connection>, StoreError> {
        let reading = Reading { is_consistent: true, ..Reading::default() };
        let range = Range::After(keys::AFTER_HASH);
        let items = self.table.query(&keys::shard(shard), range, reading, usize::MAX).await?;
        let readable = items.into_iter().filter_map(|item| {
            from_item(item).inspect_err(|error| tracing::warn!(%error, "a connection is left out")).ok()
        });
        Ok(readable.collect())
    }

    pub(crate) async fn raise_version(&self, id: &str) -> Result<(), StoreError> {
        let key = Key::of_shard(self.shard_of(id), VERSION);
        self.table.update(&key, "ADD #version :one").value(":one", number(1)).send().await?;
        Ok(())
    }

    pub(crate) fn key(&self, id: &str) -> Key {
        Key::of_shard(self.shard_of(id), id)
    }
}
