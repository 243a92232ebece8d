//! Requests: how often a user asks, over REST and, for what is costly, over all of their sockets.

use aws_sdk_dynamodb::Client;
use projections::{TenantId, Timestamp};

use crate::{
    StoreError,
    keys::Key,
    rates::{self, Counter},
    table::Table,
};

/// The counters of requests, in the table of connections. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Requests {
    table: Table,
}

impl Requests {
    /// The counters in the table of this name.
    #[must_use]
    pub fn new(client: Client, table: String) -> Self {
        Self { table: Table::new(client, table) }
    }

    /// Counts a user's request and tells how many came in this minute, this one included. One write, and a second one for
    /// the first request of a minute. Where the SDK tries again after a lost answer, a request counts twice.
    pub async fn count(&self, tenant: &TenantId, user: &str, now: Timestamp) -> Result<u64, StoreError> {
        self.count_as(tenant, user, 1, now).await
    }

    /// As [`Self::count`], a request that is as costly as several.
    pub async fn count_as(
        &self,
        tenant: &TenantId,
        user: &str,
        requests: u64,
        now: Timestamp,
    ) -> Result<u64, StoreError> {
        let key = Key::requests(tenant, user);
        let counted = rates::count(&self.table, &key, &Counter::Alone(requests), now).await?;
        // The item need not be there, so there is always a count.
        Ok(counted.map_or(requests, |(_, count)| count))
    }
}
