//! The Lambda function behind the route `$connect`.

mod handler;

use auth::Verifier;
use handler::Door;
use lambda_runtime::{Error, LambdaEvent, service_fn};
use runtime::{Clients, Variables, clock, telemetry};

/// Far more than anybody needs, and few enough for the item that lists them.
const MAX_CONNECTIONS_PER_USER: usize = 1000;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    telemetry::init();
    let variables = Variables::from_env();
    let algorithm = variables.required("TOKEN_ALGORITHM")?;
    let secret = variables.required("TOKEN_SECRET")?;
    let clients = Clients::new(variables).await;
    let door = Door {
        verifier: Verifier::new(&algorithm, secret.as_bytes(), variables.tenant("DEFAULT_TENANT")?)?,
        connections: clients.connections()?,
        limit_per_user: variables.number("CONNECTIONS_PER_USER", 1..=MAX_CONNECTIONS_PER_USER)?,
        waker: clients.waker()?,
    };
    // Opens the connection before the first event comes.
    if let Err(error) = door.connections.ping().await {
        tracing::warn!(%error, "no connection during init");
    }
    let handle = async |event: LambdaEvent<_>| Ok::<_, Error>(door.handle(event.payload, clock::now()).await);
    lambda_runtime::run(service_fn(handle)).await
}
