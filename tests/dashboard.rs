//! The campaign dashboard's path: from a Kafka record to a number on the socket.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests fail by panicking")]

use std::time::Duration;

use e2e::{Options, System, eventually};
use serde_json::{Value, json};

fn call(campaign: &str, event_type: &str, n: usize) -> Value {
    json!({"eventType": event_type, "campaignId": campaign, "callId": format!("call-{n}"), "phoneNumber": "+15550100"})
}

fn is_metrics_of(message: &Value, campaign: &str) -> bool {
    message["type"] == "metrics_update" && message["data"]["campaignId"] == campaign
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_dashboard_that_just_listens_sees_campaigns_and_system_health_move() {
    let system = System::start(Options::default()).await.unwrap();
    let token = system.tenant_token("acme").await.unwrap();
    let producer = system.producer().unwrap();

    let mut socket = system.socket(&token).await.unwrap();
    let health = socket.wait_for("system health", |m| m["type"] == "system_health_update").await.unwrap();
    assert_eq!(health["channel"], "system");
    for field in ["cpuUsage", "memoryUsage", "activeCalls", "queueDepth", "answerRate", "activeCampaigns"] {
        assert!(health["data"][field].is_number(), "{field} in {health}");
    }

    for n in 0..3 {
        producer.send_campaign(&call("c-1", "call_initiated", n)).await.unwrap();
    }
    producer.send_campaign(&call("c-2", "call_queued", 0)).await.unwrap();
    let reading = json!({"nodeId": "n1", "cpuUsage": 40.0, "memoryUsage": 60.0, "activeCalls": 3});
    producer.send_bytes("dialer.health.v1", Some("n1"), reading.to_string().as_bytes()).await.unwrap();

    let metrics = socket
        .wait_for("the calls of c-1", |m| is_metrics_of(m, "c-1") && m["data"]["totalAttempts"] == 3)
        .await
        .unwrap();
    assert_eq!(metrics["channel"], "campaign:c-1");
    assert_eq!(metrics["data"]["activeCalls"], 3);
    assert!(metrics["cursor"].is_string() && metrics["timestamp"].is_string(), "{metrics}");
    socket
        .wait_for("health with the node and the calls", |m| {
            let data = &m["data"];
            m["type"] == "system_health_update"
                && data["cpuUsage"] == 40.0
                && data["activeCalls"] == 3
                && data["queueDepth"] == 1
                && data["activeCampaigns"] == 2
                && data["nodes"][0]["nodeId"] == "n1"
        })
        .await
        .unwrap();

    // The rate falls although no record comes any more.
    socket
        .wait_for("the dialing rate at zero", |m| is_metrics_of(m, "c-1") && m["data"]["dialingRate"] == 0.0)
        .await
        .unwrap();

    // A campaign that is paused stays in the overview and says so.
    let paused =
        json!({"eventType": "campaign_status_changed", "campaignId": "c-2", "status": "paused", "name": "Two"});
    producer.send_campaign(&paused).await.unwrap();
    let change = socket.wait_for("the change", |m| m["type"] == "campaign_status_change").await.unwrap();
    assert_eq!(change["data"]["campaignId"], "c-2");
    assert_eq!(change["data"]["status"], "paused");
    let view =
        socket.wait_for("the view", |m| is_metrics_of(m, "c-2") && m["data"]["status"] == "paused").await.unwrap();
    assert_eq!(view["data"]["campaignName"], "Two");
    let metrics = system.rest(Some(&token)).data("/analytics/metrics").await.unwrap();
    assert_eq!(metrics.as_array().unwrap().len(), 2);

    // One that is over leaves it with a last view that says so.
    let completed = json!({"eventType": "campaign_status_changed", "campaignId": "c-2", "status": "completed"});
    producer.send_campaign(&completed).await.unwrap();
    let is_over = |m: &Value| is_metrics_of(m, "c-2") && m["data"]["status"] == "completed";
    socket.wait_for("the last view", is_over).await.unwrap();
    let active = eventually("c-2 has left the overview", async || {
        let metrics = system.rest(Some(&token)).data("/analytics/metrics").await?;
        (metrics.as_array()?.len() == 1).then_some(metrics)
    })
    .await;
    assert_eq!(active[0]["campaignId"], "c-1");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn subscribing_answers_with_the_view_and_unsubscribing_brings_silence() {
    let system = System::start(Options::default()).await.unwrap();
    let token = system.tenant_token("acme").await.unwrap();
    let producer = system.producer().unwrap();
    producer.send_campaign(&call("c-1", "call_initiated", 0)).await.unwrap();
    let rest = system.rest(Some(&token));
    eventually("c-1 is known", async || rest.campaign("c-1").await).await;

    let mut socket = system.socket(&token).await.unwrap();
    socket.send(r#"{"action":"subscribe","campaignId":"c-1"}"#).await.unwrap();
    let answer = socket.wait_for("the answer", |m| is_metrics_of(m, "c-1")).await.unwrap();
    assert_eq!(answer["data"]["totalAttempts"], 1);

    producer.send_campaign(&call("c-1", "call_answered", 0)).await.unwrap();
    let event = socket.wait_for("the call event", |m| m["type"] == "call_event").await.unwrap();
    assert_eq!(event["channel"], "campaign:c-1");
    assert_eq!(
        event["data"],
        json!({"campaignId": "c-1", "callId": "call-0", "eventType": "call_answered"}),
        "no phone number, no more than this"
    );
    socket.wait_for("the number", |m| is_metrics_of(m, "c-1") && m["data"]["answered"] == 1).await.unwrap();

    // Who names a campaign no longer gets the others.
    producer.send_campaign(&call("c-2", "call_initiated", 0)).await.unwrap();
    eventually("c-2 is known", async || rest.campaign("c-2").await).await;
    socket.send(r#"{"action":"unsubscribe","campaignId":"c-1"}"#).await.unwrap();
    socket
        .wait_for("the acknowledgement", |m| {
            assert!(!is_metrics_of(m, "c-2"), "a campaign that was not named: {m}");
            m["type"] == "unsubscribed"
        })
        .await
        .unwrap();
    producer.send_campaign(&call("c-1", "call_ended", 0)).await.unwrap();
    eventually("the end is counted", async || rest.campaign("c-1").await.filter(|metrics| metrics["activeCalls"] == 0))
        .await;
    assert!(socket.is_silent_for(Duration::from_secs(2)).await);
    socket.send(r#"{"action":"ping"}"#).await.unwrap();
    assert_eq!(socket.next().await.unwrap()["type"], "pong");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_live_event_shows_its_counters_and_its_newest_ten_check_ins() {
    let system = System::start(Options::default()).await.unwrap();
    let token = system.tenant_token("org_abc123").await.unwrap();
    let producer = system.producer().unwrap();
    let mut socket = system.socket(&token).await.unwrap();
    socket.send(r#"{"action":"subscribe","channel":"event:evt_1"}"#).await.unwrap();
    let empty = socket.wait_for("the empty view", |m| m["type"] == "dashboard.update").await.unwrap();
    assert_eq!(empty["data"]["totalMessages"], 0, "a dashboard may open before the first record");

    for kind in ["MESSAGE_SENT", "POLL_VOTE_CAST", "QUESTION_ASKED", "QUESTION_UPVOTED", "REACTION_SENT"] {
        let event = json!({"type": kind, "eventId": "evt_1", "organizationId": "org_abc123"}).to_string();
        for topic in ["platform.analytics.events.v1", "platform.analytics.check-in.v1"] {
            producer.send_bytes(topic, None, event.as_bytes()).await.unwrap();
        }
    }
    for n in 0..12 {
        let event = json!({"type": "CHECK_IN_PROCESSED", "eventId": "evt_1", "organizationId": "org_abc123",
            "timestamp": format!("2026-01-15T10:30:{n:02}Z"), "checkInData": {"id": format!("u{n}"), "name": "N"}});
        producer.send_bytes("platform.analytics.check-in.v1", None, event.to_string().as_bytes()).await.unwrap();
    }
    let view = socket
        .wait_for("the whole event", |m| {
            let data = &m["data"];
            let counters = ["totalMessages", "totalVotes", "totalQuestions", "totalUpvotes", "totalReactions"];
            // They are in several partitions, which come in any order.
            let feed = data["liveCheckInFeed"].as_array().unwrap();
            let newest = (2..12).rev().map(|n| format!("u{n}"));
            counters.iter().all(|counter| data[counter] == 2)
                && feed.iter().map(|one| one["id"].as_str().unwrap().to_owned()).eq(newest)
        })
        .await
        .unwrap();
    let rest = system.rest(Some(&token));
    assert_eq!(rest.data("/events/evt_1/dashboard").await.unwrap(), view["data"]);
    assert_eq!(rest.data("/channels/event:evt_1").await.unwrap(), view["data"]);
}
