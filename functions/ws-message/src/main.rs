//! The Lambda function behind the routes `subscribe`, `unsubscribe`, `ping`, `authenticate` and `$default`.

mod answer;
mod budget;
mod dispatcher;
mod handler;
mod renewal;
mod subscriptions;

use budget::Budget;
use dispatcher::{Dispatcher, Limits};
use lambda_runtime::{Error, LambdaEvent, service_fn};
use runtime::{Clients, Variables, clock, telemetry};
use views::Reader;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    telemetry::init();
    let variables = Variables::from_env();
    let clients = Clients::new(variables).await;
    let connections = clients.connections()?;
    let dispatcher = Dispatcher {
        reader: Reader::new(clients.channels(None)?, clients.leases()?, connections.shards()),
        connections,
        verifier: clients.verifier().await?,
        revocations: clients.revocations()?,
        waker: clients.waker()?,
        limits: Limits {
            messages_per_minute: variables.number("MESSAGES_PER_MINUTE", 1..=10_000)?,
            message_bytes: variables.number("MESSAGE_BYTES", 256..=32_768)?,
            subscriptions: variables.number("SUBSCRIPTIONS_PER_CONNECTION", 1..=1000)?,
            channel_id_length: variables.number("CHANNEL_ID_LENGTH", 1..=128)?,
        },
        budget: Budget {
            requests: clients.requests()?,
            requests_per_minute: variables.number("REQUESTS_PER_MINUTE", 1..=100_000)?,
        },
    };
    // Opens the connection before the first message comes.
    if let Err(error) = dispatcher.connections.ping().await {
        tracing::warn!(%error, "no connection during init");
    }
    let handle =
        async |event: LambdaEvent<_>| Ok::<_, Error>(handler::handle(&dispatcher, event.payload, clock::now()).await);
    lambda_runtime::run(service_fn(handle)).await
}
