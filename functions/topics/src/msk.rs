//! MSK: what kind of cluster it is, where its brokers are, and the topic operations of provisioned clusters with Kafka 3.6
//! or later.
//!
//! <https://docs.aws.amazon.com/msk/latest/developerguide/msk-topic-operations-information.html>

use std::{collections::BTreeMap, time::Duration};

use aws_config::{SdkConfig, timeout::TimeoutConfig};
use aws_sdk_kafka::{
    Client,
    config::Builder,
    error::{ProvideErrorMetadata, SdkError},
    operation::create_topic::CreateTopicError,
    types::ClusterType,
};
use base64::{Engine as _, prelude::BASE64_STANDARD};

use crate::{
    reconcile::{AdminError, Created, TopicAdmin},
    request::{ClusterArn, Wanted},
};

/// One attempt. Unlike DynamoDB, MSK works for some seconds on a topic.
const ATTEMPT_TIMEOUT: Duration = Duration::from_secs(10);

/// Asks MSK about clusters.
pub(crate) struct Msk {
    client: Client,
}

/// The kinds of clusters that differ in how their topics are managed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// It has topic operations, if its Kafka is new enough.
    Provisioned,
    /// It has none, and decides by itself how often it keeps a record.
    Serverless,
}

/// The topic operations of one cluster.
pub(crate) struct Operations {
    client: Client,
    arn: String,
}

impl Msk {
    /// Takes region and credentials of the SDK's configuration.
    pub(crate) fn new(sdk: &SdkConfig) -> Self {
        let timeouts = TimeoutConfig::builder().operation_attempt_timeout(ATTEMPT_TIMEOUT).build();
        Self { client: Client::from_conf(Builder::from(sdk).timeout_config(timeouts).build()) }
    }

    /// What kind of cluster it is.
    pub(crate) async fn kind(&self, cluster: &ClusterArn) -> Result<Kind, AdminError> {
        let answer = self.client.describe_cluster_v2().cluster_arn(cluster.as_str()).send().await;
        match answer.map_err(failed)?.cluster_info.and_then(|info| info.cluster_type) {
            Some(ClusterType::Provisioned) => Ok(Kind::Provisioned),
            Some(ClusterType::Serverless) => Ok(Kind::Serverless),
            _ => Err(AdminError::Unreachable("MSK does not say what kind of cluster it is".to_owned())),
        }
    }

    /// Where the brokers take connections with IAM: `host:port` with commas between.
    pub(crate) async fn brokers(&self, cluster: &ClusterArn) -> Result<String, AdminError> {
        let answer = self.client.get_bootstrap_brokers().cluster_arn(cluster.as_str()).send().await;
        let brokers = answer.map_err(failed)?.bootstrap_broker_string_sasl_iam.filter(|brokers| !brokers.is_empty());
        brokers.ok_or_else(|| AdminError::Unreachable("the cluster has no IAM authentication".to_owned()))
    }

    /// The cluster's topic operations.
    pub(crate) fn operations(&self, cluster: &ClusterArn) -> Operations {
        Operations { client: self.client.clone(), arn: cluster.as_str().to_owned() }
    }
}

impl TopicAdmin for Operations {
    fn name(&self) -> &'static str {
        "MSK's topic operations"
    }

    async fn list(&self, topics: &[String]) -> Result<BTreeMap<String, i32>, AdminError> {
        let mut existing = BTreeMap::new();
        let mut pages = self.client.list_topics().cluster_arn(&self.arn).into_paginator().send();
        while let Some(page) = pages.next().await {
            let page = page.map_err(failed)?.topics.unwrap_or_default().into_iter();
            let named = page.filter_map(|topic| Some((topic.topic_name?, topic.partition_count.unwrap_or(0))));
            existing.extend(named.filter(|(name, _)| topics.contains(name)));
        }
        Ok(existing)
    }

    async fn create(&self, topic: &str, wanted: &Wanted) -> Result<Created, AdminError> {
        let configs: String = wanted.configs().into_iter().map(|config| config + "\n").collect();
        let request = self.client.create_topic().cluster_arn(&self.arn).topic_name(topic);
        let request = request.partition_count(wanted.partitions).replication_factor(wanted.replication.into());
        match request.configs(BASE64_STANDARD.encode(configs)).send().await {
            Ok(_) => Ok(Created::AsWanted),
            // MSK's list is late.
            Err(error) if error.as_service_error().is_some_and(CreateTopicError::is_topic_exists_exception) => {
                Ok(Created::AlreadyThere)
            }
            Err(error) => Err(failed(error)),
        }
    }

    async fn raise(&self, topic: &str, partitions: i32) -> Result<(), AdminError> {
        let request = self.client.update_topic().cluster_arn(&self.arn).topic_name(topic);
        request.partition_count(partitions).send().await.map_err(failed)?;
        Ok(())
    }
}

/// An answer that says no is about what was asked; no answer is about the way.
fn failed<E: ProvideErrorMetadata, R>(error: SdkError<E, R>) -> AdminError {
    match error {
        SdkError::ServiceError(answer) => {
            let (code, message) = (answer.err().code(), answer.err().message());
            AdminError::Refused(match (code, message) {
                (Some(code), Some(message)) => format!("{code}: {message}"),
                (code, message) => code.or(message).unwrap_or("MSK says no without a reason").to_owned(),
            })
        }
        SdkError::TimeoutError(_) => AdminError::Unreachable("MSK does not answer in time".to_owned()),
        _ => AdminError::Unreachable("MSK cannot be reached".to_owned()),
    }
}
