//! What logs tell, and what they do not.

use e2e::{PATIENCE, READ_LIVE, Socket, eventually, local_token, now, pseudonym};
use serde_json::{Value, json};

use crate::{ANN, BOB, open, refusal, refused, secrets, subscribe, system_with, token};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whatever_happens_is_in_the_audit_trail_and_no_secret_is_in_any_log() {
    let system = system_with(&["MESSAGES_PER_MINUTE=6"]).await;
    let secrets = secrets();
    let producer = system.producer().unwrap();
    let phone = secrets.keep("+4915550100777");
    let attendee = secrets.keep("Persephone Marchbanks");
    let call = json!({"eventType": "call_initiated", "campaignId": "c-1", "callId": "k", "phoneNumber": phone});
    let check_in = json!({"type": "CHECK_IN_PROCESSED", "tenantId": "acme", "eventId": "evt-1", "phone": phone,
        "checkInData": {"id": "u1", "name": attendee}});
    producer.send_campaign(&call).await.unwrap();
    producer.send_bytes("platform.analytics.check-in.v1", None, check_in.to_string().as_bytes()).await.unwrap();
    // Records and messages that break something somewhere are the ones that get logged.
    let bad = format!(
        r#"{{"eventType":"call_ended","campaignId":"c-1","callId":"k","duration":"{phone}","name":"{attendee}"}}"#
    );
    producer.send_bytes("campaign.events.v1", Some(&phone), bad.as_bytes()).await.unwrap();
    producer.send_bytes("campaign.events.v1", Some(&phone), attendee.as_bytes()).await.unwrap();

    let ann = token(
        &secrets,
        ANN,
        &json!({"channels": ["campaign:*", "event:*"], "permissions": [READ_LIVE, "attendees:read:names"]}),
    );
    let admin = token(&secrets, BOB, &json!({"permissions": [READ_LIVE, "access:revoke"]}));
    let bad = format!("{ann}x");
    let cookie = secrets.keep_token(local_token("acme", "stale.cookie.of.somebody", &json!({"exp": now() - 600})));
    let cookie = [("cookie", format!("session=keep-this-to-yourself; token={cookie}")), ("origin", system.origin())];
    secrets.keep("keep-this-to-yourself");
    secrets.keep("stale.cookie.of.somebody");

    // connect, refuse
    for query in [format!("?token={bad}"), "?ticket=not-a-ticket-that-was-given".to_owned(), String::new()] {
        assert!(refused(&system, &query).await.is_some());
    }
    assert!(Socket::handshake(&system.socket_url(""), &cookie).await.unwrap().is_err());
    assert!(system.rest(Some(&bad)).refusal("/analytics/metrics").await.unwrap().is_some());
    // ticket
    let ticket = secrets.keep(system.rest(Some(&ann)).ticket().await.unwrap());
    let mut socket = open(&system, &format!("?ticket={ticket}")).await.unwrap();
    // subscribe, deny, over the socket and over REST
    socket.ask(&subscribe("event:evt-1"), "dashboard.update").await.unwrap();
    socket.send(subscribe("system").to_string()).await.unwrap();
    socket.error("forbidden").await.unwrap();
    assert_eq!(system.rest(Some(&ann)).refusal("/analytics/system/health").await.unwrap(), refusal(403, "forbidden"));
    // authenticate, well and badly
    socket.ask(&json!({"action": "authenticate", "token": ann}), "authenticated").await.unwrap();
    socket.send(json!({"action": "authenticate", "token": admin}).to_string()).await.unwrap();
    socket.error("forbidden").await.unwrap();
    // A message that is none, full of what nobody is to read.
    socket.send(format!("{{\"action\":\"{ticket}\",\"channel\":\"{phone}\",\"token\":\"{bad}\"")).await.unwrap();
    // limit
    for _ in 0..20 {
        if socket.send(r#"{"action":"ping"}"#).await.is_err() {
            break;
        }
    }
    socket.close_code().await.unwrap();
    // expire
    let brief = token(&secrets, ANN, &json!({"exp": now() + 3}));
    let mut expiring = system.socket(&brief).await.unwrap();
    expiring.error("token_expired").await.unwrap();
    // revoke
    let mut revoked = system.socket(&ann).await.unwrap();
    let (status, _) = system.rest(Some(&admin)).post("/auth/revoke", &json!({"user": ANN}).to_string()).await.unwrap();
    assert_eq!(status, 200);
    revoked.error("revoked").await.unwrap();
    eventually("the bad records are in quarantine", async || {
        let listing = system.tool(&["quarantine", "--dynamodb", system.dynamodb()]).await.ok()?;
        (listing.matches("campaign.events.v1").count() >= 2).then_some(())
    })
    .await;

    // What is known of whom: the tenant, and somebody.
    let kinds = [
        ("connect", Some(ANN)),
        ("refuse", None),
        ("subscribe", Some(ANN)),
        ("deny", Some(ANN)),
        ("expire", Some(ANN)),
        ("revoke", Some(BOB)),
        ("authenticate", Some(ANN)),
        ("ticket", Some(ANN)),
        ("limit", Some(ANN)),
    ];
    for (kind, user) in kinds {
        let events = tokio::time::timeout(
            PATIENCE,
            eventually(kind, async || {
                let events: Vec<Value> =
                    system.audit().unwrap().into_iter().filter(|event| event["audit"] == kind).collect();
                (!events.is_empty()).then_some(events)
            }),
        )
        .await
        .unwrap();
        if let Some(user) = user {
            let principal = pseudonym("acme", user);
            let of_user = events.iter().any(|event| event["principal"] == principal && event["tenant"] == "acme");
            assert!(of_user, "{kind} of {principal} in {events:?}");
        }
        // Each is counted, too: https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/CloudWatch_Embedded_Metric_Format_Specification.html
        for event in &events {
            let metric = event["_aws"]["CloudWatchMetrics"][0]["Metrics"][0]["Name"].as_str().unwrap();
            assert_eq!(event[metric], 1, "{event}");
        }
    }
    let audit = system.audit().unwrap();
    let begins = |field: &Value, text: &str| field.as_str().is_some_and(|field| field.starts_with(text));
    let has = |kind: &str, field: &str, text: &str| audit.iter().any(|e| e["audit"] == kind && begins(&e[field], text));
    assert!(has("subscribe", "channel", "event:evt-1") && has("deny", "channel", "system"), "{audit:?}");
    assert!(has("deny", "reason", "forbidden") && has("refuse", "reason", "unauthorized"), "{audit:?}");
    assert!(audit.iter().any(|event| event["audit"] == "refuse" && event["sourceIp"].is_string()), "{audit:?}");
    assert!(audit.iter().any(|event| event["audit"] == "connect" && event["sourceIp"].is_string()), "{audit:?}");
    secrets.assert_not_logged(&system);
}
