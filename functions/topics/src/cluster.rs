//! The ways that lead to a cluster's topics: which there are, and in what order they are tried.

use std::{collections::BTreeMap, sync::Arc};

use aws_config::SdkConfig;
use aws_credential_types::provider::SharedCredentialsProvider;
use rustls::ClientConfig;
use tokio::time::Instant;
use tracing::warn;

use crate::{
    brokers::{Access, Brokers},
    msk::{Kind, Msk, Operations},
    reconcile::{self, AdminError, Created, TopicAdmin},
    request::{ClusterArn, Wanted},
};

/// Finds ways to clusters.
pub(crate) struct Clusters {
    msk: Msk,
    credentials: SharedCredentialsProvider,
    tls: Arc<ClientConfig>,
}

/// A cluster as it was found.
pub(crate) struct Cluster {
    /// The ways to its topics, the best first.
    pub(crate) ways: Vec<Way>,
    /// Where its brokers are, for instructions; nothing where MSK does not tell.
    pub(crate) brokers: Option<String>,
    /// Whether the cluster decides how many copies there are of a partition.
    pub(crate) decides_replication: bool,
    /// Why there are fewer ways than there could be.
    pub(crate) reasons: Vec<String>,
}

/// A way to a cluster's topics.
pub(crate) enum Way {
    /// MSK makes them.
    Operations(Operations),
    /// The brokers are asked to.
    Brokers(Brokers),
}

/// What is needed before the first event comes is not there.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SetupError {
    /// There is nobody to sign requests.
    #[error("the SDK finds no credentials")]
    Credentials,
    /// TLS does not work here at all.
    #[error("TLS cannot be set up: {0}")]
    Tls(#[from] rustls::Error),
}

impl Clusters {
    /// Takes region and credentials of the SDK's configuration; brokers have to present a certificate that `tls` believes.
    pub(crate) fn new(sdk: &SdkConfig, tls: Arc<ClientConfig>) -> Result<Self, SetupError> {
        let credentials = sdk.credentials_provider().ok_or(SetupError::Credentials)?;
        Ok(Self { msk: Msk::new(sdk), credentials, tls })
    }

    /// Finds the ways to the cluster that topics are wanted on. That there is none is an answer as well.
    pub(crate) async fn find(&self, wanted: &Wanted, deadline: Instant) -> Cluster {
        match &wanted.brokers {
            Some(addresses) => self.with_brokers(&wanted.cluster, addresses.clone()),
            None => self.ask_msk(&wanted.cluster, deadline).await,
        }
    }

    /// A cluster whose brokers are known. Only those of a cluster that MSK makes no topics on have to be: it decides itself
    /// how often it keeps a record.
    fn with_brokers(&self, arn: &ClusterArn, addresses: String) -> Cluster {
        let way = self.way_to_brokers(arn, &addresses, true);
        Cluster { ways: vec![way], brokers: Some(addresses), decides_replication: true, reasons: Vec::new() }
    }

    fn way_to_brokers(&self, arn: &ClusterArn, addresses: &str, decides_replication: bool) -> Way {
        let (tls, credentials) = (Arc::clone(&self.tls), self.credentials.clone());
        let access = Access { tls, credentials, region: arn.region().to_owned() };
        Way::Brokers(Brokers::new(addresses, access, decides_replication))
    }

    async fn ask_msk(&self, arn: &ClusterArn, deadline: Instant) -> Cluster {
        let kind = reconcile::bounded(deadline, self.msk.kind(arn)).await;
        let brokers = match kind {
            Ok(_) => reconcile::bounded(deadline, self.msk.brokers(arn)).await,
            // Whom it does not tell the one, MSK does not tell the other.
            Err(ref error) => Err(error.clone()),
        };
        let mut cluster = Cluster {
            ways: Vec::new(),
            brokers: brokers.as_ref().ok().cloned(),
            decides_replication: kind == Ok(Kind::Serverless),
            reasons: Vec::new(),
        };
        if kind == Ok(Kind::Provisioned) {
            cluster.ways.push(Way::Operations(self.msk.operations(arn)));
        }
        match brokers {
            Ok(addresses) => cluster.ways.push(self.way_to_brokers(arn, &addresses, cluster.decides_replication)),
            Err(error) => {
                warn!(%error, "there is no way to the brokers");
                cluster.reasons.push(format!("MSK: {error}"));
            }
        }
        cluster
    }
}

impl TopicAdmin for Way {
    fn name(&self) -> &'static str {
        match self {
            Self::Operations(operations) => operations.name(),
            Self::Brokers(brokers) => brokers.name(),
        }
    }

    async fn list(&self, topics: &[String]) -> Result<BTreeMap<String, i32>, AdminError> {
        match self {
            Self::Operations(operations) => operations.list(topics).await,
            Self::Brokers(brokers) => brokers.list(topics).await,
        }
    }

    async fn create(&self, topic: &str, wanted: &Wanted) -> Result<Created, AdminError> {
        match self {
            Self::Operations(operations) => operations.create(topic, wanted).await,
            Self::Brokers(brokers) => brokers.create(topic, wanted).await,
        }
    }

    async fn raise(&self, topic: &str, partitions: i32) -> Result<(), AdminError> {
        match self {
            Self::Operations(operations) => operations.raise(topic, partitions).await,
            Self::Brokers(brokers) => brokers.raise(topic, partitions).await,
        }
    }
}
