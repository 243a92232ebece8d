//! How the publishers go, for those who watch `system`.

use std::collections::BTreeMap;

use projections::{TenantId, Timestamp, system::Pipeline};
use store::{Lease, Pulse};

/// How the publishers of all shards go.
#[derive(Clone, Debug, Default)]
pub struct Publishers {
    /// When the one that has been silent longest last said that it is alive: of several that is the one to worry about.
    renewed_at: Option<Timestamp>,
    connections: BTreeMap<String, u64>,
    kafka_cluster: Option<String>,
}

impl Publishers {
    /// Adds a shard's publisher.
    pub(crate) fn add(&mut self, lease: Option<Lease>, pulse: Option<Pulse>) {
        if let Some(lease) = lease {
            let earlier = self.renewed_at.map_or(lease.renewed_at, |at| at.min(lease.renewed_at));
            self.renewed_at = Some(earlier);
        }
        if let Some(pulse) = pulse {
            for (tenant, count) in pulse.connections {
                *self.connections.entry(tenant).or_default() += count;
            }
            self.kafka_cluster = pulse.kafka_cluster.or(self.kafka_cluster.take());
        }
    }

    /// What a tenant sees of it, with the time of its latest record by topic.
    #[must_use]
    pub fn pipeline(&self, tenant: &TenantId, latest: &BTreeMap<String, Timestamp>, now: Timestamp) -> Pipeline {
        let seconds = |at: Timestamp| now.since(at).as_secs_f64();
        Pipeline {
            seconds_since_record: latest.iter().map(|(topic, at)| (topic.clone(), seconds(*at))).collect(),
            publisher_lease_age_seconds: self.renewed_at.map(seconds),
            connections: self.connections.get(tenant.as_str()).copied().unwrap_or(0),
            kafka_cluster: self.kafka_cluster.clone(),
        }
    }
}
