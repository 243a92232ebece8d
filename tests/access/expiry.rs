//! A connection and the token that it came with.

use e2e::now;
use serde_json::json;

use crate::{ANN, BOB, is_open, refusal, refused, secrets, subscribe, system_with, token};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_connection_ends_with_its_token_unless_that_is_renewed_in_time() {
    let system = system_with(&[]).await;
    let secrets = secrets();
    let brief = token(&secrets, ANN, &json!({"exp": now() + 10}));
    let mut ending = system.socket(&brief).await.unwrap();
    let mut renewed = system.socket(&brief).await.unwrap();
    for socket in [&mut ending, &mut renewed] {
        socket.ask(&subscribe("campaign:c-1"), "metrics_update").await.unwrap();
    }
    renewed.ask(&subscribe("system"), "system_health_update").await.unwrap();
    let authenticate = |token: &str| json!({"action": "authenticate", "token": token});

    // Nobody else can take over, and what cannot be verified changes nothing.
    let permissions = json!({"permissions": ["access:revoke"]});
    for (other, code) in [
        (token(&secrets, BOB, &json!({})), "forbidden"),
        (token(&secrets, ANN, &json!({"tenant_id": "other"})), "forbidden"),
        (token(&secrets, ANN, &permissions), "forbidden"),
        (token(&secrets, ANN, &json!({"exp": now() - 60})), "unauthorized"),
        (format!("{}x", token(&secrets, ANN, &json!({}))), "unauthorized"),
        ("garbage".to_owned(), "unauthorized"),
        (String::new(), "unauthorized"),
    ] {
        renewed.send(authenticate(&other).to_string()).await.unwrap();
        let error = renewed.error(code).await.unwrap();
        assert_eq!(error["data"]["action"], "authenticate", "{error}");
    }
    let narrower = token(&secrets, ANN, &json!({"channels": ["campaign:*"]}));
    let answer = renewed.ask(&authenticate(&narrower), "authenticated").await.unwrap();
    assert_eq!(answer["data"]["unsubscribed"], json!(["system"]), "what the new token does not open");
    assert!(answer["data"]["expiresAt"].is_string(), "{answer}");

    // The one that was not renewed tells when that time has come.
    ending.error("token_expired").await.unwrap();
    assert_eq!(ending.close_code().await.unwrap(), 1000);
    assert!(is_open(&mut renewed).await);
    let call = json!({"eventType": "call_initiated", "campaignId": "c-1", "callId": "k"});
    system.producer().unwrap().send_campaign(&call).await.unwrap();
    renewed.wait_for("the call", |m| m["type"] == "metrics_update" && m["data"]["totalAttempts"] == 1).await.unwrap();
    renewed.send(subscribe("system").to_string()).await.unwrap();
    renewed.error("forbidden").await.unwrap();
    assert_eq!(refused(&system, &format!("?token={brief}")).await, refusal(401, "unauthorized"));
    secrets.assert_not_logged(&system);
}
