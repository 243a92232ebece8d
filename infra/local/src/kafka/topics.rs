//! Topics, on whatever broker there is.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use anyhow::{Context as _, anyhow, bail};
use rdkafka::{
    ClientConfig,
    admin::{AdminClient, AdminOptions, NewTopic, TopicReplication},
    client::DefaultClientContext,
    error::RDKafkaErrorCode,
};

/// How long a broker may take to answer.
const PATIENCE: Duration = Duration::from_secs(4);

/// How long the cluster may take to make a topic.
const CREATION: Duration = Duration::from_secs(10);

/// Makes topics as often replicated as the cluster is configured to.
const DEFAULT_REPLICATION: TopicReplication<'_> = TopicReplication::Fixed(-1);

/// What every client of the broker at `address` is configured with.
pub(crate) fn config(address: &str) -> ClientConfig {
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", address).set("client.id", "livefold-local");
    // A broker on this machine that comes back is there at once.
    config.set("reconnect.backoff.ms", "50").set("reconnect.backoff.max.ms", "500");
    config
}

/// The topics of the broker at `address`, and how many partitions each has.
pub(crate) async fn partitions(address: &str) -> anyhow::Result<BTreeMap<String, i32>> {
    partitions_with(client(address)?, address).await
}

/// Creates those topics that are not there yet. Topics that are keep the partitions they have.
pub(crate) async fn create_topics(address: &str, topics: &[String], partitions: i32) -> anyhow::Result<()> {
    let client = client(address)?;
    let existing = partitions_with(Arc::clone(&client), address).await?;
    let missing = topics.iter().filter(|topic| !existing.contains_key(*topic));
    let wanted: Vec<_> = missing.map(|topic| NewTopic::new(topic, partitions, DEFAULT_REPLICATION)).collect();
    if wanted.is_empty() {
        return Ok(());
    }
    let options = AdminOptions::new().operation_timeout(Some(CREATION));
    let created = client.create_topics(&wanted, &options).await;
    for topic in created.with_context(|| format!("{address} does not create topics"))? {
        match topic {
            Ok(_) | Err((_, RDKafkaErrorCode::TopicAlreadyExists)) => {}
            Err((topic, error)) => bail!("{address} does not create the topic {topic}: {error}"),
        }
    }
    Ok(())
}

type Client = Arc<AdminClient<DefaultClientContext>>;

fn client(address: &str) -> anyhow::Result<Client> {
    config(address).create().map(Arc::new).with_context(|| format!("{address} is no address of a Kafka broker"))
}

async fn partitions_with(client: Client, address: &str) -> anyhow::Result<BTreeMap<String, i32>> {
    let asking = tokio::task::spawn_blocking(move || client.inner().fetch_metadata(None, PATIENCE));
    let metadata = asking.await?.map_err(|_| anyhow!("no Kafka broker answers at {address}"))?;
    let count = |partitions: usize| i32::try_from(partitions).unwrap_or(i32::MAX);
    Ok(metadata.topics().iter().map(|topic| (topic.name().to_owned(), count(topic.partitions().len()))).collect())
}
