//! The state of the Kafka cluster, as MSK tells it.

use std::{fmt, time::Duration};

use aws_config::SdkConfig;
use aws_sdk_kafka::{Client, config::Builder};
use tracing::warn;

/// Who asks for the state waits for nothing else that takes longer.
const TIMEOUT: Duration = Duration::from_secs(3);

/// An MSK cluster, or the absence of one.
#[derive(Clone, Debug)]
pub struct Cluster {
    msk: Option<(Client, String)>,
}

/// How the cluster is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ClusterState {
    /// There is no MSK cluster; the records come from elsewhere.
    NotConfigured,
    /// In MSK's words: `ACTIVE`, `CREATING`, `UPDATING`, `MAINTENANCE`, `REBOOTING_BROKER`, `HEALING`, `FAILED`, …
    Known(String),
    /// MSK does not answer, or not to us.
    Unknown,
}

impl Cluster {
    /// The cluster of this ARN.
    #[must_use]
    pub fn new(sdk: &SdkConfig, arn: Option<String>) -> Self {
        let client = || Client::from_conf(Builder::from(sdk).build());
        Self { msk: arn.map(|arn| (client(), arn)) }
    }

    /// Asks MSK.
    pub async fn state(&self) -> ClusterState {
        let Some((client, arn)) = &self.msk else { return ClusterState::NotConfigured };
        let answer = tokio::time::timeout(TIMEOUT, client.describe_cluster_v2().cluster_arn(arn).send()).await;
        match answer {
            Ok(Ok(answer)) => {
                let state = answer.cluster_info.and_then(|info| info.state);
                state.map_or(ClusterState::Unknown, |state| ClusterState::Known(state.as_str().to_owned()))
            }
            Ok(Err(error)) => {
                warn!(code = error.into_service_error().meta().code(), "MSK does not tell the cluster's state");
                ClusterState::Unknown
            }
            Err(_) => {
                warn!("MSK does not answer in time");
                ClusterState::Unknown
            }
        }
    }
}

impl ClusterState {
    /// Whether records can flow.
    #[must_use]
    pub fn is_healthy(&self) -> bool {
        match self {
            Self::NotConfigured => true,
            Self::Known(state) => !matches!(state.as_str(), "CREATING" | "DELETING" | "FAILED"),
            Self::Unknown => false,
        }
    }
}

impl fmt::Display for ClusterState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotConfigured => f.write_str("not configured"),
            Self::Known(state) => f.write_str(state),
            Self::Unknown => f.write_str("unknown"),
        }
    }
}
