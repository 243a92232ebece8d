//! From an invocation to lease terms, one for each shard.

use std::time::Duration;

use gateway::Post;
use lambda_runtime::{Context, Error};
use projections::Timestamp;
use runtime::{Cluster, metrics::Metrics};
use serde::Deserialize;
use store::Leases;
use uuid::Uuid;

use crate::{lease_term::LeaseTerm, shard::Services};

/// What the schedule or a client's arrival sends.
#[derive(Debug, Default, Deserialize)]
pub(crate) struct Request {
    /// The shard to serve; all of them where none is given.
    #[serde(default)]
    pub(crate) shard: Option<u32>,
    /// Whether a client's arrival caused this: then a publisher that is there already is not relieved.
    #[serde(default)]
    pub(crate) wake: bool,
}

/// What every invocation works with.
pub(crate) struct Publisher<G> {
    /// What to publish with.
    pub(crate) services: Services<G>,
    /// The leases.
    pub(crate) leases: Leases,
    /// The cluster whose state is told to those who watch `system`.
    pub(crate) cluster: Cluster,
    /// The time between two ticks.
    pub(crate) tick: Duration,
    /// Where metrics go.
    pub(crate) metrics: Metrics,
}

impl<G: Post + Clone + Send + Sync + 'static> Publisher<G> {
    /// Publishes until the invocation is relieved, has nobody to publish to, or ends.
    pub(crate) async fn handle(&self, request: Request, context: Context) -> Result<(), Error> {
        let kafka_cluster = self.cluster.state().await.to_string();
        let shards = 0..self.services.connections.shards();
        let terms = shards.filter(|shard| request.shard.is_none_or(|wanted| wanted == *shard)).map(|shard| {
            let term = LeaseTerm {
                shard,
                // Not the request id: Lambda uses that again when it tries again.
                owner: Uuid::new_v4().to_string(),
                relieves: !request.wake,
                deadline: Timestamp::from_millis(i64::try_from(context.deadline).unwrap_or(i64::MAX)),
                tick: self.tick,
                kafka_cluster: Some(kafka_cluster.clone()),
                leases: self.leases.clone(),
                services: self.services.clone(),
                metrics: self.metrics.clone(),
            };
            term.serve()
        });
        // Every shard gets its turn before the first error is reported.
        for end in futures_util::future::join_all(terms).await {
            end?;
        }
        Ok(())
    }
}
