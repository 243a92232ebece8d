//! The load test: many sockets, many records, and how long each record takes to each socket.

mod ledger;
mod report;
mod socket;
mod stages;

use std::{
    collections::HashMap,
    net::IpAddr,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use anyhow::{Context as _, bail};
use clap::Args;
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use indicatif::{ProgressBar, ProgressStyle};
use rdkafka::producer::future_producer::Delivery;
use serde::de::DeserializeOwned;
use serde_json::json;
use tokio::{task::JoinSet, time::MissedTickBehavior};
use url::{Host, Url};

use self::{
    ledger::{Ledger, Watching},
    report::Report,
    socket::Socket,
    stages::Stages,
};
use crate::{
    clock::now,
    costs::Costs,
    kafka::{self, PARTITIONS},
    producer::{Outgoing, Producer},
    token::{self, DEFAULT_TENANT, Token},
};

const TOPIC: &str = "campaign.events.v1";

/// Records are produced in steps of this.
const TICK: Duration = Duration::from_millis(5);

/// Sockets opened at a time; more would meet the accept queue's limit.
const OPENING: usize = 32;

/// How long after the last record its views may arrive before they count as lost.
const SETTLE: Duration = Duration::from_secs(10);

/// Longer than the longest run.
const TOKEN_TTL: Duration = Duration::from_hours(1);

/// Opens sockets, produces records, and measures how long each record takes to each socket that watches its campaign.
#[derive(Args, Clone, Debug)]
pub(crate) struct Load {
    /// Sockets to open; a tenant may have 10,000 unless the system is told otherwise
    #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..=20_000))]
    pub(crate) connections: u32,
    /// Campaigns that they watch, each socket one unless with --overview
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..=1_000))]
    pub(crate) campaigns: u32,
    /// Each socket just listens, and gets the overview of all campaigns of the tenant
    #[arg(long)]
    pub(crate) overview: bool,
    /// Sockets take each message in a frame of its own
    #[arg(long)]
    pub(crate) plain: bool,
    /// Campaigns that each socket watches besides, its own ones, of which no record ever comes
    #[arg(long, default_value_t = 0, value_name = "N", conflicts_with = "overview", value_parser = clap::value_parser!(u32).range(0..=99))]
    pub(crate) quiet: u32,
    /// Records per second, over all campaigns
    #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..=50_000))]
    pub(crate) rate: u32,
    /// How long records are produced
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..=600))]
    pub(crate) seconds: u32,
    /// The WebSocket API
    #[arg(long, default_value = "ws://localhost:4000/ws")]
    pub(crate) url: Url,
    /// Where Kafka is
    #[arg(long, value_name = "ADDR", default_value = "localhost:9092")]
    pub(crate) kafka: String,
    /// Whose records they are
    #[arg(long, default_value = DEFAULT_TENANT, value_parser = token::tenant)]
    pub(crate) tenant: String,
    /// Allows a URL and a Kafka that are not on this machine
    #[arg(long)]
    pub(crate) remote: bool,
}

/// Runs the load test and prints what it measured; fails if a record was lost.
pub(crate) async fn run(args: Load) -> anyhow::Result<()> {
    check_is_here(&args)?;
    // Each socket is a file; the soft limit is often far below what the system allows.
    let _: Result<_, _> = rlimit::increase_nofile_limit(u64::MAX);
    kafka::create_topics(&args.kafka, &[TOPIC.to_owned()], PARTITIONS).await?;
    let producer = Producer::connect(&args.kafka, &[TOPIC]).await?;
    let campaigns = Campaigns::new(&args);
    producer.send(campaigns.all("active")).await?;
    let watching = if args.overview { Watching::All } else { Watching::One };
    let ledger = Ledger::new(campaigns.ids.len(), args.connections as usize, watching);
    let ledger = Arc::new(Mutex::new(ledger));

    let mut reading = JoinSet::new();
    let opened = tokio::select! {
        opened = open(&args, &campaigns) => opened?,
        _ = tokio::signal::ctrl_c() => bail!("stopped before the measurement began"),
    };
    for (connection, socket) in opened.into_iter().enumerate() {
        reading.spawn(socket.read(connection, Arc::clone(&campaigns.channels), Arc::clone(&ledger)));
    }

    let costs_before: Option<Costs> = told(&args.url, "costs").await;
    let begun = Instant::now();
    let ended = tokio::select! {
        ended = produce(&args, &campaigns, &producer, &ledger) => ended,
        _ = tokio::signal::ctrl_c() => Ok(()),
    };
    let elapsed = begun.elapsed();
    if ended.is_ok() {
        settle(&ledger).await;
    }
    let measured_over = begun.elapsed();
    let costs_after: Option<Costs> = told(&args.url, "costs").await;
    reading.abort_all();
    // So that the campaigns do not stay among the active ones of the dashboard.
    let _: Result<_, _> = tokio::time::timeout(SETTLE, producer.send(campaigns.all("completed"))).await;

    let arrivals = lock(&ledger).arrivals();
    let stages =
        told(&args.url, "deliveries").await.and_then(|deliveries: Vec<_>| Stages::new(&arrivals, TOPIC, &deliveries));
    let report = Report::new(&lock(&ledger), args.connections, elapsed, measured_over, stages);
    report.print()?;
    if let (Some(after), Some(before)) = (costs_after, costs_before) {
        after.since(&before).print();
    }
    ended?;
    if report.lost > 0 {
        bail!("{} of {} deliveries were lost", report.lost, report.lost + report.deliveries);
    }
    Ok(())
}

fn check_is_here(args: &Load) -> anyhow::Result<()> {
    let is_here = |host: Option<Host<&str>>| match host {
        Some(Host::Domain(name)) => name == "localhost" || name.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback()),
        Some(Host::Ipv4(ip)) => ip.is_loopback(),
        Some(Host::Ipv6(ip)) => ip.is_loopback(),
        None => false,
    };
    let kafka =
        Url::parse(&format!("tcp://{}", args.kafka)).with_context(|| format!("{} is no address", args.kafka))?;
    if !matches!(args.url.scheme(), "ws" | "wss") {
        bail!("{} is no WebSocket URL; it begins with ws:// or wss://", args.url);
    }
    let is_all_here = is_here(args.url.host()) && is_here(kafka.host());
    if !args.remote && !is_all_here {
        bail!("a load test of another machine needs --remote");
    }
    Ok(())
}

/// The campaigns of this run.
struct Campaigns {
    tenant: String,
    ids: Vec<String>,
    /// The channel of each of them.
    channels: Arc<HashMap<String, usize>>,
}

impl Campaigns {
    /// Ids that no run had before: counts begin at 0.
    fn new(args: &Load) -> Self {
        let run = now().as_millis();
        let ids: Vec<String> = (0..args.campaigns).map(|n| format!("load-{run}-{n}")).collect();
        let channels = ids.iter().enumerate().map(|(n, id)| (format!("campaign:{id}"), n)).collect();
        Self { tenant: args.tenant.clone(), ids, channels: Arc::new(channels) }
    }

    fn all(&self, status: &str) -> Vec<Outgoing> {
        let details =
            |n| json!({ "eventType": "campaign_status_changed", "status": status, "name": format!("Load {n}") });
        (0..self.ids.len()).map(|n| self.record(n, details(n))).collect()
    }

    fn call(&self, campaign: usize, serial: usize) -> Outgoing {
        self.record(campaign, json!({ "eventType": "call_initiated", "callId": format!("call-{serial}") }))
    }

    fn record(&self, campaign: usize, mut value: serde_json::Value) -> Outgoing {
        let key = self.ids[campaign].clone();
        value["campaignId"] = json!(key);
        value["tenantId"] = json!(self.tenant);
        value["timestamp"] = json!(now());
        Outgoing { topic: TOPIC, key, value: value.to_string() }
    }
}

/// Opens all sockets, each for a user of its own, so that no limit of a user is met, and subscribes each to one of the campaigns
/// where it does not just listen.
async fn open(args: &Load, campaigns: &Campaigns) -> anyhow::Result<Vec<Socket>> {
    let bar = bar(u64::from(args.connections), "{pos} of {len} sockets {wide_bar}")?;
    let opening = (0..args.connections as usize).map(|connection| {
        let bar = bar.clone();
        async move {
            let token = Token::to_read(&args.tenant, &format!("load-{connection}"), TOKEN_TTL).mint(now())?;
            let campaign = &campaigns.ids[connection % campaigns.ids.len()];
            let campaign = (!args.overview).then_some(campaign.as_str());
            let mut socket = Socket::open(&args.url, &token, campaign, !args.plain).await?;
            if args.quiet > 0 {
                let quiet = (0..args.quiet).map(|n| format!("campaign:quiet-{connection}-{n}"));
                socket.watch(quiet.collect()).await?;
            }
            bar.inc(1);
            anyhow::Ok(socket)
        }
    });
    let sockets = stream::iter(opening).buffered(OPENING).try_collect().await;
    bar.finish_and_clear();
    sockets
}

/// Produces records at the wanted rate, to one campaign after the other.
async fn produce(
    args: &Load,
    campaigns: &Campaigns,
    producer: &Producer,
    ledger: &Mutex<Ledger>,
) -> anyhow::Result<()> {
    let total = args.rate as usize * args.seconds as usize;
    let bar = bar(total as u64, "{pos} of {len} records {wide_bar} {msg}")?;
    let begun = Instant::now();
    let mut ticks = tokio::time::interval(TICK);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut sent = 0;
    while sent < total {
        ticks.tick().await;
        let due = (begun.elapsed().as_millis() as usize * args.rate as usize / 1000).min(total);
        let (places, records): (Vec<_>, Vec<Outgoing>) = {
            let mut ledger = lock(ledger);
            let at = Instant::now();
            let batch = (sent..due).map(|serial| {
                let campaign = serial % campaigns.ids.len();
                let record = ledger.produced_of(campaign);
                ledger.produced(campaign, at);
                ((campaign, record), campaigns.call(campaign, serial))
            });
            batch.unzip()
        };
        let stored = producer.send(records).await?;
        {
            let mut ledger = lock(ledger);
            let at = Instant::now();
            for ((campaign, record), Delivery { partition, offset, .. }) in places.into_iter().zip(stored) {
                ledger.stored(campaign, record, partition, offset, at);
            }
        }
        sent = due;
        bar.set_position(sent as u64);
        bar.set_message(format!("p50 {} ms", lock(ledger).latency().value_at_quantile(0.5) / 1000));
    }
    bar.finish_and_clear();
    Ok(())
}

/// What the system of this WebSocket API tells below `/_local`, if it is a local one: the batches that it delivered, or costs.
async fn told<T: DeserializeOwned>(socket: &Url, what: &str) -> Option<T> {
    let scheme = if socket.scheme() == "wss" { "https" } else { "http" };
    let url = format!("{scheme}://{}:{}/_local/{what}", socket.host_str()?, socket.port_or_known_default()?);
    reqwest::get(url).await.ok()?.json().await.ok()
}

/// Waits until every record has arrived everywhere, within reason.
async fn settle(ledger: &Mutex<Ledger>) {
    let deadline = Instant::now() + SETTLE;
    while lock(ledger).missing() > 0 && Instant::now() < deadline {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

fn bar(length: u64, template: &str) -> anyhow::Result<ProgressBar> {
    Ok(ProgressBar::new(length).with_style(ProgressStyle::with_template(template)?))
}

fn lock(ledger: &Mutex<Ledger>) -> std::sync::MutexGuard<'_, Ledger> {
    ledger.lock().unwrap_or_else(PoisonError::into_inner)
}
