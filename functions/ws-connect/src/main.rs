//! The Lambda function behind the route `$connect`.

mod handler;
mod handshake;

use handshake::{HandshakeAdmission, LimitPolicy};
use lambda_runtime::{Error, LambdaEvent, service_fn};
use runtime::{Clients, ConfigError, Variables, clock, telemetry};
use store::Limits;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    telemetry::init();
    let variables = Variables::from_env();
    let clients = Clients::new(variables).await;
    let handshakes = HandshakeAdmission {
        verifier: clients.verifier().await?,
        origins: variables.origins()?,
        tickets: clients.tickets()?,
        connections: clients.connections()?,
        revocations: clients.revocations()?,
        requests: clients.requests()?,
        requests_per_minute: variables.number("REQUESTS_PER_MINUTE", 1..=100_000)?,
        limits: Limits {
            per_user: variables.number("CONNECTIONS_PER_USER", 1..=1000)?,
            per_tenant: variables.number("CONNECTIONS_PER_TENANT", 1..=10_000_000)?,
        },
        policy: policy(variables)?,
        waker: clients.waker()?,
    };
    // Opens the connection before the first event comes.
    if let Err(error) = handshakes.connections.ping().await {
        tracing::warn!(%error, "no connection during init");
    }
    let handle =
        async |event: LambdaEvent<_>| Ok::<_, Error>(handler::handle(&handshakes, event.payload, clock::now()).await);
    lambda_runtime::run(service_fn(handle)).await
}

fn policy(variables: Variables) -> Result<LimitPolicy, ConfigError> {
    const NAME: &str = "CONNECTION_LIMIT";
    match variables.required(NAME)?.as_str() {
        "replace" => Ok(LimitPolicy::Replace),
        "refuse" => Ok(LimitPolicy::Refuse),
        _ => Err(ConfigError::Invalid { name: NAME, expected: "replace or refuse".to_owned() }),
    }
}
