//! The health of a tenant's dialer nodes, of its calls, and of Livefold itself.

use std::{borrow::Cow, collections::BTreeMap, time::Duration};

use serde::{Deserialize, Serialize};

use crate::{
    BadRecord, ChannelId, Event as AnyEvent, Projection, Record, Routed, Timestamp,
    campaign::{CampaignMetrics, Status, percent},
    history::{Entry, Nothing, Recorder},
    record,
    scalar::Scalar,
    window::NoCounts,
};

/// A node that has been silent for longer is stale: shown, but left out of the means.
const STALE_AFTER: Duration = Duration::from_secs(30);

/// A node that has been silent for longer is no longer shown.
const GONE_AFTER: Duration = Duration::from_hours(1);

/// The most nodes that are kept, those heard of last. At some 100 bytes each they stay far below an item's 400 KB.
const MAX_NODES: usize = 200;

/// What a node says of itself.
#[derive(Clone, Debug, PartialEq)]
pub struct Event {
    node_id: String,
    reading: Reading,
}

/// A node's reading, in whole numbers so that the newest of two is always the same one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
struct Reading {
    at: Timestamp,
    cpu_millis: u64,
    memory_millis: u64,
    active_calls: Option<u64>,
}

/// What one partition knows of a tenant's nodes.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct System(BTreeMap<String, Reading>);

impl System {
    fn read(&mut self, node_id: &str, reading: Reading) {
        match self.0.get_mut(node_id) {
            Some(known) => *known = reading.max(*known),
            None => {
                self.0.insert(node_id.to_owned(), reading);
            }
        }
        if self.0.len() > MAX_NODES {
            let oldest = self.0.iter().min_by_key(|(node, reading)| (**reading, *node)).map(|(node, _)| node.clone());
            oldest.map(|node| self.0.remove(&node));
        }
    }
}

/// What clients see of the system.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct SystemHealth {
    /// Percent, the mean over live nodes.
    pub cpu_usage: f64,
    /// Percent, the mean over live nodes.
    pub memory_usage: f64,
    /// Calls going on in the campaigns of the overview: the active ones, and those paused or ended while calls go on.
    pub active_calls: u64,
    /// Contacts waiting in these.
    pub queue_depth: u64,
    /// Percent of all attempts of these.
    pub answer_rate: f64,
    /// How many campaigns are active.
    pub active_campaigns: u64,
    /// The nodes, in the order of their ids.
    pub nodes: Vec<Node>,
    /// What Livefold knows of itself.
    pub pipeline: Pipeline,
}

/// A dialer node.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Node {
    /// Which node.
    pub node_id: String,
    /// Percent.
    pub cpu_usage: f64,
    /// Percent.
    pub memory_usage: f64,
    /// Calls going on, where the node tells.
    pub active_calls: Option<u64>,
    /// When it was last heard of.
    pub seen_at: Timestamp,
    /// Whether it has been silent for more than 30 seconds.
    pub stale: bool,
}

/// What Livefold knows of itself.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Pipeline {
    /// Seconds since the tenant's last record, by topic.
    pub seconds_since_record: BTreeMap<String, f64>,
    /// Seconds since the publisher last held its lease; `null` if it never did.
    pub publisher_lease_age_seconds: Option<f64>,
    /// The tenant's open connections.
    pub connections: u64,
    /// The Kafka cluster's state, in MSK's words, `not configured` where there is none, `unknown` where it does not tell.
    pub kafka_cluster: Option<String>,
}

impl SystemHealth {
    /// Adds the totals over the campaigns of the tenant's overview.
    #[must_use]
    pub fn with_campaigns<'a>(mut self, campaigns: impl IntoIterator<Item = &'a CampaignMetrics>) -> Self {
        let (mut attempts, mut answered) = (0, 0);
        for campaign in campaigns {
            self.active_campaigns += u64::from(campaign.status == Status::Active);
            self.active_calls += campaign.active_calls;
            self.queue_depth += campaign.queue_depth;
            attempts += campaign.total_attempts;
            answered += campaign.answered;
        }
        self.answer_rate = percent(answered, attempts);
        self
    }

    /// Adds what Livefold knows of itself.
    #[must_use]
    pub fn with_pipeline(self, pipeline: Pipeline) -> Self {
        Self { pipeline, ..self }
    }
}

impl Projection for System {
    const NAME: &'static str = "system";
    const KEYED: bool = false;
    const MESSAGE: &'static str = "system_health_update";

    const VERSION: u32 = 2;

    type Event = Event;
    type Entry = Nothing;
    type Counts = NoCounts;
    type View = SystemHealth;

    fn apply(&mut self, event: &Event, _: Timestamp, _: &mut Recorder<'_, Nothing>) {
        self.read(&event.node_id, event.reading);
    }

    fn merge(&mut self, other: &Self) {
        for (node_id, reading) in &other.0 {
            self.read(node_id, *reading);
        }
    }

    fn believed(&self, latest: Timestamp) -> Cow<'_, Self> {
        if self.0.values().all(|reading| reading.at <= latest) {
            return Cow::Borrowed(self);
        }
        let mut system = self.clone();
        for reading in system.0.values_mut().filter(|reading| reading.at > latest) {
            reading.at = Timestamp::EPOCH;
        }
        Cow::Owned(system)
    }

    fn view(&self, _: &ChannelId, _: &[&Entry<Nothing>], now: Timestamp) -> SystemHealth {
        let shown = || self.0.iter().filter(|(_, reading)| now.since(reading.at) <= GONE_AFTER);
        let is_stale = |reading: &Reading| now.since(reading.at) > STALE_AFTER;
        let mean = |usage: fn(&Reading) -> u64| {
            let live: Vec<u64> = shown().map(|(_, reading)| reading).filter(|r| !is_stale(r)).map(usage).collect();
            if live.is_empty() { 0.0 } else { live.iter().sum::<u64>() as f64 / live.len() as f64 / 1e3 }
        };
        SystemHealth {
            cpu_usage: mean(|reading| reading.cpu_millis),
            memory_usage: mean(|reading| reading.memory_millis),
            nodes: shown()
                .map(|(node_id, reading)| Node {
                    node_id: node_id.clone(),
                    cpu_usage: reading.cpu_millis as f64 / 1e3,
                    memory_usage: reading.memory_millis as f64 / 1e3,
                    active_calls: reading.active_calls,
                    seen_at: reading.at,
                    stale: is_stale(reading),
                })
                .collect(),
            ..SystemHealth::default()
        }
    }
}

/// A record of `dialer.health.v1`.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Raw<'a> {
    #[serde(borrow)]
    tenant_id: Option<Scalar<'a>>,
    #[serde(borrow)]
    organization_id: Option<Scalar<'a>>,
    #[serde(borrow)]
    timestamp: Option<Scalar<'a>>,
    #[serde(borrow)]
    node_id: Option<Scalar<'a>>,
    #[serde(borrow)]
    cpu_usage: Option<Scalar<'a>>,
    #[serde(borrow)]
    memory_usage: Option<Scalar<'a>>,
    #[serde(borrow)]
    active_calls: Option<Scalar<'a>>,
}

/// Decodes a record of `dialer.health.v1`.
pub(crate) fn decode(record: &Record<'_>) -> Result<Vec<Routed>, BadRecord> {
    let raw: Raw<'_> = record.parse()?;
    let at = record.event_time(raw.timestamp.as_ref())?;
    let percent =
        |value: &Option<Scalar<'_>>, field| record::fixed_point(record::required(value.as_ref(), field)?, 1e3, field);
    Ok(vec![Routed {
        tenant: record.tenant(raw.tenant_id.as_ref(), raw.organization_id.as_ref())?,
        channel: ChannelId::system(),
        at,
        event: AnyEvent::System(Event {
            node_id: record::required(raw.node_id.as_ref(), "nodeId")?.id("nodeId")?.to_string(),
            reading: Reading {
                at,
                cpu_millis: percent(&raw.cpu_usage, "cpuUsage")?,
                memory_millis: percent(&raw.memory_usage, "memoryUsage")?,
                active_calls: raw.active_calls.map(|calls| calls.count("activeCalls")).transpose()?,
            },
        }),
    }])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(node: usize, at: i64, cpu: u64) -> Event {
        let at = Timestamp::from_millis(at * 1000);
        let reading = Reading { at, cpu_millis: cpu * 1000, memory_millis: 0, active_calls: None };
        Event { node_id: format!("n{node}"), reading }
    }

    fn apply(system: &mut System, event: &Event) {
        let at = event.reading.at;
        system.apply(event, at, &mut Recorder { offset: 0, at, entries: &mut Vec::new() });
    }

    fn system(events: impl IntoIterator<Item = Event>) -> System {
        let mut system = System::default();
        for event in events {
            apply(&mut system, &event);
        }
        system
    }

    fn seen(system: &System, now: i64) -> SystemHealth {
        system.view(&ChannelId::system(), &[], Timestamp::from_millis(now * 1000))
    }

    #[test]
    fn a_node_silent_for_more_than_thirty_seconds_is_shown_but_not_in_the_mean() {
        let system = system([event(1, 100, 20), event(2, 110, 60)]);
        assert_eq!(seen(&system, 130).cpu_usage, 40.0);
        let later = seen(&system, 131);
        assert_eq!(later.cpu_usage, 60.0);
        assert_eq!(later.nodes.iter().map(|node| node.stale).collect::<Vec<_>>(), [true, false]);
        assert_eq!(seen(&system, 200).cpu_usage, 0.0);
        assert!(seen(&system, 110 + 3601).nodes.is_empty());
    }

    #[test]
    fn an_older_reading_does_not_replace_a_newer_one() {
        assert_eq!(seen(&system([event(1, 110, 60), event(1, 100, 20)]), 110).cpu_usage, 60.0);
    }

    #[test]
    fn a_reading_from_the_future_gives_way_to_a_fresh_one() {
        let mut system = system([event(1, 1_000_000, 20)]).believed(Timestamp::from_millis(100_000)).into_owned();
        assert!(seen(&system, 100_000).nodes.is_empty(), "it does not look alive");
        apply(&mut system, &event(1, 100, 60));
        assert_eq!(seen(&system, 100).cpu_usage, 60.0);
    }

    #[test]
    fn nodes_are_bounded_and_those_heard_of_last_stay() {
        let system = system((0..300).map(|n| event(n, i64::try_from(n).unwrap(), 1)));
        assert_eq!(system.0.len(), MAX_NODES);
        assert!(system.0.contains_key("n299") && !system.0.contains_key("n99"));
    }

    #[test]
    fn a_reading_without_its_numbers_is_a_bad_record() {
        let timestamp = Timestamp::from_millis(0);
        let decode = |value: &str| {
            let value = value.as_bytes();
            crate::topic::decode(&Record { topic: "dialer.health.v1", timestamp, default_tenant: None, value })
        };
        let missing = decode(r#"{"tenantId":"t","nodeId":"n1","cpuUsage":1}"#).unwrap_err();
        assert_eq!(missing, BadRecord::Missing("memoryUsage"));
        assert!(decode(r#"{"tenantId":"t","nodeId":"n1","cpuUsage":1,"memoryUsage":2.5}"#).is_ok());
    }
}
