//! Whether the dependencies answer.

use std::{future::Future, time::Duration};

use runtime::Cluster;
use serde::Serialize;
use store::{Channels, Leases, StoreError};
use tokio::time::timeout;

/// A table answers in 10 ms; who asks for readiness gives up after a few seconds.
const PATIENCE: Duration = Duration::from_secs(2);

/// What is checked.
pub(crate) struct Dependencies {
    pub(crate) channels: Channels,
    /// In the table of connections.
    pub(crate) leases: Leases,
    pub(crate) kafka: Cluster,
}

/// What the checks have found. Says nothing of where the dependencies are or why one fails: anybody may ask.
#[derive(Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Report {
    channels_table: &'static str,
    connections_table: &'static str,
    kafka: String,
    #[serde(skip)]
    pub(crate) is_ready: bool,
}

impl Dependencies {
    /// Checks them all at once.
    pub(crate) async fn check(&self) -> Report {
        let (channels, connections, kafka) = tokio::join!(
            answers("channels", self.channels.ping()),
            answers("connections", self.leases.read(0)),
            self.kafka.state(),
        );
        let word = |answers| if answers { "ok" } else { "failing" };
        Report {
            channels_table: word(channels),
            connections_table: word(connections),
            is_ready: channels && connections && kafka.is_healthy(),
            kafka: kafka.to_string(),
        }
    }
}

/// Whether a table answers in time. Why it does not is for the log.
async fn answers<T>(table: &str, asked: impl Future<Output = Result<T, StoreError>>) -> bool {
    match timeout(PATIENCE, asked).await {
        Ok(Ok(_)) => true,
        Ok(Err(error)) => {
            tracing::warn!(table, %error, "not ready");
            false
        }
        Err(_) => {
            tracing::warn!(table, "not ready: no answer in time");
            false
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_table_that_never_answers_is_given_up_on() {
        assert!(!answers("never", std::future::pending::<Result<(), StoreError>>()).await);
    }
}
