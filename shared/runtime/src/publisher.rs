//! Starting the publisher when somebody has come to watch.

use aws_sdk_lambda::{Client, primitives::Blob, types::InvocationType};
use projections::Timestamp;
use serde_json::json;
use store::{Leases, StoreError};

/// Starts the publisher of a shard where none is at work. Cheap to clone.
#[derive(Clone, Debug)]
pub struct PublisherWaker {
    leases: Leases,
    lambda: Client,
    function: String,
}

/// The publisher has not been started; the schedule does it within a minute.
#[derive(Debug, thiserror::Error)]
enum NotStarted {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("Lambda does not take the invocation: {0}")]
    Lambda(String),
}

impl PublisherWaker {
    /// Starts the function of this name.
    #[must_use]
    pub fn new(leases: Leases, lambda: Client, function: String) -> Self {
        Self { leases, lambda, function }
    }

    /// Starts the shard's publisher unless one holds its lease. To be called after the connection is stored: a
    /// publisher that ends looks for new connections once more after it has released its lease, so that one of the two
    /// always notices the other.
    ///
    /// That it fails is logged and no more: the client is connected, and the schedule starts a publisher within a minute.
    /// Several that are started at once compete for the lease, and all but one end.
    pub async fn wake_unless_leased(&self, shard: u32, now: Timestamp) {
        if let Err(error) = self.try_wake(shard, now).await {
            tracing::warn!(shard, %error, "publisher not started");
        }
    }

    async fn try_wake(&self, shard: u32, now: Timestamp) -> Result<(), NotStarted> {
        if self.leases.read(shard).await?.is_some_and(|lease| lease.is_held(now)) {
            return Ok(());
        }
        self.lambda
            .invoke()
            .function_name(&self.function)
            .invocation_type(InvocationType::Event)
            .payload(Blob::new(json!({ "shard": shard, "wake": true }).to_string()))
            .send()
            .await
            .map_err(|error| {
                let code = error.into_service_error().meta().code().unwrap_or("no answer").to_owned();
                NotStarted::Lambda(code)
            })?;
        tracing::debug!(shard, "publisher started");
        Ok(())
    }
}
