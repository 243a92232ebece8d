//! When a tenant was last heard of, by topic.

use std::collections::BTreeMap;

use projections::{TenantId, Timestamp};
use serde::Deserialize;

use crate::{
    Channels, StoreError,
    keys::{self, Key},
    table::{Range, Reading, from_item, number, text},
};

#[derive(Deserialize)]
struct Heard {
    #[serde(rename = "sk")]
    topic: String,
    latest: Timestamp,
}

impl Channels {
    /// Notes that a tenant's record of this time was read from a topic. An older time changes nothing.
    pub async fn note_records(
        &self,
        tenant: &TenantId,
        topic: &str,
        latest: Timestamp,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let ttl = self.expiry(now);
        let expires = if ttl.is_some() { ", #ttl = :ttl" } else { "" };
        let update = self
            .table
            .update(&Key::topic(tenant, topic), &format!("SET #latest = :latest{expires}"))
            .on_condition("attribute_not_exists(#latest) OR #latest < :latest")
            .value(":latest", text(latest));
        ttl.into_iter().fold(update, |update, ttl| update.value(":ttl", number(ttl))).send().await?;
        Ok(())
    }

    /// The time of a tenant's latest record, by topic.
    pub async fn last_records(&self, tenant: &TenantId) -> Result<BTreeMap<String, Timestamp>, StoreError> {
        let items = self.table.query(&keys::topics(tenant), Range::All, Reading::default(), usize::MAX).await?;
        items.into_iter().map(|item| from_item(item).map(|heard: Heard| (heard.topic, heard.latest))).collect()
    }
}
