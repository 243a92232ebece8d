//! Lists the records that could not be decoded.

use std::{
    cmp::Reverse,
    io::{self, Write as _},
};

use anyhow::bail;
use aws_config::{BehaviorVersion, Region, timeout::TimeoutConfig};
use aws_sdk_dynamodb::{Client, config::Credentials};
use clap::Args;
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use projections::topic::TOPICS;
use store::Channels;

use crate::kafka;

/// The most records that are listed of one partition, the newest.
const LISTED: usize = 100;

/// Partitions that are asked for at a time.
const AT_ONCE: usize = 16;

/// Lists the records that could not be decoded, newest first.
#[derive(Args, Clone, Debug)]
pub(crate) struct Quarantine {
    /// Where DynamoDB is
    #[arg(long, value_name = "URL", default_value = "http://localhost:8000")]
    pub(crate) dynamodb: String,
    /// Where Kafka is; it tells how many partitions the topics have (3 if it does not answer)
    #[arg(long, value_name = "ADDR", default_value = "localhost:9092")]
    pub(crate) kafka: String,
    /// The table of the channels; by default the one that has `channels` in its name
    #[arg(long)]
    pub(crate) table: Option<String>,
    /// Also shows what the records held, with what is not printable escaped
    #[arg(long)]
    pub(crate) raw: bool,
}

/// Prints the quarantined records of all topics.
pub(crate) async fn run(args: Quarantine) -> anyhow::Result<()> {
    let client = dynamodb(&args.dynamodb).await;
    let table = match args.table {
        Some(table) => table,
        None => channels_table(&client, &args.dynamodb).await?,
    };
    let channels = Channels::new(client, table, None);
    let partitions = partitions(&args.kafka).await;
    let places = TOPICS.iter().flat_map(|(topic, _)| (0..partitions).map(move |partition| (*topic, partition)));
    let mut records: Vec<_> = stream::iter(places)
        .map(|(topic, partition)| channels.quarantined(topic, partition, LISTED))
        .buffered(AT_ONCE)
        .try_concat()
        .await?;
    records.sort_by_key(|record| Reverse(record.seen_at));
    let mut out = io::stdout().lock();
    if records.is_empty() {
        writeln!(out, "No records in quarantine.")?;
        return Ok(());
    }
    writeln!(out, "{:<24}  {:<38} {:>10}  {:<12}  reason", "seen at", "record", "bytes", "sha256")?;
    for record in &records {
        let place = format!("{}-{} @{}", record.topic, record.partition, record.offset);
        let hash = record.sha256.get(..12).unwrap_or_default();
        writeln!(out, "{:<24}  {place:<38} {:>10}  {hash:<12}  {}", record.seen_at, record.length, record.reason)?;
        if args.raw {
            writeln!(out, "    {}", record.value.escape_ascii())?;
        }
    }
    Ok(())
}

/// A client of a DynamoDB that takes any credentials.
async fn dynamodb(url: &str) -> Client {
    let config = aws_config::defaults(BehaviorVersion::latest())
        .region(Region::new("us-east-1"))
        .credentials_provider(Credentials::new("local", "local", None, None, "local"))
        .timeout_config(TimeoutConfig::builder().operation_timeout(std::time::Duration::from_secs(5)).build())
        .endpoint_url(url)
        .load()
        .await;
    Client::new(&config)
}

async fn channels_table(client: &Client, url: &str) -> anyhow::Result<String> {
    let tables = client.list_tables().send().await;
    let tables = tables.map_err(|_| anyhow::anyhow!("no DynamoDB answers at {url}; is `cargo dev` running?"))?;
    let mut named = tables.table_names().iter().filter(|name| name.to_lowercase().contains("channels"));
    match (named.next(), named.next()) {
        (Some(table), None) => Ok(table.clone()),
        (None, _) => bail!("DynamoDB at {url} has no table of channels"),
        _ => bail!("DynamoDB at {url} has several tables of channels; choose one with --table"),
    }
}

/// How many partitions a topic has at most.
async fn partitions(kafka: &str) -> i32 {
    let topics = kafka::partitions(kafka).await.unwrap_or_default();
    let greatest = topics.into_iter().filter(|(name, _)| TOPICS.iter().any(|(read, _)| read == name));
    greatest.map(|(_, partitions)| partitions).max().unwrap_or(kafka::PARTITIONS)
}
