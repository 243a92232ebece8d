//! What ingest writes beside slices.

use std::future::Future;

use projections::{ChannelId, Listing, TenantId, Timestamp};
use store::{Channels, Moved, Quarantined, StoreError};

/// Where ingest keeps what is no slice. [`Channels`] is the real place; tests put faults in between.
pub trait Bookkeeping {
    /// Lists a channel in its tenant's directory, or refreshes how it stands there.
    fn describe(
        &self,
        tenant: &TenantId,
        channel: &ChannelId,
        listing: Option<&Listing>,
        last_activity: Timestamp,
        now: Timestamp,
    ) -> impl Future<Output = Result<(), StoreError>> + Send;

    /// Keeps a channel as a whole for as long as what is written now.
    fn extend(
        &self,
        tenant: &TenantId,
        channel: &ChannelId,
        now: Timestamp,
    ) -> impl Future<Output = Result<(), StoreError>> + Send;

    /// Enters what a batch has moved in the journal, with Kafka's time of its oldest record.
    fn journal(
        &self,
        moved: Vec<Moved>,
        oldest: Option<Timestamp>,
        now: Timestamp,
    ) -> impl Future<Output = Result<(), StoreError>> + Send;

    /// Keeps the records of one partition that cannot be counted, or counts those that are too many.
    fn quarantine(&self, bad: &[Quarantined]) -> impl Future<Output = Result<(), StoreError>> + Send;

    /// Notes when a tenant's last record of a topic was made.
    fn note_records(
        &self,
        tenant: &TenantId,
        topic: &str,
        latest: Timestamp,
        now: Timestamp,
    ) -> impl Future<Output = Result<(), StoreError>> + Send;
}

impl Bookkeeping for Channels {
    async fn describe(
        &self,
        tenant: &TenantId,
        channel: &ChannelId,
        listing: Option<&Listing>,
        last_activity: Timestamp,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        self.describe(tenant, channel, listing, last_activity, now).await
    }

    async fn extend(&self, tenant: &TenantId, channel: &ChannelId, now: Timestamp) -> Result<(), StoreError> {
        self.extend(tenant, channel, now).await
    }

    async fn journal(&self, moved: Vec<Moved>, oldest: Option<Timestamp>, now: Timestamp) -> Result<(), StoreError> {
        self.journal(moved, oldest, now).await
    }

    async fn quarantine(&self, bad: &[Quarantined]) -> Result<(), StoreError> {
        self.quarantine(bad).await
    }

    async fn note_records(
        &self,
        tenant: &TenantId,
        topic: &str,
        latest: Timestamp,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        self.note_records(tenant, topic, latest, now).await
    }
}
