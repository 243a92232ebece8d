//! Nothing is lost and nothing counted twice, whatever happens to `ingest`.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests fail by panicking")]

use std::{collections::BTreeMap, time::Duration};

use e2e::{Options, System, eventually, now, signal};
use serde_json::{Value, json};

const CAMPAIGNS: usize = 50;
const RECORDS: usize = 20_000;

/// How often all processes of `ingest` are killed while the records come in.
const KILLS: usize = 20;

/// A small generator of its own, so that the same calls are made at every run.
struct Dice(u64);

impl Dice {
    fn pick(&mut self, words: &[&'static str]) -> &'static str {
        words[usize::try_from(self.roll(words.len() as u64)).unwrap()]
    }

    fn roll(&mut self, sides: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % sides
    }
}

/// The recount: plain addition over the records that were sent.
#[derive(Clone, Debug, Default, PartialEq)]
struct Recount {
    attempts: u64,
    answered: u64,
    busy: u64,
    failed: u64,
    converted: u64,
    opt_outs: u64,
    active: i64,
    queued: i64,
    timed: u64,
    seconds: u64,
    cents: u64,
}

impl Recount {
    fn add(&mut self, event: &Value) {
        match event["eventType"].as_str().unwrap() {
            "call_queued" => self.queued += 1,
            "call_initiated" => {
                self.attempts += 1;
                self.active += 1;
                self.queued -= 1;
            }
            "call_answered" => self.answered += 1,
            "call_ended" => {
                self.active -= 1;
                self.timed += 1;
                self.seconds += event["duration"].as_u64().unwrap();
                self.cents += event["cents"].as_u64().unwrap();
                match event["status"].as_str().unwrap() {
                    "busy" => self.busy += 1,
                    "failed" | "no_answer" => self.failed += 1,
                    _ => {}
                }
                match event["outcome"].as_str().unwrap() {
                    "converted" => self.converted += 1,
                    "opted_out" => self.opt_outs += 1,
                    _ => {}
                }
            }
            _ => {}
        }
    }

    fn matches(&self, metrics: &Value) -> bool {
        let counts = [
            ("totalAttempts", self.attempts),
            ("answered", self.answered),
            ("busy", self.busy),
            ("failed", self.failed),
            ("converted", self.converted),
            ("optOuts", self.opt_outs),
            ("activeCalls", u64::try_from(self.active).unwrap_or(0)),
            ("queueDepth", u64::try_from(self.queued).unwrap_or(0)),
        ];
        let mean = self.seconds as f64 / self.timed.max(1) as f64;
        counts.iter().all(|(name, count)| metrics[name] == *count)
            && (metrics["averageCallDuration"].as_f64().unwrap() - mean).abs() < 1e-9
            && (metrics["totalCost"].as_f64().unwrap() - self.cents as f64 / 100.0).abs() < 1e-9
    }
}

fn events(run: &str) -> Vec<Value> {
    let mut dice = Dice(17);
    let now = now() * 1000;
    (0..RECORDS)
        .map(|n| {
            let types = ["call_queued", "call_initiated", "call_answered", "call_ended", "call_ended", "dtmf_pressed"];
            let event_type = dice.pick(&types);
            let status = dice.pick(&["busy", "failed", "no_answer", "completed"]);
            let outcome = dice.pick(&["converted", "opted_out", "none"]);
            let cents = dice.roll(50);
            // Most come when they happen, some a day late, and some are of a producer whose clock leads.
            let timestamp = match dice.roll(10) {
                0 => now - 25 * 3_600_000,
                1 => now + 4 * 60_000,
                _ => now,
            };
            json!({
                "timestamp": timestamp,
                "eventType": event_type,
                "campaignId": format!("{run}-{}", dice.roll(CAMPAIGNS as u64)),
                "callId": format!("call-{n}"),
                "phoneNumber": "+15550100",
                "status": status,
                "outcome": outcome,
                "duration": dice.roll(300),
                "cost": cents as f64 / 100.0,
                "cents": cents,
            })
        })
        .collect()
}

/// In milliseconds, as REST takes it.
fn day_before_yesterday() -> u64 {
    (now() - 2 * 86_400) * 1000
}

fn recount(events: &[Value]) -> BTreeMap<String, Recount> {
    let mut counts = BTreeMap::<String, Recount>::new();
    for event in events {
        counts.entry(event["campaignId"].as_str().unwrap().to_owned()).or_default().add(event);
    }
    counts
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn counts_equal_a_recount_although_ingest_is_killed_again_and_again() {
    let system = System::start(Options::default()).await.unwrap();
    let token = system.tenant_token("acme").await.unwrap();
    let events = events("kill");
    let expected = recount(&events);

    let mut socket = system.socket(&token).await.unwrap();
    for campaign in expected.keys() {
        socket.send(json!({"action": "subscribe", "campaignId": campaign}).to_string()).await.unwrap();
    }
    let watching = tokio::spawn({
        let expected = expected.clone();
        async move {
            let mut last = BTreeMap::<String, Value>::new();
            let is_complete = |last: &BTreeMap<String, Value>| {
                expected.iter().all(|(id, count)| last.get(id).is_some_and(|metrics| count.matches(metrics)))
            };
            while !is_complete(&last) {
                let mut message = socket.wait_for("metrics", |m| m["type"] == "metrics_update").await?;
                let metrics = message["data"].take();
                last.insert(metrics["campaignId"].as_str().unwrap_or_default().to_owned(), metrics);
            }
            anyhow::Ok(socket)
        }
    });

    let producer = system.producer().unwrap();
    let mut dice = Dice(4);
    let mut killed = 0;
    for chunk in events.chunks(RECORDS / KILLS) {
        producer.send_campaigns(chunk).await.unwrap();
        let running = eventually("ingest runs", async || {
            let pids = system.processes("ingest").await.ok()?;
            (!pids.is_empty()).then_some(pids)
        })
        .await;
        // Some die while they decode, some while they write, some between the write and the answer.
        tokio::time::sleep(Duration::from_millis(dice.roll(60))).await;
        for pid in running {
            signal(pid, "KILL").await.unwrap();
            killed += 1;
        }
    }
    assert!(killed >= KILLS);

    let rest = system.rest(Some(&token));
    for (id, count) in &expected {
        eventually(&format!("REST shows the recount of {id}: {count:?}"), async || {
            rest.campaign(id).await.filter(|metrics| count.matches(metrics))
        })
        .await;
    }
    for (id, count) in &expected {
        eventually(&format!("the hours of {id} add up to the recount"), async || {
            let history = rest
                .data(&format!("/channels/campaign:{id}/history?step=hour&from={}", day_before_yesterday()))
                .await?;
            let points = history["points"].as_array()?;
            let sum = |name: &str| points.iter().filter_map(|point| point["values"][name].as_u64()).sum::<u64>();
            let counts = [
                ("totalAttempts", count.attempts),
                ("answered", count.answered),
                ("busy", count.busy),
                ("failed", count.failed),
                ("converted", count.converted),
                ("optOuts", count.opt_outs),
            ];
            (points.len() > 1 && counts.iter().all(|(name, count)| sum(name) == *count)).then_some(())
        })
        .await;
    }
    let mut socket = watching.await.unwrap().expect("the socket's last views equal the recount");

    // What comes later may only be rates that fall.
    tokio::time::sleep(Duration::from_secs(1)).await;
    socket.send(json!({"action": "ping"}).to_string()).await.unwrap();
    loop {
        let message = socket.next().await.unwrap();
        match message["type"].as_str().unwrap() {
            "pong" => break,
            "metrics_update" => {
                let id = message["data"]["campaignId"].as_str().unwrap();
                assert!(expected[id].matches(&message["data"]), "a later view of {id} differs: {message}");
            }
            _ => {}
        }
    }
}
