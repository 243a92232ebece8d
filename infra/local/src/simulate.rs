//! The simulator: campaigns that call, events with an audience and dialers that report their health, sent to Kafka.

mod call;
mod world;

use std::time::{Duration, Instant};

use clap::Args;
use indicatif::{ProgressBar, ProgressStyle};
use rand::{SeedableRng as _, rngs::StdRng};
use tokio_util::sync::CancellationToken;

use self::world::{Settings, World};
use crate::{
    clock::now,
    kafka::{self, PARTITIONS},
    producer::Producer,
    token::{self, DEFAULT_TENANT},
};

/// Records that become due within this time are sent together.
const TICK: Duration = Duration::from_millis(20);

/// How long the last records may take to be sent once the simulator is to stop.
const LAST_WORDS: Duration = Duration::from_secs(2);

/// Sends call events, live events and node health to Kafka until it is stopped.
#[derive(Args, Clone, Debug)]
pub(crate) struct Simulate {
    /// Campaigns that call
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub(crate) campaigns: u32,
    /// Calls begun per second, over all campaigns
    #[arg(long, value_name = "CALLS_PER_S", default_value_t = 5.0, value_parser = rate)]
    pub(crate) rate: f64,
    /// Live events with an audience
    #[arg(long, default_value_t = 2, value_parser = clap::value_parser!(u32).range(0..=1_000))]
    pub(crate) events: u32,
    /// Where Kafka is
    #[arg(long, value_name = "ADDR", default_value = "localhost:9092")]
    pub(crate) kafka: String,
    /// Whose records they are
    #[arg(long, default_value = DEFAULT_TENANT, value_parser = token::tenant)]
    pub(crate) tenant: String,
    /// Whether it runs beside something else and should not show what it does.
    #[arg(skip)]
    pub(crate) is_background: bool,
}

fn rate(text: &str) -> Result<f64, String> {
    match text.parse() {
        Ok(rate) if (0.01..=5_000.0).contains(&rate) => Ok(rate),
        _ => Err("a number of calls per second from 0.01 to 5000".to_owned()),
    }
}

/// Runs until `stop`, then ends the calls that go on, so that no dashboard shows them for ever.
pub(crate) async fn run(args: Simulate, stop: CancellationToken) -> anyhow::Result<()> {
    let topics: Vec<String> = world::TOPICS.iter().map(ToString::to_string).collect();
    kafka::create_topics(&args.kafka, &topics, PARTITIONS).await?;
    let producer = Producer::connect(&args.kafka, &world::TOPICS).await?;
    let settings =
        Settings { tenant: args.tenant, campaigns: args.campaigns, calls_per_second: args.rate, events: args.events };
    let mut world = World::new(settings, StdRng::from_rng(&mut rand::rng()), now());
    let line = live_line(args.is_background)?;
    let begun = Instant::now();
    let mut sent = 0;
    let mut ticks = tokio::time::interval(TICK);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let sending = async {
        loop {
            ticks.tick().await;
            let records = world.advance(now());
            sent += records.len();
            producer.send(records).await?;
            let (calls, waiting) = (world.calls_in_progress(), world.calls_waiting());
            let seconds = begun.elapsed().as_secs().max(1);
            line.set_message(format!(
                "{sent} records, {} per second; {calls} calls going on, {waiting} waiting",
                sent as u64 / seconds
            ));
        }
    };
    let ended: Option<anyhow::Result<()>> = stop.run_until_cancelled(sending).await;
    line.finish_and_clear();
    ended.unwrap_or(Ok(()))?;
    let _: Result<_, _> = tokio::time::timeout(LAST_WORDS, producer.send(world.wind_down(now()))).await;
    Ok(())
}

fn live_line(is_background: bool) -> anyhow::Result<ProgressBar> {
    let line = if is_background { ProgressBar::hidden() } else { ProgressBar::new_spinner() };
    line.set_style(ProgressStyle::with_template("{spinner} {msg}")?);
    Ok(line)
}
