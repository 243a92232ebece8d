//! The table of channels.

use std::{num::NonZeroU32, time::Duration};

use aws_sdk_dynamodb::Client;
use projections::Timestamp;

use crate::{StoreError, expiry, table::Table};

/// The table of channels: slices, directory, quarantine and when each topic was last heard of. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Channels {
    pub(crate) table: Table,
    pub(crate) journal_buckets: NonZeroU32,
    retention: Option<Duration>,
}

impl Channels {
    /// The table of this name. A channel expires as a whole, `retention` after the day of its last record, which has to be
    /// later than Kafka forgets its records: a record that comes again after its slice has gone is counted again.
    #[must_use]
    pub fn new(client: Client, table: String, retention: Option<Duration>) -> Self {
        Self { table: Table::new(client, table), journal_buckets: NonZeroU32::MIN, retention }
    }

    /// Asks for an item that is not there: opens the connection during init, and tells whether the table answers.
    pub async fn ping(&self) -> Result<(), StoreError> {
        self.table.ping().await
    }

    /// How long after the day of its last record a channel expires; `None` keeps it for good.
    pub(crate) fn retention(&self) -> Option<Duration> {
        self.retention
    }

    /// When what is written `now` expires, in seconds since the epoch.
    pub(crate) fn expiry(&self, now: Timestamp) -> Option<i64> {
        self.retention.map(|retention| expiry::expiry(retention, now))
    }
}
