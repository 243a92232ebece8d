//! Bad input: bad messages, bad records, strangers. Bad tokens are in `tokens.rs`.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests fail by panicking")]

use std::io::Read;

use e2e::{Options, Rest, System, eventually};
use flate2::read::GzDecoder;
use reqwest::Method;
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
        b"17",
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
    for reason in [
        "not JSON",
        "empty value",
        "not UTF-8",
        "an array",
        "not a JSON object",
        "`eventType`",
        "`duration`",
        "`callId`",
    ] {
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

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_path_or_a_method_that_there_is_not_is_told_so_in_our_words_and_head_is_as_get() {
    let system = System::start(Options::default()).await.unwrap();
    let nobody = system.rest(None);
    let ask = async |method: &Method, path: &str| nobody.request(method.clone(), path).send().await.unwrap();
    for (method, path, status, code, allow) in [
        (Method::GET, "/nowhere", 404, "not_found", None),
        (Method::POST, "/nowhere/at/all", 404, "not_found", None),
        (Method::GET, "/", 404, "not_found", None),
        (Method::GET, "/analytics/metrics/", 404, "not_found", None),
        (Method::POST, "/health", 405, "method_not_allowed", Some("GET, HEAD")),
        (Method::DELETE, "/analytics/metrics", 405, "method_not_allowed", Some("GET, HEAD")),
        (Method::PUT, "/channels/campaign:c-1", 405, "method_not_allowed", Some("GET, HEAD")),
        (Method::GET, "/auth/ticket", 405, "method_not_allowed", Some("POST")),
        (Method::HEAD, "/auth/revoke", 405, "", Some("POST")),
    ] {
        let response = ask(&method, path).await;
        let headers = response.headers().clone();
        assert_eq!(response.status().as_u16(), status, "{method} {path}");
        assert_eq!(headers.get("allow").map(|allow| allow.to_str().unwrap()), allow, "{method} {path}");
        assert_eq!(headers["cache-control"], "no-store", "{method} {path}");
        assert_eq!(headers["x-content-type-options"], "nosniff", "{method} {path}");
        let body: Value = serde_json::from_str(&response.text().await.unwrap()).unwrap_or_default();
        assert_eq!(body["error"]["code"].as_str().unwrap_or_default(), code, "{method} {path}");
    }

    let token = system.tenant_token("acme").await.unwrap();
    for (rest, path) in [(&nobody, "/health"), (&nobody, "/health/ready"), (&nobody, "/analytics/metrics")] {
        assert_head_is_as_get(rest, path).await;
    }
    let rest = system.rest(Some(&token));
    for path in ["/analytics/metrics", "/analytics/system/health", "/channels/campaign:unheard-of"] {
        assert_head_is_as_get(&rest, path).await;
    }
}

async fn assert_head_is_as_get(rest: &Rest, path: &str) {
    let get = rest.response(path, None).await.unwrap();
    let head = rest.request(Method::HEAD, path).send().await.unwrap();
    assert_eq!(head.status(), get.status(), "{path}");
    assert_eq!(head.headers()["content-type"], get.headers()["content-type"], "{path}");
    assert_eq!(head.text().await.unwrap(), "", "{path}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_campaigns_are_compressed_for_who_takes_that_and_can_be_asked_for_by_status() {
    let system = System::start(Options::default()).await.unwrap();
    let token = system.tenant_token("acme").await.unwrap();
    let (producer, rest) = (system.producer().unwrap(), system.rest(Some(&token)));
    for n in 0..20 {
        let status = if n % 2 == 0 { "active" } else { "paused" };
        let event = json!({"eventType": "campaign_status_changed", "campaignId": format!("c-{n}"), "status": status});
        producer.send_campaign(&event).await.unwrap();
    }
    let count = async |path: &str| rest.data(path).await?.as_array().map(Vec::len);
    eventually("all are known", async || {
        let active = count("/analytics/metrics?status=active").await?;
        let paused = count("/analytics/metrics?status=paused").await?;
        (active == 10 && paused == 10).then_some(())
    })
    .await;
    assert_eq!(count("/analytics/metrics?status=completed").await, Some(0));
    let (status, body) = rest.get("/analytics/metrics?status=busy").await.unwrap();
    assert_eq!((status.as_u16(), &body["error"]["code"]), (400, &json!("invalid_request")));

    let path = "/analytics/metrics?status=paused";
    let plain = rest.response(path, None).await.unwrap();
    assert_eq!(plain.headers().get("content-encoding"), None);
    let packed = rest.response(path, Some(("accept-encoding", "gzip"))).await.unwrap();
    assert_eq!(packed.headers()["content-encoding"], "gzip");
    assert!(packed.headers().get_all("vary").iter().any(|vary| vary == "accept-encoding"));
    let (etag, packed) = (packed.headers()["etag"].to_str().unwrap().to_owned(), packed.bytes().await.unwrap());
    let plain = plain.text().await.unwrap();
    assert!(packed.len() * 4 < plain.len(), "{} of {}", packed.len(), plain.len());
    let mut unpacked = String::new();
    GzDecoder::new(&packed[..]).read_to_string(&mut unpacked).unwrap();
    assert_eq!(unpacked, plain);
    let again = rest.request(Method::GET, path).header("accept-encoding", "gzip").header("if-none-match", etag);
    assert_eq!(again.send().await.unwrap().status(), 304);
}
