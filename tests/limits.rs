//! As narrow as AWS, and what that would cost.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests fail by panicking")]

use e2e::{Options, System, eventually};
use serde_json::{Value, json};

const CALLS: usize = 500;

/// The amount and the dollars of a part of the costs, in a unit.
fn part(costs: &Value, service: &str, what: &str, unit: &str) -> (f64, f64) {
    let lines = costs["lines"].as_array().unwrap();
    let is_it = |line: &&Value| {
        line["service"] == service && line["what"].as_str().unwrap().contains(what) && line["unit"] == unit
    };
    let line = lines.iter().find(is_it).unwrap_or_else(|| panic!("{service} {what} {unit} in {costs:#}"));
    (line["amount"].as_f64().unwrap(), line["usd"].as_f64().unwrap())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_dashboard_is_exact_under_limits_and_its_costs_are_told() {
    let system = System::start(Options::default()).await.unwrap();
    let token = system.tenant_token("acme").await.unwrap();
    let (producer, rest) = (system.producer().unwrap(), system.rest(Some(&token)));
    let mut socket = system.socket(&token).await.unwrap();
    socket.send(r#"{"action":"subscribe","campaignId":"c"}"#).await.unwrap();
    for n in 0..CALLS {
        let call = json!({"eventType": "call_initiated", "campaignId": "c", "callId": format!("k{n}")});
        producer.send_campaign(&call).await.unwrap();
    }
    let is_exact = |m: &Value| m["type"] == "metrics_update" && m["data"]["totalAttempts"] == CALLS;
    socket.wait_for("all calls on the socket", is_exact).await.unwrap();
    eventually("all calls over REST", async || {
        rest.campaign("c").await.filter(|metrics| metrics["totalAttempts"] == CALLS)
    })
    .await;

    let costs = system.costs().await.unwrap();
    assert_eq!(costs["limits"], "aws");
    for (service, what, unit) in [
        ("Lambda", "ingest", "requests"),
        ("Lambda", "ingest, 1769 MB", "GB-s"),
        // It is still at work, and its time counts all the same.
        ("Lambda", "publisher, 1024 MB", "GB-s"),
        ("DynamoDB", "ChannelsTable", "write units"),
        ("DynamoDB", "ChannelsTable", "read units"),
        ("DynamoDB", "ConnectionsTable", "write units"),
        ("WebSocket API", "messages", "messages"),
        ("WebSocket API", "connections", "minutes"),
        ("HTTP API", "requests", "requests"),
        ("transfer", "to clients", "bytes"),
        ("CloudWatch", "logs", "bytes"),
    ] {
        let (amount, usd) = part(&costs, service, what, unit);
        assert!(amount > 0.0 && usd > 0.0, "{service} {what}: {amount} {unit}, {usd} USD");
        assert!(usd < 0.01, "{service} {what}: {amount} {unit}, {usd} USD for some seconds of one dashboard");
    }
    // As many at least: what was subscribed to, the answer, and the view that was waited for.
    assert!(part(&costs, "WebSocket API", "messages", "messages").0 >= 3.0, "{costs:#}");
    let busiest = costs["busiest"].as_array().unwrap();
    let key = busiest
        .iter()
        .find(|busiest| busiest["what"].as_str().unwrap().ends_with("ChannelsTable write units"))
        .unwrap();
    assert!(key["unitsInASecond"].as_f64().unwrap() >= 1.0, "{key}");
    assert!(key["key"].as_str().unwrap().starts_with("acme#"), "{key}");
    // One dashboard is far from any limit.
    assert_eq!(costs["throttled"], json!([]));

    let log = system.log();
    assert!(system.stop().await.unwrap().success());
    let printed = std::fs::read_to_string(log).unwrap();
    assert!(printed.contains("would have cost"), "{printed}");
    assert!(printed.contains("nothing was throttled by AWS's limits"), "{printed}");
}
