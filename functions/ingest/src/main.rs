//! The Lambda function that MSK's event source mappings invoke.

use ingest::{batch::Reading, handler, intake::Intake};
use lambda_runtime::{Error, service_fn};
use runtime::{Clients, Variables, clock, metrics::Metrics, telemetry};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    telemetry::init();
    let variables = Variables::from_env();
    let reading = Reading {
        default_tenant: variables.tenant("DEFAULT_TENANT")?,
        epoch: variables.number("TOPIC_EPOCH", 0..=u32::MAX)?,
    };
    let reads_responses = variables.flag("PARTIAL_RESPONSES")?;
    let retention = variables.days("RETENTION_DAYS")?;
    let channels = Clients::new(variables).await.channels(retention)?;
    let channels = channels.with_journal_buckets(variables.journal_buckets()?);
    // Opens the connection before the first batch comes.
    if let Err(error) = channels.ping().await {
        tracing::warn!(%error, "no connection during init");
    }
    let (intake, metrics) = (Intake::new(channels, reading), Metrics::from_env());
    let handle = |event| handler::handle(&intake, event, clock::now, &metrics, reads_responses);
    lambda_runtime::run(service_fn(handle)).await
}
