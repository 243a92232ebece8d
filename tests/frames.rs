//! Several messages in one frame, for who asks; lists of channels; and what everyone else gets.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests fail by panicking")]

use std::collections::BTreeSet;

use e2e::{Options, Producer, Socket, System, eventually};
use serde_json::{Value, json};

/// One billed message.
const MAX_FRAME_BYTES: usize = 32 * 1024;

/// Calls one number of each campaign, and waits until all are known.
async fn call_all(system: &System, producer: &Producer, token: &str, campaigns: &[String]) {
    for campaign in campaigns {
        let call = json!({"eventType": "call_initiated", "campaignId": campaign, "callId": format!("call-{campaign}")});
        producer.send_campaign(&call).await.unwrap();
    }
    let rest = system.rest(Some(token));
    eventually("all campaigns are known", async || {
        let known = rest.data("/analytics/metrics").await?;
        (known.as_array()?.len() == campaigns.len()).then_some(())
    })
    .await;
}

fn names(count: usize) -> Vec<String> {
    (0..count).map(|n| format!("c-{n:0>3}")).collect()
}

/// Opens a socket that asks for batches with its handshake.
async fn batched(system: &System, token: &str) -> Socket {
    let offered = [
        ("authorization", format!("Bearer {token}")),
        ("sec-websocket-protocol", "livefold.v1, livefold.batch".to_owned()),
    ];
    let socket = Socket::handshake(&system.socket_url(""), &offered).await.unwrap().unwrap();
    assert_eq!(socket.protocol(), Some("livefold.batch"));
    socket
}

/// The messages of a batch.
fn messages(frame: &Value) -> Vec<Value> {
    assert_eq!(frame["type"], "batch", "{frame}");
    assert!(frame["timestamp"].is_string() && frame.to_string().len() <= MAX_FRAME_BYTES);
    frame["messages"].as_array().unwrap().clone()
}

/// Reads batches until each of these channels has been shown; how many frames that took, and all that was in them.
async fn until_shown(socket: &mut Socket, channels: &[String]) -> (usize, Vec<Value>) {
    let mut missing: BTreeSet<&str> = channels.iter().map(String::as_str).collect();
    let (mut frames, mut all) = (0, Vec::new());
    while !missing.is_empty() {
        let messages = messages(&socket.next().await.unwrap());
        frames += 1;
        for message in messages.iter().filter(|message| message["type"] == "metrics_update") {
            missing.remove(message["channel"].as_str().unwrap());
        }
        all.extend(messages);
    }
    (frames, all)
}

fn channels(campaigns: &[String]) -> Vec<String> {
    campaigns.iter().map(|id| format!("campaign:{id}")).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_overview_of_many_campaigns_comes_in_few_frames_to_who_asks() {
    let system = System::start(Options::default()).await.unwrap();
    let token = system.tenant_token("acme").await.unwrap();
    let producer = system.producer().unwrap();
    let campaigns = names(40);
    call_all(&system, &producer, &token, &campaigns).await;

    let mut socket = batched(&system, &token).await;
    let (frames, _) = until_shown(&mut socket, &channels(&campaigns)).await;
    assert!(frames <= 10, "{frames} frames for {} campaigns", campaigns.len());

    // Asked for by a message, it holds from then on.
    let mut asking = system.socket(&token).await.unwrap();
    let view = asking
        .ask(&json!({"action": "subscribe", "channel": "campaign:c-000", "batch": true}), "metrics_update")
        .await
        .unwrap();
    assert_eq!(view["data"]["totalAttempts"], 1, "an answer to one channel comes as it always did");
    producer
        .send_campaign(&json!({"eventType": "call_answered", "campaignId": "c-000", "callId": "call-c-000"}))
        .await
        .unwrap();
    let is_call = |frame: &Value| frame["type"] == "batch" && frame["messages"][0]["type"] == "call_event";
    asking.wait_for("a batch that begins with the call", is_call).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_does_not_ask_gets_the_same_messages_one_by_one() {
    let system = System::start(Options::default()).await.unwrap();
    let token = system.tenant_token("acme").await.unwrap();
    let producer = system.producer().unwrap();
    let (mut plain, mut batch) = (system.socket(&token).await.unwrap(), batched(&system, &token).await);
    assert_eq!(plain.protocol(), None);
    for socket in [&mut plain, &mut batch] {
        socket.ask(&json!({"action": "subscribe", "campaignId": "c-1"}), "metrics_update").await.unwrap();
    }
    let call = |id: &str| json!({"eventType": "call_initiated", "campaignId": "c-1", "callId": id});
    let shows =
        |message: &Value, count: u64| message["channel"] == "campaign:c-1" && message["data"]["totalAttempts"] == count;
    // What happens before the publisher has first looked at a channel is no news to who watches it.
    producer.send_campaign(&call("before")).await.unwrap();
    plain.wait_for("the first view", |message| shows(message, 1)).await.unwrap();
    while !messages(&batch.next().await.unwrap()).iter().any(|message| shows(message, 1)) {}
    producer.send_campaign(&call("k")).await.unwrap();

    let is_call = |message: &Value| message["type"] == "call_event" && message["data"]["callId"] == "k";
    let is_counted = |message: &Value| shows(message, 2);
    let alone = [
        plain.wait_for("the call", is_call).await.unwrap(),
        plain
            .wait_for("the view", |message| {
                assert_ne!(message["type"], "batch");
                is_counted(message)
            })
            .await
            .unwrap(),
    ];
    let mut together = Vec::new();
    while !together.iter().any(is_counted) {
        together.extend(messages(&batch.next().await.unwrap()));
    }
    for message in &alone {
        assert!(together.contains(message), "{message} is not among {together:?}");
        let fields: BTreeSet<&str> = message.as_object().unwrap().keys().map(String::as_str).collect();
        assert_eq!(fields, BTreeSet::from(["type", "channel", "data", "timestamp", "cursor"]));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_list_is_followed_as_far_as_it_is_good_and_shown_whole() {
    let system = System::start(Options::default()).await.unwrap();
    let token = system.tenant_token("acme").await.unwrap();
    let producer = system.producer().unwrap();
    let campaigns = names(95);
    call_all(&system, &producer, &token, &campaigns).await;
    let good = channels(&campaigns);
    let mut list = good.clone();
    list.insert(1, "weather".to_owned());

    let mut socket = batched(&system, &token).await;
    let subscribe = json!({"action": "subscribe", "channels": list}).to_string();
    socket.send(subscribe).await.unwrap();
    let is_answer = |frame: &Value| messages(frame).iter().any(|message| message["type"] == "error");
    let answer = messages(&socket.wait_for("the answer", is_answer).await.unwrap());
    let error = &answer[0]["data"];
    assert_eq!((&error["code"], &error["channel"]), (&json!("unknown_channel"), &json!("weather")));
    // More than fit into the answer: the publisher shows the others.
    let shown: BTreeSet<&str> =
        answer.iter().filter_map(|message| message["cursor"].as_str().and(message["channel"].as_str())).collect();
    let following: Vec<String> = good.iter().filter(|channel| !shown.contains(channel.as_str())).cloned().collect();
    assert!(!shown.is_empty() && !following.is_empty(), "{} shown", shown.len());
    assert!(answer.iter().any(|message| message["type"] == "subscribed" && message["channels"] == json!(following)));
    let (frames, _) = until_shown(&mut socket, &following).await;
    assert!(frames < following.len() / 3, "{frames} frames for {} channels", following.len());

    let refused = json!({"action": "subscribe", "channels": ["campaign:x"], "channel": "campaign:x"});
    socket.send(refused.to_string()).await.unwrap();
    socket.error("invalid_message").await.unwrap();

    socket.send(json!({"action": "unsubscribe", "channels": good}).to_string()).await.unwrap();
    let frame = socket.wait_for("the answer", |frame| frame["messages"][0]["type"] == "unsubscribed").await.unwrap();
    assert_eq!(messages(&frame).len(), good.len());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_batches_the_views_of_a_list_follow_one_by_one() {
    let system = System::start(Options::default()).await.unwrap();
    let token = system.tenant_token("acme").await.unwrap();
    let mut socket = system.socket(&token).await.unwrap();
    let list = json!({"action": "subscribe", "channels": ["campaign:a", "weather", "campaign:b"]});
    let answer = socket.ask(&list, "subscribed").await.unwrap();
    assert_eq!(answer["channels"], json!(["campaign:a", "campaign:b"]));
    assert_eq!(answer["data"]["errors"][0]["channel"], "weather");
    let mut shown = BTreeSet::new();
    while shown.len() < 2 {
        let view = socket.wait_for("a view", |message| message["type"] == "metrics_update").await.unwrap();
        shown.insert(view["channel"].as_str().unwrap().to_owned());
    }
    assert_eq!(shown, ["campaign:a", "campaign:b"].map(str::to_owned).into());
    let list = json!({"action": "unsubscribe", "channels": ["campaign:a", "campaign:b"]});
    let answer = socket.ask(&list, "unsubscribed").await.unwrap();
    assert_eq!(answer["channels"], list["channels"]);
}
