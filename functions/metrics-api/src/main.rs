//! The Lambda function behind the REST API: the same views as on the socket, for clients that poll.

mod compression;
mod handler;
mod route;
mod span;

use admission::RestAdmission;
use handler::Api;
use lambda_http::{Error, Request, service_fn};
use runtime::{Clients, Variables, clock, telemetry};
use views::Reader;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    telemetry::init();
    let variables = Variables::from_env();
    let clients = Clients::new(variables).await;
    let channels = clients.channels(None)?;
    // Opens the connection before the first request comes.
    if let Err(error) = channels.ping().await {
        tracing::warn!(%error, "no connection during init");
    }
    let api = Api {
        admission: RestAdmission::new(&clients, variables).await?,
        reader: Reader::new(channels, clients.leases()?, variables.shards()?.get()),
        channel_id_length: variables.number("CHANNEL_ID_LENGTH", 1..=128)?,
    };
    let handle = async |request: Request| Ok::<_, Error>(api.handle(request, clock::now()).await);
    lambda_http::run(service_fn(handle)).await
}
