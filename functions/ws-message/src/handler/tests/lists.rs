//! Lists of channels, and several messages in one frame.

use protocol::MAX_FRAME_BYTES;

use super::*;

const SUBSCRIBE_LIST: &str = include_str!("../../../../../events/ws-message-subscribe-list.json");

/// The event of a message with this body.
fn event(body: &Value) -> String {
    let mut event: Value = serde_json::from_str(SUBSCRIBE).unwrap();
    event["body"] = json!(body.to_string());
    event.to_string()
}

fn subscribe(channels: &[&str], batch: bool) -> String {
    event(&json!({ "action": "subscribe", "channels": channels, "batch": batch }))
}

/// What a frame holds.
fn messages(frame: &Value) -> Vec<Value> {
    assert_eq!((&frame["type"], frame["timestamp"].is_string()), (&json!("batch"), true), "{frame}");
    frame["messages"].as_array().unwrap().clone()
}

/// Type, channel and code of each message.
fn summary(messages: &[Value]) -> Vec<[&str; 3]> {
    messages
        .iter()
        .map(|message| {
            let channel = message["channel"].as_str().or(message["data"]["channel"].as_str()).unwrap_or_default();
            let code = message["data"]["code"].as_str().unwrap_or_default();
            [message["type"].as_str().unwrap(), channel, code]
        })
        .collect()
}

#[tokio::test]
async fn a_list_is_answered_with_all_its_views_in_one_frame() {
    let table = TestTable::create().await;
    let dispatcher = dispatcher(&table, &connection()).await;
    let call = json!({ "eventType": "call_initiated", "campaignId": "c-17", "callId": "k" });
    fold(&table, "campaign.events.v1", &call).await;
    let alone = answer(&dispatcher, SUBSCRIBE).await;
    let messages = messages(&answer(&dispatcher, SUBSCRIBE_LIST).await);
    assert_eq!(messages[1], alone, "as it would have come alone");
    let expected = [
        ["subscribed", "campaigns", ""],
        ["metrics_update", "campaign:c-17", ""],
        ["metrics_update", "campaign:c-18", ""],
        ["dashboard.update", "event:evt_1", ""],
    ];
    assert_eq!(summary(&messages), expected);
    let stored = stored(&dispatcher).await;
    assert!(stored.batch && !stored.is_default);
    let fingerprinted = |name: &str| !stored.channels[&name.parse().unwrap()].is_empty();
    assert_eq!(["campaigns", "campaign:c-17", "campaign:c-18"].map(fingerprinted), [false, true, true]);
}

#[tokio::test]
async fn the_good_ones_of_a_list_count_and_each_bad_one_is_told_by_itself() {
    let table = TestTable::create().await;
    let principal = Principal { permissions: vec!["dashboard:read:live:campaign".into()], ..ann() };
    let mut dispatcher = dispatcher(&table, &Connection { principal, ..connection() }).await;
    dispatcher.limits.subscriptions = 2;
    dispatcher.limits.channel_id_length = 4;
    let list = ["weather", "campaign:b", "event:e", "campaign:a", "campaign:a", "campaign:c", "campaign:too-long"];
    let messages = messages(&answer(&dispatcher, &subscribe(&list, true)).await);
    let expected = [
        ["error", "weather", "unknown_channel"],
        ["error", "event:e", "forbidden"],
        ["error", "campaign:too-long", "unknown_channel"],
        ["error", "campaign:c", "too_many_subscriptions"],
        ["metrics_update", "campaign:b", ""],
        ["metrics_update", "campaign:a", ""],
    ];
    assert_eq!(summary(&messages), expected);
    assert!(messages[..4].iter().all(|error| error["data"]["action"] == "subscribe"));
    assert_eq!(watched(&dispatcher).await, ["campaign:a", "campaign:b"]);
}

#[tokio::test]
async fn without_batches_a_list_is_answered_at_once_and_the_views_are_left_to_the_publisher() {
    let table = TestTable::create().await;
    let dispatcher = dispatcher(&table, &connection()).await;
    let message = answer(&dispatcher, &subscribe(&["campaign:b", "x", "campaign:a", "campaigns"], false)).await;
    assert_eq!(message["type"], "subscribed");
    assert_eq!(message["channels"], json!(["campaign:b", "campaign:a", "campaigns"]));
    let errors = message["data"]["errors"].as_array().unwrap();
    assert_eq!((errors.len(), &errors[0]["channel"], &errors[0]["code"]), (1, &json!("x"), &json!("unknown_channel")));
    let stored = stored(&dispatcher).await;
    assert!(!stored.batch && stored.channels.values().all(String::is_empty), "nothing has been shown");

    let list = json!({ "action": "unsubscribe", "channels": ["campaign:b", "campaigns"] });
    let message = answer(&dispatcher, &event(&list)).await;
    assert_eq!((&message["type"], &message["channels"]), (&json!("unsubscribed"), &list["channels"]));
    assert!(message["data"].is_null());
    assert_eq!(watched(&dispatcher).await, ["campaign:a"]);
}

#[tokio::test]
async fn what_does_not_fit_into_the_answer_is_named_and_left_to_the_publisher() {
    let table = TestTable::create().await;
    let dispatcher = dispatcher(&table, &connection()).await;
    let names: Vec<String> = (0..100).map(|n| format!("campaign:{n:0>40}")).collect();
    let list: Vec<&str> = names.iter().map(String::as_str).collect();
    let frame = answer(&dispatcher, &subscribe(&list, true)).await;
    assert!(frame.to_string().len() <= MAX_FRAME_BYTES);
    let messages = messages(&frame);
    let shown: Vec<&str> = messages[1..].iter().map(|message| message["channel"].as_str().unwrap()).collect();
    assert!((10..100).contains(&shown.len()), "{}", shown.len());
    let following = messages[0]["channels"].as_array().unwrap();
    assert_eq!((&messages[0]["type"], shown.len() + following.len()), (&json!("subscribed"), 100));
    assert_eq!(shown, list[..shown.len()], "the first ones");
    let stored = stored(&dispatcher).await.channels;
    let answered: Vec<bool> = names.iter().map(|name| !stored[&name.parse().unwrap()].is_empty()).collect();
    assert!(answered[..shown.len()].iter().all(|answered| *answered));
    assert!(!answered[shown.len()..].iter().any(|answered| *answered), "the publisher shows them");
}

#[tokio::test]
async fn a_list_of_which_nothing_is_good_changes_nothing() {
    let table = TestTable::create().await;
    let dispatcher = dispatcher(&table, &connection()).await;
    let messages = messages(&answer(&dispatcher, &subscribe(&["x", "y"], true)).await);
    assert_eq!(summary(&messages), [["error", "x", "unknown_channel"], ["error", "y", "unknown_channel"]]);
    let stored = stored(&dispatcher).await;
    assert!(stored.is_default && !stored.batch);
}

#[tokio::test]
async fn who_takes_batches_hears_of_each_channel_that_it_leaves() {
    let table = TestTable::create().await;
    let dispatcher = dispatcher(&table, &Connection { batch: true, ..connection() }).await;
    answer(&dispatcher, &subscribe(&["campaign:a", "campaign:b"], false)).await;
    let list = event(&json!({ "action": "unsubscribe", "channels": ["campaign:b", "nothing", "campaign:c"] }));
    let messages = messages(&answer(&dispatcher, &list).await);
    let expected = [
        ["error", "nothing", "unknown_channel"],
        ["unsubscribed", "campaign:b", ""],
        ["unsubscribed", "campaign:c", ""],
    ];
    assert_eq!(summary(&messages), expected);
    assert_eq!(watched(&dispatcher).await, ["campaign:a"]);
    assert_eq!(answer(&dispatcher, PING).await["type"], "pong", "what is no list is answered as ever");
    assert_eq!(answer(&dispatcher, SUBSCRIBE).await["type"], "metrics_update");
}

#[tokio::test]
async fn a_channel_that_cannot_be_read_hides_none_of_its_list() {
    let table = TestTable::create().await;
    let dispatcher = dispatcher(&table, &connection()).await;
    let call = json!({ "eventType": "call_initiated", "campaignId": "broken", "callId": "k" });
    fold(&table, "campaign.events.v1", &call).await;
    table.set("acme#campaign:broken", "slice#1#campaign.events.v1#0", "version", testing::s("none")).await;
    let messages = messages(&answer(&dispatcher, &subscribe(&["campaign:a", "campaign:broken"], true)).await);
    let expected = [["error", "campaign:broken", "internal"], ["metrics_update", "campaign:a", ""]];
    assert_eq!(summary(&messages), expected);
    assert_eq!(watched(&dispatcher).await, ["campaign:a"]);
}
