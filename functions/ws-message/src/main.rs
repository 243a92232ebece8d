//! The Lambda function behind the routes `subscribe`, `unsubscribe`, `ping` and `$default`.

mod handler;

use handler::Desk;
use lambda_runtime::{Error, LambdaEvent, service_fn};
use runtime::{Clients, Variables, clock, telemetry};
use views::Reader;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    telemetry::init();
    let clients = Clients::new(Variables::from_env()).await;
    let connections = clients.connections()?;
    let desk = Desk {
        reader: Reader::new(clients.channels(None)?, clients.leases()?, connections.shards()),
        connections,
        waker: clients.waker()?,
    };
    // Opens the connection before the first message comes.
    if let Err(error) = desk.connections.ping().await {
        tracing::warn!(%error, "no connection during init");
    }
    let handle = async |event: LambdaEvent<_>| Ok::<_, Error>(desk.handle(event.payload, clock::now()).await);
    lambda_runtime::run(service_fn(handle)).await
}
