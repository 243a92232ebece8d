//! Bad input: bad messages, bad records, strangers. Bad tokens are in `tokens.rs`.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests fail by panicking")]

use e2e::{Options, System, eventually};
use serde_json::{Value, json};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tenants_do_not_see_each_other() {
    let system = System::start(Options::default()).await.unwrap();
    let acme = system.tenant_token("acme").await.unwrap();
    let other = system.tenant_token("other").await.unwrap();

    let event = json!({"tenantId": "acme", "eventType": "call_initiated", "campaignId": "secret", "callId": "k"});
    let mut stranger = system.socket(&other).await.unwrap();
    stranger.send(r#"{"action":"subscribe","campaignId":"secret"}"#).await.unwrap();
    system.producer().unwrap().send_campaign(&event).await.unwrap();
    eventually("acme sees it", async || system.rest(Some(&acme)).campaign("secret").await).await;
    let (status, body) = system.rest(Some(&other)).get("/analytics/campaigns/secret/metrics").await.unwrap();
    assert_eq!((status.as_u16(), &body["error"]["code"]), (404, &json!("not_found")));
    stranger.send(r#"{"action":"ping"}"#).await.unwrap();
    loop {
        let message = stranger.next().await.unwrap();
        if message["type"] == "pong" {
            break;
        }
        assert!(message["data"]["totalAttempts"] != 1, "another tenant's call: {message}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_bad_message_is_answered_with_a_code_and_the_socket_stays() {
    let system = System::start(Options::default()).await.unwrap();
    let token = system.tenant_token("acme").await.unwrap();
    let mut socket = system.socket(&token).await.unwrap();
    let large = json!({"action": "subscribe", "campaignId": "c", "padding": "x".repeat(9000)}).to_string();
    for (message, code) in [
        ("not json", "invalid_message"),
        ("[]", "invalid_message"),
        ("{}", "unknown_action"),
        (r#"{"action":"dance"}"#, "unknown_action"),
        (r#"{"action":7}"#, "unknown_action"),
        (r#"{"action":"subscribe"}"#, "invalid_message"),
        (r#"{"action":"subscribe","campaignId":"a#b"}"#, "unknown_channel"),
        (r#"{"action":"subscribe","channel":"planet:mars"}"#, "unknown_channel"),
        (large.as_str(), "message_too_large"),
    ] {
        socket.send(message).await.unwrap();
        let error = socket.wait_for("an error", |m| m["type"] == "error").await.unwrap();
        assert_eq!(error["data"]["code"], code, "{message:.60}");
        assert!(error["data"]["message"].is_string() && error["timestamp"].is_string(), "{error}");
    }
    socket.send(r#"{"action":"ping"}"#).await.unwrap();
    socket.wait_for("a pong", |m| m["type"] == "pong").await.unwrap();
    socket.send_binary(vec![1, 2, 3]).await.unwrap();
    assert_eq!(socket.close_code().await.unwrap(), 1003, "API Gateway takes no binary frames");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bad_records_go_to_quarantine_and_the_rest_counts() {
    let system = System::start(Options::default()).await.unwrap();
    let token = system.tenant_token("acme").await.unwrap();
    let producer = system.producer().unwrap();
    let good = |n: usize| json!({"eventType": "call_initiated", "campaignId": "c", "callId": format!("k{n}")});
    let huge = format!(r#"{{"eventType":"call_initiated","campaignId":"c#","padding":"{}"}}"#, "x".repeat(900_000));
    let bad: Vec<&[u8]> = vec![
        b"garbage",
        b"",
        b"\xff\xfe\x00",
        b"[1,2]",
        b"{}",
        br#"{"eventType":"never_heard","campaignId":"c"}"#,
        br#"{"eventType":"call_ended","campaignId":"c","callId":"k","duration":"+15550100"}"#,
        br#"{"eventType":"call_initiated","campaignId":"c"}"#,
        huge.as_bytes(),
    ];
    for (n, value) in bad.iter().enumerate() {
        producer.send_campaign(&good(n)).await.unwrap();
        producer.send_bytes("campaign.events.v1", Some("c"), value).await.unwrap();
    }
    let rest = system.rest(Some(&token));
    eventually("all good records are counted", async || {
        rest.campaign("c").await.filter(|metrics| metrics["totalAttempts"] == bad.len())
    })
    .await;
    let listing = eventually("all bad records are in quarantine", async || {
        let listing = system.tool(&["quarantine", "--dynamodb", system.dynamodb()]).await.ok()?;
        (listing.matches("campaign.events.v1").count() >= bad.len()).then_some(listing)
    })
    .await;
    for reason in ["not JSON", "empty value", "not UTF-8", "not a JSON object", "`eventType`", "`duration`", "`callId`"]
    {
        assert!(listing.contains(reason), "{reason} in {listing}");
    }
    assert!(!listing.contains("555"), "a phone number was shown: {listing}");
    let log = std::fs::read_to_string(system.log()).unwrap();
    assert!(!log.contains("15550100"), "a phone number was logged");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rest_speaks_http() {
    let system = System::start(Options::default()).await.unwrap();
    let token = system.tenant_token("acme").await.unwrap();
    let event = json!({"eventType": "call_queued", "campaignId": "c", "callId": "k"});
    system.producer().unwrap().send_campaign(&event).await.unwrap();
    let rest = system.rest(Some(&token));
    eventually("c is known", async || rest.campaign("c").await).await;

    let path = "/analytics/campaigns/c/metrics";
    let first = rest.response(path, None).await.unwrap();
    let etag = first.headers()["etag"].to_str().unwrap().to_owned();
    let again = rest.response(path, Some(("if-none-match", &etag))).await.unwrap();
    assert_eq!(again.status(), 304);
    assert_eq!(again.text().await.unwrap(), "");
    let stale = rest.response(path, Some(("if-none-match", "\"old\""))).await.unwrap();
    assert_eq!(stale.status(), 200);

    let status = async |path: &str| rest.get(path).await.unwrap().0.as_u16();
    assert_eq!(status("/analytics/campaigns/unknown/metrics").await, 404);
    assert_eq!(status("/channels/planet:mars").await, 404);
    assert_eq!(status("/nowhere").await, 404);
    let health = rest.data("/analytics/system/health").await.unwrap();
    assert!(health["pipeline"]["secondsSinceRecord"]["campaign.events.v1"].is_number(), "{health}");
    let open = system.rest(None);
    for path in ["/health", "/health/live", "/health/ready"] {
        let (status, body) = open.get(path).await.unwrap();
        assert_eq!(status.as_u16(), 200, "{path}");
        assert!(!body.is_null(), "{path}");
    }
    let (_, ready): (_, Value) = open.get("/health/ready").await.unwrap();
    assert!(ready.to_string().contains("not configured"), "there is no MSK cluster here: {ready}");
}
