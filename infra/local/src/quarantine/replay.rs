//! Sends records in quarantine to their topics again, each once: claimed in the table, sent, noted.

use std::{
    collections::BTreeMap,
    fs::File,
    io::{BufWriter, Write},
    time::Duration,
};

use anyhow::Context as _;
use rdkafka::producer::{FutureProducer, FutureRecord};
use store::{Channels, Quarantined, RecordId, Replay};

use super::{Place, Quarantine, Settlement};
use crate::{clock::now, kafka};

/// How long a record may take to its topic; after that it is not known whether it was sent.
const PATIENCE: Duration = Duration::from_secs(30);

/// Where a record lies, and what tells it apart there.
type Known = BTreeMap<(String, i32, RecordId), Replay>;

/// How many records had which outcome.
#[derive(Default)]
struct Tally {
    sent: usize,
    sent_before: usize,
    unknown: usize,
    cut: usize,
    unwritable: usize,
}

/// Replays `records`, or settles what is not known of them.
pub(super) async fn run(
    channels: &Channels,
    places: &[Place],
    mut records: Vec<Quarantined>,
    args: &Quarantine,
    out: &mut impl Write,
) -> anyhow::Result<()> {
    let mut known = Known::new();
    for (topic, partition) in places {
        let replays = channels.replays(topic, *partition).await?;
        known.extend(replays.into_iter().map(|(id, replay)| (((*topic).to_owned(), *partition, id), replay)));
    }
    // In the order in which they were sent at first.
    records.sort_by(|a, b| (&a.topic, a.partition, a.offset).cmp(&(&b.topic, b.partition, b.offset)));
    match args.settle {
        Some(settlement) => settle(channels, &records, &known, settlement, out).await,
        None => replay(channels, &records, &known, args, out).await,
    }
}

fn known_of(known: &Known, record: &Quarantined) -> Option<Replay> {
    known.get(&(record.topic.clone(), record.partition, record.id())).copied()
}

async fn settle(
    channels: &Channels,
    records: &[Quarantined],
    known: &Known,
    settlement: Settlement,
    out: &mut impl Write,
) -> anyhow::Result<()> {
    let mut settled = 0;
    for record in records.iter().filter(|record| known_of(known, record) == Some(Replay::Claimed)) {
        match settlement {
            Settlement::Sent => channels.note_replay(record, now()).await?,
            Settlement::Unsent => channels.release_replay(record).await?,
        }
        settled += 1;
    }
    writeln!(out, "{settled} records settled.")?;
    Ok(())
}

async fn replay(
    channels: &Channels,
    records: &[Quarantined],
    known: &Known,
    args: &Quarantine,
    out: &mut impl Write,
) -> anyhow::Result<()> {
    let mut tally = Tally::default();
    let mut sink = Sink::open(args).await?;
    for record in records {
        match known_of(known, record) {
            Some(Replay::Sent) => tally.sent_before += 1,
            None if !record.is_whole() => tally.cut += 1,
            None if !sink.takes(record) => tally.unwritable += 1,
            None if args.dry_run => tally.sent += 1,
            None if channels.claim_replay(record, now()).await? => {
                // Whatever ends this here, an error or a kill, leaves the claim.
                sink.send(record).await.with_context(|| {
                    format!(
                        "it is not known whether {}-{} @{} was sent: look into the topic, then --settle",
                        record.topic, record.partition, record.offset
                    )
                })?;
                if !matches!(sink, Sink::File(_)) {
                    channels.note_replay(record, now()).await?;
                }
                tally.sent += 1;
            }
            // Claimed, by this machine or by another one, and nobody has said that it was sent.
            Some(Replay::Claimed) | None => tally.unknown += 1,
        }
    }
    sink.close()?;
    report(&tally, args, out)
}

fn report(tally: &Tally, args: &Quarantine, out: &mut impl Write) -> anyhow::Result<()> {
    let what = match (args.dry_run, &args.export) {
        (true, _) => "would be sent",
        (_, Some(_)) => "written to the file; once they are in the topic, say so: --settle sent",
        _ => "sent",
    };
    writeln!(out, "{} records {what}.", tally.sent)?;
    let lines = [
        (tally.sent_before, "had been sent before"),
        (tally.unknown, "may have been sent: look into the topic, then --settle sent or --settle unsent"),
        (tally.cut, "cannot be sent, for only their beginning was kept; Kafka has them until its retention ends"),
        (tally.unwritable, "cannot be written as a line of text"),
    ];
    for (count, what) in lines.into_iter().filter(|(count, _)| *count > 0) {
        writeln!(out, "{count} {what}.")?;
    }
    Ok(())
}

/// Where records are sent to.
enum Sink {
    Kafka(FutureProducer),
    File(BufWriter<File>),
    Nowhere,
}

impl Sink {
    async fn open(args: &Quarantine) -> anyhow::Result<Self> {
        match &args.export {
            _ if args.dry_run => Ok(Self::Nowhere),
            Some(path) => {
                let file = File::create_new(path).with_context(|| format!("{} cannot be made", path.display()))?;
                Ok(Self::File(BufWriter::new(file)))
            }
            None => {
                // Fails here where no broker answers, before anything is claimed.
                kafka::partitions(&args.kafka).await?;
                let mut config = kafka::config(&args.kafka);
                config.set("enable.idempotence", "true").set("message.timeout.ms", PATIENCE.as_millis().to_string());
                Ok(Self::Kafka(config.create().context("the producer cannot be made")?))
            }
        }
    }

    /// Whether it can carry a record; a line of text ends with the line, and its key with the first tab.
    fn takes(&self, record: &Quarantined) -> bool {
        let is_line = |bytes: &[u8]| !bytes.contains(&b'\n') && !bytes.contains(&b'\r');
        let key = record.key.as_deref().unwrap_or_default();
        !matches!(self, Self::File(_)) || (is_line(&record.value) && is_line(key) && !key.contains(&b'\t'))
    }

    async fn send(&mut self, record: &Quarantined) -> anyhow::Result<()> {
        match self {
            Self::Nowhere => {}
            Self::File(file) => {
                file.write_all(record.key.as_deref().unwrap_or_default())?;
                file.write_all(b"\t")?;
                file.write_all(&record.value)?;
                file.write_all(b"\n")?;
            }
            // To its partition, so that it stays in order with what else its key has.
            Self::Kafka(producer) => {
                let again = FutureRecord::to(&record.topic).partition(record.partition).payload(&record.value);
                let again = match &record.key {
                    Some(key) => again.key(key),
                    None => again,
                };
                producer.send(again, PATIENCE).await.map_err(|(error, _)| error)?;
            }
        }
        Ok(())
    }

    fn close(self) -> anyhow::Result<()> {
        if let Self::File(file) = self {
            file.into_inner().map_err(std::io::IntoInnerError::into_error)?.sync_all()?;
        }
        Ok(())
    }
}
