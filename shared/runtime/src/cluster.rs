//! The state of the Kafka cluster, as MSK tells it.

use std::{
    fmt,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use aws_config::SdkConfig;
use aws_sdk_kafka::{Client, config::Builder};
use tracing::warn;

/// Who asks for the state waits for nothing else that takes longer.
const TIMEOUT: Duration = Duration::from_secs(3);

/// How long an answer counts. Anybody may ask whether we are ready, and MSK takes only a few questions a second.
const FRESH: Duration = Duration::from_secs(30);

/// An MSK cluster, or the absence of one. Cheap to clone; clones share what MSK last said.
#[derive(Clone, Debug)]
pub struct Cluster {
    msk: Option<(Client, String)>,
    last: Arc<Mutex<Option<(Instant, ClusterState)>>>,
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
        Self { msk: arn.map(|arn| (client(), arn)), last: Arc::default() }
    }

    /// How it is, or was when MSK was last asked, which is not long ago.
    pub async fn state(&self) -> ClusterState {
        let Some((client, arn)) = &self.msk else { return ClusterState::NotConfigured };
        let last = self.last.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if let Some((asked_at, state)) = last
            && asked_at.elapsed() < FRESH
        {
            return state;
        }
        let state = Self::ask(client, arn).await;
        *self.last.lock().unwrap_or_else(PoisonError::into_inner) = Some((Instant::now(), state.clone()));
        state
    }

    async fn ask(client: &Client, arn: &str) -> ClusterState {
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

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use aws_config::BehaviorVersion;
    use axum::{Json, Router};
    use serde_json::json;

    use super::*;
    use crate::loopback;

    /// A cluster that MSK calls active, and how often MSK was asked.
    async fn cluster() -> (Cluster, Arc<AtomicUsize>) {
        let asked = Arc::new(AtomicUsize::new(0));
        let counter = Arc::clone(&asked);
        let answer = async move || {
            counter.fetch_add(1, Ordering::SeqCst);
            Json(json!({"clusterInfo": {"clusterArn": "arn:kafka", "state": "ACTIVE"}}))
        };
        let sdk = loopback::serve(Router::new().fallback(answer)).await;
        (Cluster::new(&sdk, Some("arn:kafka".to_owned())), asked)
    }

    #[tokio::test]
    async fn whoever_asks_however_often_msk_is_asked_once_in_a_while() {
        let (cluster, asked) = cluster().await;
        for asking in [&cluster, &cluster.clone(), &cluster] {
            assert_eq!(asking.state().await, ClusterState::Known("ACTIVE".to_owned()));
        }
        assert_eq!(asked.load(Ordering::SeqCst), 1);
    }

    #[tokio::test]
    async fn without_a_cluster_nobody_is_asked() {
        let sdk = SdkConfig::builder().behavior_version(BehaviorVersion::latest()).build();
        assert_eq!(Cluster::new(&sdk, None).state().await, ClusterState::NotConfigured);
    }
}
