//! Tokens that are for some channels alone.

use std::time::Duration;

use e2e::eventually;
use serde_json::json;

use crate::{ANN, BOB, refusal, secrets, subscribe, system_with, token};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_token_may_be_for_some_channels_or_kinds_alone() {
    let system = system_with(&[]).await;
    let secrets = secrets();
    let producer = system.producer().unwrap();
    for campaign in ["c-1", "c-2"] {
        let call = json!({"eventType": "call_initiated", "campaignId": campaign, "callId": "k"});
        producer.send_campaign(&call).await.unwrap();
    }
    let all = token(&secrets, ANN, &json!({}));
    let rest = system.rest(Some(&all));
    eventually("both are known", async || Some((rest.campaign("c-1").await?, rest.campaign("c-2").await?))).await;

    let paths = [
        "/analytics/campaigns/c-1/metrics",
        "/channels/campaign:c-2",
        "/analytics/metrics",
        "/analytics/system/health",
    ];
    let channels = ["campaign:c-1", "campaign:c-2", "campaigns", "system"];
    let listed = json!({"channels": ["campaign:c-1", "event:*", "planet:*"]});
    let kind = json!({"permissions": ["dashboard:read:live:campaign"]});
    for (changes, open, hears) in [
        (json!({}), [true, true, true, true], true),
        (listed, [true, false, false, false], false),
        (kind, [true, true, true, false], true),
        (json!({"channels": ["system"]}), [false, false, false, true], true),
        (json!({"channels": []}), [false, false, false, false], false),
    ] {
        let token = token(&secrets, BOB, &changes);
        let rest = system.rest(Some(&token));
        // A new connection watches, of what it would by itself, only what it may.
        let mut socket = system.socket(&token).await.unwrap();
        if hears {
            socket.next().await.unwrap();
        } else {
            assert!(socket.is_silent_for(Duration::from_secs(1)).await, "{changes}");
        }
        for ((path, channel), open) in paths.into_iter().zip(channels).zip(open) {
            let expected = if open { None } else { refusal(403, "forbidden") };
            assert_eq!(rest.refusal(path).await.unwrap(), expected, "{path} with {changes}");
            socket.send(subscribe(channel).to_string()).await.unwrap();
            let answer = socket
                .wait_for("an answer", |m| m["channel"] == channel && m["type"] != "call_event" || m["type"] == "error")
                .await
                .unwrap();
            assert_eq!(answer["type"] != "error", open, "{channel} with {changes}: {answer}");
        }
    }
    secrets.assert_not_logged(&system);
}
