//! `publisher`: posts the views that changed to the connections that watch them.

mod cached_view;
mod channel_journal;
mod channel_reads;
mod closing;
mod delivery;
mod frame;
mod handler;
mod handover;
mod lease_term;
mod members;
mod metrics;
mod notices;
mod outbound;
mod registry;
mod shard;
mod subscriber;
mod subscribers;
mod view_cache;

use gateway::Gateway;
use lambda_runtime::{Error, LambdaEvent, service_fn};
use runtime::{Clients, Cluster, Variables, clock, metrics::Metrics, telemetry};
use views::Reader;

use crate::{
    handler::{Publisher, Request},
    shard::Services,
};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    telemetry::init();
    let variables = Variables::from_env();
    let clients = Clients::new(variables).await;
    let (channels, connections, leases) = (
        clients.channels(None)?.with_journal_buckets(variables.journal_buckets()?),
        clients.connections()?,
        clients.leases()?,
    );
    let publisher = Publisher {
        services: Services {
            reader: Reader::new(channels.clone(), leases.clone(), connections.shards()),
            gateway: Gateway::new(&clients.sdk, &variables.required("CONNECTIONS_URL")?),
            overview_interval: variables.duration_ms("OVERVIEW_INTERVAL_MS", 50..=60_000)?,
            channels,
            connections,
            clock: clock::now,
        },
        leases,
        cluster: Cluster::new(&clients.sdk, variables.optional("KAFKA_CLUSTER_ARN")),
        tick: variables.duration_ms("TICK_MS", 10..=10_000)?,
        metrics: Metrics::from_env(),
    };
    publisher.services.connections.ping().await?;
    lambda_runtime::run(service_fn(|event: LambdaEvent<Request>| publisher.handle(event.payload, event.context))).await
}
