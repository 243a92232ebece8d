//! The cluster's brokers, asked over the Kafka protocol with IAM. It takes a network that leads to them.

use std::{
    collections::BTreeMap,
    sync::Arc,
    time::{Duration, SystemTime},
};

use aws_credential_types::provider::{ProvideCredentials as _, SharedCredentialsProvider};
use rskafka::{
    BackoffConfig, BackoffError, ConnectionError,
    client::{
        Client, ClientBuilder, OauthBearerCredentials, SaslConfig, error::Error as KafkaError, error::ProtocolError,
    },
};
use rustls::{ClientConfig, RootCertStore, crypto::aws_lc_rs};
use tokio::sync::OnceCell;

use crate::{
    reconcile::{AdminError, Created, TopicAdmin},
    request::Wanted,
    token::sign_token,
};

/// How long the cluster may take to make a topic.
const CREATE_TIMEOUT_MS: i32 = 10_000;

/// How long a request is tried again before its error is told. The client does so within a request and around it, and
/// twice this is still less than [`reconcile::PATIENCE`](crate::reconcile::PATIENCE), so that the error is heard.
const BACKOFF: BackoffConfig = BackoffConfig {
    init_backoff: Duration::from_millis(200),
    max_backoff: Duration::from_secs(2),
    base: 2.0,
    deadline: Some(Duration::from_secs(4)),
};

/// What the cluster is configured to have (KIP-464).
const CLUSTERS_REPLICATION: i16 = -1;

/// What opens a connection to a broker.
#[derive(Clone)]
pub(crate) struct Access {
    /// Whose certificates are believed.
    pub(crate) tls: Arc<ClientConfig>,
    /// Who signs the tokens.
    pub(crate) credentials: SharedCredentialsProvider,
    /// The region that tokens are for.
    pub(crate) region: String,
}

/// The brokers of one cluster; connected to when first asked.
pub(crate) struct Brokers {
    addresses: Vec<String>,
    access: Access,
    /// Whether the cluster decides how many copies there are of a partition, and not we.
    decides_replication: bool,
    client: OnceCell<Client>,
}

/// TLS that believes the roots of this system.
pub(crate) fn tls() -> Result<Arc<ClientConfig>, rustls::Error> {
    let mut roots = RootCertStore::empty();
    // None at all is no reason not to start: then no broker is believed, which is told.
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    tls_with(roots)
}

/// TLS that believes these roots. The provider is named, as more than one may be compiled in.
pub(crate) fn tls_with(roots: RootCertStore) -> Result<Arc<ClientConfig>, rustls::Error> {
    let config = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()));
    let config = config.with_safe_default_protocol_versions()?.with_root_certificates(roots);
    Ok(Arc::new(config.with_no_client_auth()))
}

impl Brokers {
    /// The brokers at `addresses`, which are `host:port` with commas between.
    pub(crate) fn new(addresses: &str, access: Access, decides_replication: bool) -> Self {
        let addresses = addresses.split(',').map(|address| address.trim().to_owned()).collect();
        Self { addresses, access, decides_replication, client: OnceCell::new() }
    }

    async fn client(&self) -> Result<&Client, AdminError> {
        let connect = async || {
            let client = ClientBuilder::new(self.addresses.clone())
                .client_id("livefold-topics")
                .tls_config(Arc::clone(&self.access.tls))
                .sasl_config(SaslConfig::Oauthbearer(self.access.bearer()))
                .backoff_config(BACKOFF);
            client.build().await.map_err(failed)
        };
        self.client.get_or_try_init(connect).await
    }
}

impl Access {
    /// A fresh token for every connection.
    fn bearer(&self) -> OauthBearerCredentials {
        let access = self.clone();
        let callback = move || {
            let access = access.clone();
            let token = async move {
                let credentials = access.credentials.provide_credentials().await?;
                Ok(sign_token(credentials, &access.region, SystemTime::now())?)
            };
            Box::pin(token) as _
        };
        OauthBearerCredentials { callback: Arc::new(callback), authz_id: None, bearer_kvs: Vec::new() }
    }
}

impl TopicAdmin for Brokers {
    fn name(&self) -> &'static str {
        "the brokers"
    }

    async fn list(&self, topics: &[String]) -> Result<BTreeMap<String, i32>, AdminError> {
        let existing = self.client().await?.list_topics().await.map_err(failed)?.into_iter();
        let existing = existing.filter(|topic| topics.contains(&topic.name));
        let count = |partitions: usize| i32::try_from(partitions).unwrap_or(i32::MAX);
        Ok(existing.map(|topic| (topic.name, count(topic.partitions.len()))).collect())
    }

    async fn create(&self, topic: &str, wanted: &Wanted) -> Result<Created, AdminError> {
        let replication = if self.decides_replication { CLUSTERS_REPLICATION } else { wanted.replication };
        let controller = self.client().await?.controller_client().map_err(failed)?;
        match controller.create_topic(topic, wanted.partitions, replication, CREATE_TIMEOUT_MS).await {
            // The client cannot say how a topic is configured.
            Ok(()) => Ok(Created::WithoutConfigs),
            Err(KafkaError::ServerError { protocol_error: ProtocolError::TopicAlreadyExists, .. }) => {
                Ok(Created::AlreadyThere)
            }
            Err(error) => Err(failed(error)),
        }
    }

    async fn raise(&self, _topic: &str, _partitions: i32) -> Result<(), AdminError> {
        Err(AdminError::Refused("the client that is used cannot add partitions".to_owned()))
    }
}

fn failed(error: KafkaError) -> AdminError {
    match error {
        KafkaError::ServerError { protocol_error, error_message, .. } => AdminError::Refused(match error_message {
            Some(message) => format!("{protocol_error}: {message}"),
            None => protocol_error.to_string(),
        }),
        // That it was tried again and again is not the reason.
        KafkaError::RetryFailed(BackoffError::DeadlineExceded { source, .. })
        | KafkaError::Connection(ConnectionError::RetryFailed(BackoffError::DeadlineExceded { source, .. })) => {
            AdminError::Unreachable(source.to_string())
        }
        error => AdminError::Unreachable(error.to_string()),
    }
}

#[cfg(test)]
pub(crate) mod broker;
#[cfg(test)]
mod tests;
