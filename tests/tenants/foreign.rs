//! The other tenants: their records, which come all the time, and somebody of theirs who watches.

use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

use e2e::{Producer, Socket, System, eventually, local_token};
use serde_json::{Value, json};
use tokio::{sync::Mutex, task::JoinHandle};

/// Whose data nobody else is to see. One begins like the tenant that acts, the other like one of its keys.
pub(crate) const TENANTS: [&str; 2] = ["acme2", "acme:campaign"];

/// What stands in their data, and nowhere else: a campaign's name, a call, a person's id and a node's, a campaign's own
/// id, and a number.
pub(crate) const MARKERS: [&str; 6] =
    ["Zq7Vx-name", "Zq7Vx-call", "Zq7Vx-person", "Zq7Vx-node", "Zq7Vx-own", "42424242"];

/// How often each of them makes a round of records: often enough that something comes during every action.
const PAUSE: Duration = Duration::from_millis(200);

/// The other tenants at work, until this is dropped.
pub(crate) struct Foreign {
    producer: std::sync::Arc<Producer>,
    work: JoinHandle<()>,
    watcher: Mutex<Socket>,
    beacons: AtomicU64,
}

impl Foreign {
    /// Gives the tenant that acts something of its own, and lets the others begin.
    pub(crate) async fn start(system: &System, tenant: &str) -> Self {
        let producer = std::sync::Arc::new(system.producer().unwrap());
        for campaign in ["c-1", "c-2"] {
            let active = json!({"tenantId": tenant, "eventType": "campaign_status_changed", "campaignId": campaign,
                "status": "active", "name": "Own campaign"});
            producer.send_campaign(&active).await.unwrap();
        }
        let rest = system.rest(Some(&local_token(tenant, "first", &json!({}))));
        eventually("the own campaign is known", async || rest.campaign("c-1").await).await;
        // Of the same name as somebody of the tenant that acts.
        let mut watcher = system.socket(&local_token(TENANTS[0], "ann", &json!({}))).await.unwrap();
        for (channel, answer) in [
            ("campaign:beacon", "metrics_update"),
            ("event:beacon", "dashboard.update"),
            ("system", "system_health_update"),
        ] {
            watcher.ask(&json!({"action": "subscribe", "channel": channel}), answer).await.unwrap();
        }
        let work = tokio::spawn(work(producer.clone()));
        Self { producer, work, watcher: Mutex::new(watcher), beacons: AtomicU64::new(0) }
    }

    /// Waits until records of all topics that come now have been pushed: most of what came before them has been, too.
    pub(crate) async fn catch_up(&self) {
        let beacon = self.beacons.fetch_add(1, Ordering::Relaxed) + 1;
        let name = format!("beacon {beacon}");
        let status = json!({"tenantId": TENANTS[0], "eventType": "campaign_status_changed", "campaignId": "beacon",
            "status": "active", "name": name});
        let activity = |kind: &str| json!({"tenantId": TENANTS[0], "type": kind, "eventId": "beacon"});
        // A percentage, counted round and round.
        let usage = beacon % 100;
        let reading = json!({"tenantId": TENANTS[0], "nodeId": "beacon", "cpuUsage": usage, "memoryUsage": 0});
        for (topic, record) in [
            ("campaign.events.v1", status),
            ("platform.analytics.events.v1", activity("MESSAGE_SENT")),
            ("platform.analytics.check-in.v1", activity("REACTION_SENT")),
            ("dialer.health.v1", reading),
        ] {
            self.producer.send_bytes(topic, None, record.to_string().as_bytes()).await.unwrap();
        }
        let mut watcher = self.watcher.lock().await;
        let (mut campaign, mut event, mut node) = (false, false, false);
        let all = |message: &Value| {
            let data = &message["data"];
            let nodes = data["nodes"].as_array().into_iter().flatten();
            campaign |= data["campaignName"] == name;
            event |= data["totalMessages"] == beacon && data["totalReactions"] == beacon;
            node |= nodes
                .into_iter()
                .any(|node| node["nodeId"] == "beacon" && node["cpuUsage"].as_f64() == Some(usage as f64));
            campaign && event && node
        };
        watcher.wait_for("the beacons", all).await.unwrap();
    }

    /// Their socket is open, and has been since the begin.
    pub(crate) async fn assert_undisturbed(&self) {
        self.catch_up().await;
        let mut watcher = self.watcher.lock().await;
        watcher.ask(&json!({"action": "ping"}), "pong").await.unwrap();
    }
}

impl Drop for Foreign {
    fn drop(&mut self) {
        self.work.abort();
    }
}

async fn work(producer: std::sync::Arc<Producer>) {
    for round in 0_u64.. {
        for tenant in TENANTS {
            for campaign in ["c-1", "only-theirs", "Zq7Vx-own-1"] {
                for event in calls(tenant, campaign, round) {
                    producer.send_campaign(&event).await.unwrap();
                }
            }
            for (topic, event) in others(tenant, round) {
                producer.send_bytes(topic, None, event.to_string().as_bytes()).await.unwrap();
            }
        }
        tokio::time::sleep(PAUSE).await;
    }
}

fn calls(tenant: &str, campaign: &str, round: u64) -> [Value; 3] {
    let event = |mut more: Value| {
        more["tenantId"] = tenant.into();
        more["campaignId"] = campaign.into();
        more
    };
    let status = if round.is_multiple_of(2) { "active" } else { "paused" };
    // The one that both have stays active, so that the overview shows it.
    let status = if campaign == "only-theirs" { status } else { "active" };
    [
        event(json!({"eventType": "campaign_status_changed", "status": status, "name": format!("Zq7Vx-name {round}")})),
        event(json!({"eventType": "call_answered", "callId": format!("Zq7Vx-call-{round}")})),
        event(json!({"eventType": "queue_sampled", "queueDepth": 42_424_242})),
    ]
}

fn others(tenant: &str, round: u64) -> [(&'static str, Value); 3] {
    let check_in = |event: &str| {
        json!({"tenantId": tenant, "type": "CHECK_IN_PROCESSED", "eventId": event,
            "checkInData": {"id": format!("Zq7Vx-person-{round}"), "name": "Zq7Vx-name of a person"}})
    };
    let reading = json!({"tenantId": tenant, "nodeId": "Zq7Vx-node", "cpuUsage": 42.0, "memoryUsage": 42.0});
    [
        ("platform.analytics.check-in.v1", check_in("evt-1")),
        ("platform.analytics.events.v1", check_in("only-theirs")),
        ("dialer.health.v1", reading),
    ]
}
