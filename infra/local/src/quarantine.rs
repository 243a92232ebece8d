//! Lists the records that could not be decoded, and sends them to their topics again.

mod replay;

use std::{
    cmp::Reverse,
    io::{self, Write},
    path::PathBuf,
};

use anyhow::bail;
use aws_config::{BehaviorVersion, Region, timeout::TimeoutConfig};
use aws_sdk_dynamodb::{Client, config::Credentials};
use clap::{Args, ValueEnum};
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use projections::topic::TOPICS;
use store::{Channels, Omitted, Quarantined};

use crate::kafka;

/// The most records that are read of each key of a partition.
const READ: usize = 10_000;

/// Partitions that are asked for at a time.
const AT_ONCE: usize = 16;

/// Lists the records that could not be decoded, newest first, or sends them to their topics again
#[derive(Args, Clone, Debug)]
#[expect(clippy::struct_excessive_bools, reason = "each is a switch of the command line")]
pub(crate) struct Quarantine {
    /// Where DynamoDB is
    #[arg(long, value_name = "URL", default_value = "http://localhost:8000", conflicts_with = "aws")]
    pub(crate) dynamodb: String,
    /// Reads the table on AWS, with the credentials and the region of the environment; wants --table
    #[arg(long, requires = "table")]
    pub(crate) aws: bool,
    /// Where Kafka is; it tells how many partitions the topics have
    #[arg(long, value_name = "ADDR", default_value = "localhost:9092")]
    pub(crate) kafka: String,
    /// How many partitions the topics have, where Kafka cannot be asked [default: 3]
    #[arg(long, value_name = "N")]
    pub(crate) partitions: Option<i32>,
    /// The table of the channels; by default the one that has `channels` in its name
    #[arg(long)]
    pub(crate) table: Option<String>,
    /// Only records of this topic
    #[arg(long)]
    pub(crate) topic: Option<String>,
    /// Only records whose reason has this in it, like `eventType`
    #[arg(long, value_name = "TEXT")]
    pub(crate) reason: Option<String>,
    /// Lists no more than these
    #[arg(long, value_name = "N", default_value_t = 200)]
    pub(crate) limit: usize,
    /// Also shows what the records held, with what is not printable escaped
    #[arg(long)]
    pub(crate) raw: bool,
    /// Sends the records to their topics again, each once
    #[arg(long)]
    pub(crate) replay: bool,
    /// With --replay: says what would be sent, and sends nothing
    #[arg(long, requires = "replay")]
    pub(crate) dry_run: bool,
    /// With --replay: writes `key<TAB>value` to this file, for kafka-console-producer, and sends nothing by itself; then
    /// --settle
    #[arg(long, value_name = "FILE", requires = "replay", requires = "topic")]
    pub(crate) export: Option<PathBuf>,
    /// Says of the records of which it is not known whether they were sent what you found in the topic
    #[arg(long, conflicts_with = "replay")]
    pub(crate) settle: Option<Settlement>,
}

/// What became of records that were claimed for sending.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Settlement {
    /// They were sent
    Sent,
    /// They were not, and can be again
    Unsent,
}

impl Quarantine {
    fn is_meant(&self, record: &Quarantined) -> bool {
        self.topic.as_ref().is_none_or(|topic| *topic == record.topic)
            && self.reason.as_ref().is_none_or(|reason| record.reason.contains(reason))
    }
}

/// Where records of a topic may lie.
type Place = (&'static str, i32);

/// What was found in all places.
struct Found {
    records: Vec<Quarantined>,
    omitted: Vec<Omitted>,
    is_cut: bool,
}

/// Lists the quarantined records, or replays them.
pub(crate) async fn run(args: Quarantine) -> anyhow::Result<()> {
    let client = if args.aws { on_aws().await } else { dynamodb(&args.dynamodb).await };
    let table = match &args.table {
        Some(table) => table.clone(),
        None => channels_table(&client, &args.dynamodb).await?,
    };
    let channels = Channels::new(client, table, None);
    let partitions = match args.partitions {
        Some(partitions) => partitions,
        None if args.aws => kafka::PARTITIONS,
        None => partitions(&args.kafka).await,
    };
    let topics = TOPICS.iter().map(|(topic, _)| *topic);
    let topics = topics.filter(|topic| args.topic.as_ref().is_none_or(|wanted| wanted == topic));
    let places: Vec<Place> = topics.flat_map(|topic| (0..partitions).map(move |n| (topic, n))).collect();
    let found = find(&channels, &places, &args).await?;
    let out = &mut io::stdout();
    if args.replay || args.settle.is_some() {
        replay::run(&channels, &places, found.records, &args, out).await
    } else {
        list(&found, &args, out)
    }
}

async fn find(channels: &Channels, places: &[Place], args: &Quarantine) -> anyhow::Result<Found> {
    let contents: Vec<_> = stream::iter(places)
        .map(|(topic, partition)| channels.quarantined(topic, *partition, READ))
        .buffered(AT_ONCE)
        .try_collect()
        .await?;
    let mut found = Found { records: Vec::new(), omitted: Vec::new(), is_cut: false };
    for contents in contents {
        found.records.extend(contents.records.into_iter().filter(|record| args.is_meant(record)));
        found.omitted.extend(contents.omitted);
        found.is_cut |= contents.is_cut;
    }
    found.records.sort_by_key(|record| Reverse(record.seen_at));
    Ok(found)
}

fn list(found: &Found, args: &Quarantine, out: &mut impl Write) -> anyhow::Result<()> {
    let Found { records, omitted, is_cut } = found;
    if records.is_empty() {
        writeln!(out, "No records in quarantine.")?;
        return Ok(());
    }
    writeln!(out, "{:<24}  {:<38} {:>10}  {:<12}  reason", "seen at", "record", "bytes", "sha256")?;
    for record in records.iter().take(args.limit) {
        let place = format!("{}-{} @{}", record.topic, record.partition, record.offset);
        let hash = record.sha256.get(..12).unwrap_or_default();
        writeln!(out, "{:<24}  {place:<38} {:>10}  {hash:<12}  {}", record.seen_at, record.length, record.reason)?;
        if args.raw {
            writeln!(out, "    {}", record.value.escape_ascii())?;
        }
    }
    if let Some(more) = records.len().checked_sub(args.limit).filter(|more| *more > 0) {
        writeln!(out, "… and {more} more: --limit {} lists them", records.len())?;
    }
    for Omitted { topic, partition, records, first, last, seen_at } in omitted {
        writeln!(
            out,
            "{seen_at}  {topic}-{partition}: {records} more bad records from @{first} to @{last} were counted and not kept; Kafka has them"
        )?;
    }
    if *is_cut {
        writeln!(out, "There are older ones, too: this reads the newest {READ} of each partition.")?;
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

/// A client of the real one, as the environment says.
async fn on_aws() -> Client {
    Client::new(&aws_config::load_defaults(BehaviorVersion::latest()).await)
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
