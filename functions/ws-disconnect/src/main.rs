//! The Lambda function behind the route `$disconnect`.

mod handler;

use lambda_runtime::{Error, LambdaEvent, service_fn};
use runtime::{Clients, Variables, telemetry};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    telemetry::init();
    let connections = Clients::new(Variables::from_env()).await.connections()?;
    // Opens the connection before the first event comes.
    if let Err(error) = connections.ping().await {
        tracing::warn!(%error, "no connection during init");
    }
    let handle = |event: LambdaEvent<_>| handler::handle(&connections, event.payload);
    lambda_runtime::run(service_fn(handle)).await
}
