//! Connections: who is there. One item is all there is to know of a connection.

use std::{collections::BTreeMap, num::NonZeroU32, time::Duration};

use auth::Principal;
use aws_sdk_dynamodb::Client;
use projections::{ChannelId, TenantId, Timestamp};
use serde::{Deserialize, Serialize};

use crate::{
    CloseReason, StoreError,
    keys::{self, Key},
    table::{Item, Table, from_item, number, to_item},
    tenant_quota, user_quota,
};

/// API Gateway closes a connection after two hours; ten minutes more, and nobody can still be there. What a lost
/// `$disconnect` has left behind is forgotten then.
pub const MAX_CONNECTION_AGE: Duration = Duration::from_mins(130);

/// A connection: what it may do and what it watches. Its item carries no version of its form, for none outlives
/// [`MAX_CONNECTION_AGE`]; a new field needs a default while a new build takes over.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Connection {
    /// API Gateway's id of it.
    #[serde(rename = "sk")]
    pub id: String,
    /// Whom it was opened for, as their latest token says; without permissions that Livefold does not know.
    pub principal: Principal,
    /// The channels that it watches, each with the fingerprint of the view that answered its `subscribe`; empty where
    /// none did.
    pub channels: BTreeMap<ChannelId, String>,
    /// Whether it has never subscribed to anything and still watches what every new connection does.
    pub is_default: bool,
    /// Whether it takes several messages in one frame.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub batch: bool,
    /// When it was opened.
    pub connected_at: Timestamp,
    /// The address that it was opened from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source_ip: Option<String>,
    /// Why it is to be closed, once it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ending: Option<CloseReason>,
}

/// How many connections there may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Of one user.
    pub per_user: usize,
    /// Of one tenant.
    pub per_tenant: u64,
}

/// A connection was not let in.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ConnectError {
    /// The user has as many as allowed. One of them has to go first.
    #[error("the user has too many connections")]
    TooManyOfUser,
    /// The tenant has as many as allowed. One of them has to go first.
    #[error("the tenant has too many connections")]
    TooManyOfTenant,
    /// The table failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Whose places a connection takes. None of it ever changes.
#[derive(Deserialize)]
struct Occupant {
    principal: Who,
    connected_at: Timestamp,
}

#[derive(Deserialize)]
struct Who {
    tenant: TenantId,
    user: String,
}

impl Occupant {
    /// Whose places the connection of an item takes. Little of the item has to be readable for that, and if not even that
    /// is, the places are free again when the connection must be over.
    fn of(item: Item) -> Option<Self> {
        from_item(item).inspect_err(|error| tracing::warn!(%error, "a connection's places are not freed")).ok()
    }
}

/// The table of connections. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Connections {
    pub(crate) table: Table,
    pub(crate) clock: fn() -> Timestamp,
    shards: NonZeroU32,
}

impl Connections {
    /// The table of this name. With another number of shards the connections that are open are no longer found. The clock
    /// is for the journal alone: an entry is to be found by when it was written, and not by when the request began, which
    /// may have had to wait.
    #[must_use]
    pub fn new(client: Client, table: String, shards: NonZeroU32, clock: fn() -> Timestamp) -> Self {
        Self { table: Table::new(client, table), clock, shards }
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
        keys::part_of(connection_id, self.shards)
    }

    /// Lets a connection in, unless its user or its tenant has as many as allowed already. Its id has to be new. Where the
    /// SDK tries again after a lost answer, it may count as two of the tenant's until [`MAX_CONNECTION_AGE`] and
    /// ten minutes have passed; so it may as one after an error.
    pub async fn connect(&self, connection: &Connection, limits: Limits, now: Timestamp) -> Result<(), ConnectError> {
        self.let_in(connection, limits, false, now).await.map(drop)
    }

    /// Lets a connection in, in place of another one of its user's where `replaces` and where there is no other; which.
    ///
    /// A socket that does not open has to leave: no `$disconnect` frees its places, and a client that comes again and
    /// again would lock itself out. If leaving fails too, the user's place is found to be nobody's when it is needed, and
    /// the tenant's expires.
    pub(crate) async fn let_in(
        &self,
        connection: &Connection,
        limits: Limits,
        replaces: bool,
        now: Timestamp,
    ) -> Result<Option<String>, ConnectError> {
        let Principal { tenant, user, .. } = &connection.principal;
        let place = self.take_place(connection, limits.per_user, now).await?;
        if place.is_err() && !replaces {
            return Err(ConnectError::TooManyOfUser);
        }
        if let Err(error) = tenant_quota::take(&self.table, connection, limits.per_tenant, now).await {
            if place.is_ok() {
                let _ = user_quota::release(&self.table, tenant, user, &connection.id).await;
            }
            return Err(error);
        }
        let made_way = match place {
            Ok(()) => None,
            Err(occupancy) => match self.replace(occupancy, connection, limits.per_user, now).await {
                Ok(made_way) => made_way,
                Err(error) => {
                    // Where the answer was lost the place may be taken all the same.
                    let _ = user_quota::release(&self.table, tenant, user, &connection.id).await;
                    let _ = tenant_quota::release(&self.table, tenant, connection.connected_at).await;
                    return Err(error);
                }
            },
        };
        if let Err(error) = self.enter(connection).await {
            let _ = self.withdraw(connection).await;
            return Err(error.into());
        }
        if let Err(error) = self.enter_change(&connection.id).await {
            let _ = self.disconnect(&connection.id).await;
            return Err(error.into());
        }
        Ok(made_way)
    }

    /// Stores the connection, and of its token what Livefold looks at. One that is there already, as it is when the SDK tries
    /// again, stays as it is: it may be marked to end by now.
    async fn enter(&self, connection: &Connection) -> Result<(), StoreError> {
        let ttl = connection.connected_at.plus(MAX_CONNECTION_AGE).as_seconds();
        let principal = connection.principal.with_known_permissions();
        let mut item = to_item(&Connection { principal, ..connection.clone() })?;
        item.insert("ttl".to_owned(), number(ttl));
        self.table.put_if(&self.key(&connection.id), item, "attribute_not_exists(#pk)", []).await?;
        Ok(())
    }

    /// Takes back what [`Self::enter`] may have written all the same, and the places: the tenant's only when there is no
    /// item any more, whose deletion would free it again.
    async fn withdraw(&self, connection: &Connection) -> Result<(), StoreError> {
        let Principal { tenant, user, .. } = &connection.principal;
        let left = user_quota::release(&self.table, tenant, user, &connection.id).await;
        self.table.delete(&self.key(&connection.id)).await?;
        tenant_quota::release(&self.table, tenant, connection.connected_at).await?;
        left
    }

    /// The connection, if it is there.
    pub async fn get(&self, id: &str) -> Result<Option<Connection>, StoreError> {
        self.table.get(&self.key(id)).await?.map(from_item).transpose()
    }

    /// Forgets a connection and frees its places, also if its item cannot be read any more. Doing so twice is no error, and
    /// completes what the first time may have left undone: the item goes after the user's place, for it is what knows the
    /// user. The tenant's place is freed by whoever deletes the item; if the answer to that is lost, or this is interrupted,
    /// nobody does, and the connection counts until [`MAX_CONNECTION_AGE`] and ten minutes have passed.
    pub async fn disconnect(&self, id: &str) -> Result<(), StoreError> {
        let mut freed = Ok(());
        if let Some(item) = self.table.get(&self.key(id)).await? {
            let occupant = Occupant::of(item);
            if let Some(Occupant { principal: Who { tenant, user }, .. }) = &occupant {
                user_quota::release(&self.table, tenant, user, id).await?;
            }
            let deleted = self.table.delete(&self.key(id)).await?;
            if let (Some(_), Some(Occupant { principal, connected_at })) = (deleted, occupant) {
                freed = tenant_quota::release(&self.table, &principal.tenant, connected_at).await;
            }
        }
        self.enter_change(id).await?;
        freed
    }

    /// The ids of a user's connections: of all that are open, and of some that are gone without a `$disconnect`.
    pub async fn of_user(&self, tenant: &TenantId, user: &str) -> Result<Vec<String>, StoreError> {
        user_quota::taken(&self.table, tenant, user).await
    }

    /// A tenant's connections. It reads every shard, so it is for what is rare.
    pub async fn of_tenant(&self, tenant: &TenantId) -> Result<Vec<Connection>, StoreError> {
        let mut found = Vec::new();
        for shard in 0..self.shards() {
            let connections = self.connections(shard).await?;
            found.extend(connections.into_iter().filter(|connection| connection.principal.tenant == *tenant));
        }
        Ok(found)
    }

    pub(crate) fn key(&self, id: &str) -> Key {
        Key::connection(self.shard_of(id), id)
    }
}
