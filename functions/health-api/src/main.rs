//! The Lambda function behind `/health`: whether the system is alive and ready. Needs no token and tells no secret.

mod handler;
mod readiness;

use lambda_http::{Error, Request, service_fn};
use readiness::Dependencies;
use runtime::{Clients, Cluster, Variables, telemetry};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    telemetry::init();
    let variables = Variables::from_env();
    let clients = Clients::new(variables).await;
    let dependencies = Dependencies {
        channels: clients.channels(None)?,
        leases: clients.leases()?,
        kafka: Cluster::new(&clients.sdk, variables.optional("KAFKA_CLUSTER_ARN")),
    };
    // Opens the connection before the first request comes.
    if let Err(error) = dependencies.channels.ping().await {
        tracing::warn!(%error, "no connection during init");
    }
    let handle = async |request: Request| Ok::<_, Error>(handler::handle(&dependencies, request).await);
    lambda_http::run(service_fn(handle)).await
}
