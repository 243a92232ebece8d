//! How many, how much, how long.

use e2e::{eventually, local_token};
use reqwest::StatusCode;
use serde_json::{Value, json};

use crate::{ANN, BOB, assert_hardened, is_open, refusal, refused, secrets, subscribe, system_with, token};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_tenant_a_connection_and_a_name_have_limits() {
    let system = system_with(&[
        "CONNECTIONS_PER_USER=2",
        "CONNECTION_LIMIT=refuse",
        "CONNECTIONS_PER_TENANT=3",
        "SUBSCRIPTIONS_PER_CONNECTION=2",
        "MESSAGE_BYTES=300",
        "CHANNEL_ID_LENGTH=16",
    ])
    .await;
    let secrets = secrets();
    let (ann, bob) = (token(&secrets, ANN, &json!({})), token(&secrets, BOB, &json!({})));
    let cid = token(&secrets, "cid.rivers", &json!({}));
    let too_many = refusal(429, "too_many_connections");
    let by = |token: &str| format!("?token={token}");
    let (mut socket, anns) = (system.socket(&ann).await.unwrap(), system.socket(&ann).await.unwrap());
    assert_eq!(refused(&system, &by(&ann)).await, too_many, "a user's third");
    let _bobs = system.socket(&bob).await.unwrap();
    assert_eq!(refused(&system, &by(&cid)).await, too_many, "a tenant's fourth");
    let other = secrets.keep_token(local_token("other", ANN, &json!({})));
    let _others = system.socket(&other).await.unwrap();
    drop(anns);
    eventually("a place is free", async || refused(&system, &by(&cid)).await.is_none().then_some(())).await;

    socket.ask(&subscribe("campaign:c-1"), "metrics_update").await.unwrap();
    socket.ask(&subscribe("campaign:c-2"), "metrics_update").await.unwrap();
    socket.send(subscribe("campaign:c-3").to_string()).await.unwrap();
    socket.error("too_many_subscriptions").await.unwrap();
    // One that is watched already is none more.
    socket.ask(&subscribe("campaign:c-2"), "metrics_update").await.unwrap();
    socket.ask(&json!({"action": "unsubscribe", "channel": "campaign:c-1"}), "unsubscribed").await.unwrap();
    socket.ask(&subscribe(&format!("event:{}", "e".repeat(16))), "dashboard.update").await.unwrap();
    for (message, code) in [
        (subscribe(&format!("event:{}", "e".repeat(17))).to_string(), "unknown_channel"),
        (json!({"action": "subscribe", "campaignId": "c".repeat(17)}).to_string(), "unknown_channel"),
        (format!("{:<301}", r#"{"action":"ping"}"#), "message_too_large"),
    ] {
        socket.send(message).await.unwrap();
        socket.error(code).await.unwrap();
    }
    let path = format!("/channels/event:{}", "e".repeat(17));
    assert_eq!(system.rest(Some(&ann)).refusal(&path).await.unwrap(), refusal(404, "unknown_channel"));
    socket.send(format!("{:<300}", r#"{"action":"ping"}"#)).await.unwrap();
    socket.wait_for("a pong", |m| m["type"] == "pong").await.unwrap();
    secrets.assert_not_logged(&system);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sockets_whose_network_went_without_a_word_do_not_keep_their_user_out() {
    let system = system_with(&[]).await;
    let secrets = secrets();
    let (ann, bob) = (token(&secrets, ANN, &json!({})), token(&secrets, BOB, &json!({})));
    let mut bobs = system.socket(&bob).await.unwrap();
    // From here on nobody reads them or writes to them, as when a network goes without a FIN.
    let mut lost = Vec::new();
    for _ in 0..25 {
        lost.push(system.socket(&ann).await.unwrap());
    }
    let mut back = Vec::new();
    for _ in 0..25 {
        back.push(system.socket(&ann).await.unwrap());
    }
    for socket in &mut back {
        socket.ask(&subscribe("campaign:c-1"), "metrics_update").await.unwrap();
    }
    for socket in &mut lost {
        socket.error("replaced").await.unwrap();
        assert_eq!(socket.close_code().await.unwrap(), 1000);
    }
    for socket in back.iter_mut().chain([&mut bobs]) {
        assert!(is_open(socket).await);
    }
    let replaced = async || {
        let audit = system.audit().unwrap();
        let count = audit.iter().filter(|line| line["audit"] == "expire" && line["reason"] == "replaced").count();
        (count == 25).then_some(())
    };
    eventually("the trail names those that were replaced", replaced).await;
    secrets.assert_not_logged(&system);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_a_users_sockets_the_least_recently_active_one_goes() {
    let system = system_with(&["CONNECTIONS_PER_USER=2"]).await;
    let ann = token(&secrets(), ANN, &json!({}));
    let mut first = system.socket(&ann).await.unwrap();
    let mut second = system.socket(&ann).await.unwrap();
    assert!(is_open(&mut first).await);
    let mut third = system.socket(&ann).await.unwrap();
    second.error("replaced").await.unwrap();
    assert_eq!(second.close_code().await.unwrap(), 1000);
    assert!(is_open(&mut first).await && is_open(&mut third).await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_sends_too_much_is_told_so_and_then_cut_off() {
    let system = system_with(&["MESSAGES_PER_MINUTE=8", "REQUESTS_PER_MINUTE=6"]).await;
    let secrets = secrets();
    let (ann, bob) = (token(&secrets, ANN, &json!({})), token(&secrets, BOB, &json!({})));
    let mut quiet = system.socket(&ann).await.unwrap();
    let mut loud = system.socket(&ann).await.unwrap();
    loud.ask(&subscribe("campaign:c-1"), "metrics_update").await.unwrap();
    // A minute may begin anew in between, once.
    let (mut answered, mut limited) = (1, 0);
    while limited == 0 {
        loud.send(r#"{"action":"ping"}"#).await.unwrap();
        let answer = loud.wait_for("an answer", |m| m["type"] == "pong" || m["type"] == "error").await.unwrap();
        if answer["type"] == "pong" {
            answered += 1;
            assert!(answered <= 16, "never limited");
        } else {
            assert_eq!(answer["data"]["code"], "rate_limited");
            limited += 1;
        }
    }
    assert!(answered >= 8, "limited after {answered}");
    assert!(is_open(&mut quiet).await, "another connection has its own count");
    // Who goes on is cut off by the ninth that is too much in a minute, whenever that begins.
    for _ in 0..48 {
        if loud.send(r#"{"action":"ping"}"#).await.is_err() {
            break;
        }
    }
    assert_eq!(loud.close_code().await.unwrap(), 1000);
    let _again = system.socket(&ann).await.unwrap();

    let rest = system.rest(Some(&ann));
    let mut opened = 0;
    let response = loop {
        let response = rest.response("/analytics/metrics", None).await.unwrap();
        if response.status() != StatusCode::OK {
            break response;
        }
        opened += 1;
        assert!(opened <= 12, "never limited");
    };
    // Three handshakes count too, as long as their minute lasts.
    assert!(opened >= 3, "limited after {opened}");
    assert_eq!(response.status().as_u16(), 429);
    let retry_after: u64 = response.headers()["retry-after"].to_str().unwrap().parse().unwrap();
    assert!((1..=60).contains(&retry_after), "{retry_after}");
    assert_hardened(response.headers(), "429");
    let body: Value = serde_json::from_str(&response.text().await.unwrap()).unwrap();
    assert_eq!(body["error"]["code"], "rate_limited");
    // All paths share the count, handshakes too; another user has their own; tokens that are none count for nobody.
    eventually("handshakes are limited", async || {
        (refused(&system, &format!("?token={ann}")).await == refusal(429, "rate_limited")).then_some(())
    })
    .await;
    eventually("tickets are limited", async || (rest.post("/auth/ticket", "").await.ok()?.0 == 429).then_some(()))
        .await;
    assert_eq!(system.rest(Some(&bob)).refusal("/analytics/metrics").await.unwrap(), None);
    assert_eq!(system.rest(Some("garbage")).refusal("/analytics/metrics").await.unwrap(), refusal(401, "unauthorized"));
    secrets.assert_not_logged(&system);
}
