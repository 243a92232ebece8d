//! Two publishers, one lease, a real table: who is relieved leaves no gap and repeats nothing.

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    num::NonZeroU32,
    sync::{Arc, Mutex},
};

use auth::Principal;
use bytes::Bytes;
use gateway::PostError;
use projections::{ChannelId, Record, TenantId, topic};
use serde_json::{Value, json};
use store::{Channels, Committer, Connection, Connections, Entry, Limits, ListingChange, Moved, SliceId, SliceKey};
use testing::TestTable;
use views::Reader;

use super::*;

mod closing;
mod metrics;
mod sweep;

/// Who posted what, in order. A close is noted as a message of the type `close`.
type Posts = Arc<Mutex<Vec<(&'static str, Value)>>>;

/// A gateway that notes who posted what.
#[derive(Clone)]
struct Notebook {
    publisher: &'static str,
    posts: Posts,
    reached: Arc<Mutex<BTreeSet<String>>>,
    faults: Arc<Mutex<Faults>>,
}

/// What the next calls come to.
#[derive(Default)]
struct Faults {
    messages: VecDeque<PostError>,
    farewells: VecDeque<PostError>,
    closes: VecDeque<PostError>,
}

impl Post for Notebook {
    async fn post(&self, connection_id: &str, message: Bytes) -> Result<(), PostError> {
        assert!(connection_id.starts_with("socket"), "{connection_id}");
        self.reached.lock().unwrap().insert(connection_id.to_owned());
        let message: Value = serde_json::from_slice(&message).unwrap();
        let is_farewell = message["type"] == "error";
        self.posts.lock().unwrap().push((self.publisher, message));
        let mut faults = self.faults.lock().unwrap();
        let due = if is_farewell { &mut faults.farewells } else { &mut faults.messages };
        due.pop_front().map_or(Ok(()), Err)
    }

    async fn close(&self, connection_id: &str) -> Result<(), PostError> {
        assert_eq!(connection_id, "socket");
        let message = json!({"type": "close", "timestamp": runtime::clock::now()});
        self.posts.lock().unwrap().push((self.publisher, message));
        self.faults.lock().unwrap().closes.pop_front().map_or(Ok(()), Err)
    }
}

/// A connection that was opened just now and watches a campaign.
fn connection() -> Connection {
    let now = runtime::clock::now();
    Connection {
        id: "socket".to_owned(),
        principal: Principal {
            tenant: TenantId::parse("acme").unwrap(),
            user: "ada".to_owned(),
            permissions: vec![auth::READ_LIVE.to_owned()],
            channels: None,
            issued_at: now,
            expires_at: now.plus(Duration::from_hours(1)),
        },
        channels: BTreeMap::from([("campaign:c".parse().unwrap(), String::new())]),
        is_default: false,
        batch: false,
        connected_at: now,
        source_ip: None,
        ending: None,
    }
}

struct Stage {
    table: TestTable,
    channels: Channels,
    connections: Connections,
    leases: Leases,
    committer: Committer<Channels>,
    posts: Posts,
    /// The connections to which something was posted.
    reached: Arc<Mutex<BTreeSet<String>>>,
    faults: Arc<Mutex<Faults>>,
    metrics: Arc<Mutex<Vec<Value>>>,
    offset: i64,
}

impl Stage {
    async fn set() -> Self {
        Self::set_for(&connection()).await
    }

    async fn set_for(connection: &Connection) -> Self {
        let table = TestTable::create().await;
        let (channels, connections) = (table.channels(None), table.connections(NonZeroU32::MIN.get()));
        let stage = Self {
            committer: Committer::new(channels.clone()),
            channels,
            connections,
            leases: table.leases(),
            table,
            posts: Arc::default(),
            reached: Arc::default(),
            faults: Arc::default(),
            metrics: Arc::default(),
            offset: 0,
        };
        stage.connect(connection).await;
        stage
    }

    async fn connect(&self, connection: &Connection) {
        let limits = Limits { per_user: 25, per_tenant: 25 };
        self.connections.connect(connection, limits, runtime::clock::now()).await.unwrap();
    }

    /// Counts one more answered call.
    async fn answer_call(&mut self) {
        let moved = self.count_call().await;
        let now = runtime::clock::now();
        self.channels.journal(vec![moved], Some(now), now).await.unwrap();
    }

    /// Counts one more answered call, and does not say so.
    async fn count_call(&mut self) -> Moved {
        let tenant = TenantId::parse("acme").unwrap();
        let value = json!({"eventType": "call_answered", "campaignId": "c", "callId": format!("k{}", self.offset)});
        let value = value.to_string();
        let record = Record {
            topic: "campaign.events.v1",
            timestamp: runtime::clock::now(),
            default_tenant: Some(&tenant),
            value: value.as_bytes(),
        };
        let routed = topic::decode(&record).unwrap().remove(0);
        let slice = SliceId { epoch: 1, topic: record.topic.to_owned(), partition: 0 };
        let key = SliceKey { tenant, channel: routed.channel, slice };
        let entry = Entry { offset: self.offset, at: routed.at, event: routed.event };
        let now = runtime::clock::now();
        self.committer.commit(&key, &[entry], now).await.unwrap();
        let SliceKey { tenant, channel, slice } = key;
        let watermark = self.offset;
        self.offset += 1;
        Moved { tenant, channel, slice, watermark, latest: now, listing: ListingChange::None }
    }

    fn publisher(&self, name: &'static str, relieves: bool) -> LeaseTerm<Notebook> {
        let services = Services {
            reader: Reader::new(self.channels.clone(), self.leases.clone(), 1),
            channels: self.channels.clone(),
            connections: self.connections.clone(),
            gateway: Notebook {
                publisher: name,
                posts: Arc::clone(&self.posts),
                reached: Arc::clone(&self.reached),
                faults: Arc::clone(&self.faults),
            },
            overview_interval: Duration::from_secs(1),
            clock: runtime::clock::now,
        };
        let lines = Arc::clone(&self.metrics);
        let print = move |line: &[u8]| lines.lock().unwrap().push(serde_json::from_slice(line).unwrap());
        LeaseTerm {
            shard: 0,
            owner: name.to_owned(),
            relieves,
            deadline: runtime::clock::now().plus(Duration::from_mins(2)),
            tick: Duration::from_millis(10),
            kafka_cluster: None,
            leases: self.leases.clone(),
            services,
            metrics: Metrics::new("Livefold/test".to_owned(), print),
        }
    }

    fn posts_by(&self, publisher: &str) -> usize {
        self.posts.lock().unwrap().iter().filter(|(by, _)| *by == publisher).count()
    }

    /// Counts calls until the publisher has posted something.
    async fn answer_calls_until_posted_by(&mut self, publisher: &str) {
        for _ in 0..1000 {
            if self.posts_by(publisher) > 0 {
                return;
            }
            self.answer_call().await;
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        panic!("{publisher} never posts");
    }

    async fn until_last_answered_is(&self, answered: i64) {
        for _ in 0..1000 {
            if self.views().last() == Some(&answered) {
                return;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        panic!("{answered} is never shown: {:?}", self.views());
    }

    fn views(&self) -> Vec<i64> {
        let posts = self.posts.lock().unwrap();
        let views = posts.iter().filter(|(_, message)| message["type"] == "metrics_update");
        views.map(|(_, message)| message["data"]["answered"].as_i64().unwrap()).collect()
    }

    fn calls(&self) -> Vec<String> {
        let posts = self.posts.lock().unwrap();
        let calls = posts.iter().filter(|(_, message)| message["type"] == "call_event");
        calls.map(|(_, message)| message["data"]["callId"].as_str().unwrap().to_owned()).collect()
    }
}

#[tokio::test]
async fn a_successor_takes_over_without_a_gap_and_repeats_nothing() {
    let mut stage = Stage::set().await;
    stage.answer_call().await;
    let first = tokio::spawn(stage.publisher("first", true).serve());
    stage.until_last_answered_is(1).await;
    stage.answer_calls_until_posted_by("first").await;
    let second = tokio::spawn(stage.publisher("second", true).serve());
    stage.answer_calls_until_posted_by("second").await;
    assert_eq!(first.await.unwrap().unwrap(), End::HandedOver);
    for _ in 0..5 {
        stage.answer_call().await;
    }
    stage.until_last_answered_is(stage.offset).await;

    let handed_over = stage.posts_by("first");
    let order: Vec<&str> = stage.posts.lock().unwrap().iter().map(|(by, _)| *by).collect();
    assert!(order[..handed_over].iter().all(|by| *by == "first"), "never two at once");
    assert!(stage.views().is_sorted_by(|a, b| a < b), "each view once, and none older: {:?}", stage.views());
    // The first call was there before anybody published: it is no news.
    let told: Vec<String> = (1..stage.offset).map(|offset| format!("k{offset}")).collect();
    assert_eq!(stage.calls(), told, "each call once, in order");

    stage.connections.disconnect("socket").await.unwrap();
    assert_eq!(second.await.unwrap().unwrap(), End::NobodyWatches);
}

#[tokio::test]
async fn a_publisher_that_a_client_has_woken_does_not_relieve_one_at_work() {
    let mut stage = Stage::set().await;
    let first = tokio::spawn(stage.publisher("first", false).serve());
    stage.answer_calls_until_posted_by("first").await;
    assert_eq!(stage.publisher("second", false).serve().await.unwrap(), End::Busy);
    first.abort();
}

#[tokio::test]
async fn who_connects_while_the_last_publisher_ends_is_noticed_by_it() {
    let mut stage = Stage::set().await;
    stage.connections.disconnect("socket").await.unwrap();
    let publisher = stage.publisher("first", false);
    let mut shard = Shard::new(0, publisher.services.clone(), Handover::default());
    shard.read(runtime::clock::now()).await.unwrap();
    assert!(shard.is_empty());
    // Between its last look and the release of its lease:
    stage.connect(&connection()).await;
    assert!(!publisher.services.connections.is_empty(0).await.unwrap());
    let serving = tokio::spawn(publisher.serve());
    stage.answer_calls_until_posted_by("first").await;
    serving.abort();
}

#[tokio::test]
async fn a_successor_that_died_after_it_asked_leaves_no_gap() {
    let mut stage = Stage::set().await;
    let first = tokio::spawn(stage.publisher("first", true).serve());
    stage.answer_calls_until_posted_by("first").await;
    let ghost = stage.leases.announce(0, "ghost", runtime::clock::now(), LEASE).await.unwrap();
    assert_eq!(ghost, Announced::Waiting);
    while stage.leases.read(0).await.unwrap().is_some_and(|lease| lease.owner != "ghost") {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    stage.answer_call().await;
    stage.until_last_answered_is(stage.offset).await;
    assert!(stage.views().is_sorted_by(|a, b| a < b), "each view once: {:?}", stage.views());
    first.abort();
}

#[tokio::test]
async fn a_channel_that_somebody_only_named_is_shown_to_nobody_else_by_a_successor() {
    let naming =
        Connection { channels: BTreeMap::from([("campaign:typo-0".parse().unwrap(), String::new())]), ..connection() };
    let stage = Stage::set_for(&naming).await;
    let first = stage.publisher("first", true);
    let mut shard = Shard::new(0, first.services, Handover::default());
    shard.read(runtime::clock::now()).await.unwrap();
    let left = shard.handover(runtime::clock::now());
    assert_eq!(left.channels.len(), 1, "who named it goes on watching it");

    stage.connections.disconnect("socket").await.unwrap();
    let campaigns = BTreeMap::from([(ChannelId::campaigns(), String::new())]);
    stage.connect(&Connection { channels: campaigns, ..connection() }).await;
    let mut shard = Shard::new(0, stage.publisher("second", true).services, left);
    let is_overview = shard.read(runtime::clock::now()).await.unwrap();
    assert!(is_overview, "the first look is one");
    shard.post(is_overview, runtime::clock::now());
    shard.settle(runtime::clock::now()).await;
    assert_eq!(stage.posts.lock().unwrap().as_slice(), []);
}
