//! What a publisher leaves behind: what it has published, and how it goes.

use std::collections::BTreeMap;

use projections::Timestamp;
use serde::{Deserialize, Serialize};

use crate::{
    Lease, Leases, StoreError,
    keys::Key,
    table::{Conditional, Item, binary, from_item, number, to_item},
};

/// The most bytes that a publisher can leave to its successor: an item holds 400 KB.
pub const MAX_PUBLISHED: usize = 350 * 1024;

/// The most tenants whose connections are counted in a pulse, those with the most connections.
pub const MAX_PULSE_TENANTS: usize = 1_000;

/// How a shard's publisher goes.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pulse {
    /// When it was taken.
    pub at: Timestamp,
    /// Open connections by tenant.
    pub connections: BTreeMap<String, u64>,
    /// The Kafka cluster's state, where the publisher knows one.
    pub kafka_cluster: Option<String>,
}

impl Leases {
    /// Leaves to a successor what has been published; false if a later holder has done so already. An item of its own,
    /// for renewing the lease is charged by the size of its item.
    pub async fn save_published(&self, shard: u32, lease: &Lease, bytes: &[u8]) -> Result<bool, StoreError> {
        if bytes.len() > MAX_PUBLISHED {
            return Err(StoreError::TooLarge { bytes: bytes.len(), limit: MAX_PUBLISHED });
        }
        let item = Item::from([("published".into(), binary(bytes)), ("token".into(), number(lease.token))]);
        let condition = "attribute_not_exists(#pk) OR #token <= :token";
        let values = [(":token", number(lease.token))];
        let saved = self.table.put_if(&Key::published(shard), item, condition, values).await?;
        Ok(matches!(saved, Conditional::Met(_)))
    }

    /// What the last holder has left.
    pub async fn published(&self, shard: u32) -> Result<Option<Vec<u8>>, StoreError> {
        let item = self.table.get(&Key::published(shard)).await?;
        let bytes = item.and_then(|mut item| item.remove("published")?.as_b().cloned().ok());
        Ok(bytes.map(aws_sdk_dynamodb::primitives::Blob::into_inner))
    }

    /// Leaves how the publisher goes.
    pub async fn save_pulse(&self, shard: u32, pulse: &Pulse) -> Result<(), StoreError> {
        let mut largest: Vec<_> = pulse.connections.iter().collect();
        largest.sort_unstable_by(|a, b| b.1.cmp(a.1).then(a.0.cmp(b.0)));
        largest.truncate(MAX_PULSE_TENANTS);
        let connections = largest.into_iter().map(|(tenant, count)| (tenant.clone(), *count)).collect();
        let bounded = Pulse { connections, ..pulse.clone() };
        self.table.put(&Key::pulse(shard), to_item(&bounded)?).await
    }

    /// How the last publisher went.
    pub async fn pulse(&self, shard: u32) -> Result<Option<Pulse>, StoreError> {
        self.table.get(&Key::pulse(shard)).await?.map(from_item).transpose()
    }
}
