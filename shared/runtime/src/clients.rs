//! The SDK and what is made of it, once before a function takes its first event.

use std::time::Duration;

use auth::Verifier;
use aws_config::{BehaviorVersion, SdkConfig, retry::RetryConfig, timeout::TimeoutConfig};
use store::{Channels, Connections, Leases, Requests, Revocations, Tickets};

use crate::{ConfigError, PublisherWaker, Variables, clock, keys};

/// DynamoDB answers in 10 ms; a connection that does not stand after this time is tried again.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(1);

/// One attempt. Three of them, and the pauses between, fit into the shortest time-out of a function (10 s).
const ATTEMPT_TIMEOUT: Duration = Duration::from_secs(2);

/// An attempt and two more: what is still wrong then is Kafka's, the client's or the next tick's to try again.
const ATTEMPTS: u32 = 3;

/// Makes a function's clients from the SDK's configuration and the function's variables.
pub struct Clients {
    /// The SDK's configuration, for clients that only one function has.
    pub sdk: SdkConfig,
    variables: Variables,
    dynamodb: aws_sdk_dynamodb::Client,
}

impl Clients {
    /// Reads the SDK's own variables (region, credentials, endpoints).
    pub async fn new(variables: Variables) -> Self {
        let timeouts =
            TimeoutConfig::builder().connect_timeout(CONNECT_TIMEOUT).operation_attempt_timeout(ATTEMPT_TIMEOUT);
        let sdk = aws_config::defaults(BehaviorVersion::latest())
            .timeout_config(timeouts.build())
            .retry_config(RetryConfig::standard().with_max_attempts(ATTEMPTS))
            .load()
            .await;
        let dynamodb = aws_sdk_dynamodb::Client::new(&sdk);
        Self { sdk, variables, dynamodb }
    }

    /// The table of channels; what is written to it is kept for `retention`.
    pub fn channels(&self, retention: Option<Duration>) -> Result<Channels, ConfigError> {
        let table = self.variables.required("CHANNELS_TABLE")?;
        Ok(Channels::new(self.dynamodb.clone(), table, retention))
    }

    /// The table of connections.
    pub fn connections(&self) -> Result<Connections, ConfigError> {
        let table = self.variables.required("CONNECTIONS_TABLE")?;
        Ok(Connections::new(self.dynamodb.clone(), table, self.variables.shards()?, clock::now))
    }

    /// The publishers' leases, in the table of connections.
    pub fn leases(&self) -> Result<Leases, ConfigError> {
        Ok(Leases::new(self.dynamodb.clone(), self.variables.required("CONNECTIONS_TABLE")?))
    }

    /// The tickets, in the table of connections.
    pub fn tickets(&self) -> Result<Tickets, ConfigError> {
        Ok(Tickets::new(self.dynamodb.clone(), self.variables.required("CONNECTIONS_TABLE")?))
    }

    /// The counters of requests, in the table of connections.
    pub fn requests(&self) -> Result<Requests, ConfigError> {
        Ok(Requests::new(self.dynamodb.clone(), self.variables.required("CONNECTIONS_TABLE")?))
    }

    /// What was revoked, in the table of channels.
    pub fn revocations(&self) -> Result<Revocations, ConfigError> {
        Ok(Revocations::new(self.dynamodb.clone(), self.variables.required("CHANNELS_TABLE")?))
    }

    /// Who tells whom a token speaks for. Fetches the keys; if they cannot be had yet, a token that comes ten seconds later
    /// has it try again ([`auth::REFETCH_INTERVAL`]).
    pub async fn verifier(&self) -> Result<Verifier, ConfigError> {
        let verifier = keys::verifier(self.variables, &self.sdk)?;
        if let Err(error) = verifier.prefetch(clock::now()).await {
            tracing::warn!(%error, "no keys during init");
        }
        Ok(verifier)
    }

    /// Who starts a publisher where none is at work.
    pub fn waker(&self) -> Result<PublisherWaker, ConfigError> {
        let function = self.variables.required("PUBLISHER_FUNCTION")?;
        let lambda = aws_sdk_lambda::Client::new(&self.sdk);
        Ok(PublisherWaker::new(self.leases()?, lambda, function))
    }
}
