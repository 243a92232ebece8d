//! The Lambda function behind `/auth`: gives tickets for sockets, and ends the access of users.

mod handler;
mod revocation;
mod route;
mod ticket;

use admission::RestAdmission;
use handler::Api;
use lambda_http::{Error, Request, service_fn};
use revocation::Registry;
use runtime::{Clients, Variables, clock, telemetry};
use ticket::Mint;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    telemetry::init();
    let variables = Variables::from_env();
    let clients = Clients::new(variables).await;
    let api = Api {
        admission: RestAdmission::new(&clients, variables).await?,
        mint: Mint { tickets: clients.tickets()?, random: ticket::from_os },
        registry: Registry {
            revocations: clients.revocations()?,
            connections: clients.connections()?,
            waker: clients.waker()?,
        },
    };
    // Opens the connection before the first request comes.
    if let Err(error) = api.registry.connections.ping().await {
        tracing::warn!(%error, "no connection during init");
    }
    let handle = async |request: Request| Ok::<_, Error>(api.handle(request, clock::now()).await);
    lambda_http::run(service_fn(handle)).await
}
