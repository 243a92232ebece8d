//! What a connection may send, how much of it, and for how long.

use store::{CloseReason, Connections};
use testing::client;

use super::*;

#[tokio::test]
async fn a_connection_watches_only_so_many_channels() {
    let table = TestTable::create().await;
    let mut dispatcher = dispatcher(&table, &connection()).await;
    dispatcher.limits.subscriptions = 3;
    let message = |n: usize| SUBSCRIBE.replace("c-17", &format!("c-{n}"));
    for n in 0..3 {
        assert_eq!(answer(&dispatcher, &message(n)).await["type"], "metrics_update");
    }
    assert_eq!(refused(&dispatcher, &message(3)).await, "too_many_subscriptions");
    assert_eq!(answer(&dispatcher, &message(0)).await["type"], "metrics_update", "it is watched already");
}

#[tokio::test]
async fn a_message_and_an_id_have_their_length() {
    let table = TestTable::create().await;
    let mut dispatcher = dispatcher(&table, &connection()).await;
    let mut event: Value = serde_json::from_str(SUBSCRIBE).unwrap();
    dispatcher.limits.message_bytes = event["body"].as_str().unwrap().len();
    assert_eq!(answer(&dispatcher, SUBSCRIBE).await["type"], "metrics_update");
    event["body"] = json!(format!("{} ", event["body"].as_str().unwrap()));
    assert_eq!(refused(&dispatcher, &event.to_string()).await, "message_too_large");
    dispatcher.limits = Limits { message_bytes: 8192, channel_id_length: 3, ..dispatcher.limits };
    for text in [SUBSCRIBE, UNSUBSCRIBE] {
        let message = answer(&dispatcher, text).await;
        assert_eq!(message["data"]["code"], "unknown_channel");
        assert!(message["data"]["action"].is_string());
    }
}

#[tokio::test]
async fn who_sends_too_much_is_told_to_stop_until_the_minute_is_over() {
    let table = TestTable::create().await;
    let mut dispatcher = dispatcher(&table, &connection()).await;
    dispatcher.limits.messages_per_minute = 2;
    for text in [PING, NOT_JSON] {
        answer(&dispatcher, text).await;
    }
    for _ in 0..2 {
        assert_eq!(refused(&dispatcher, SUBSCRIBE).await, "rate_limited");
    }
    assert_eq!(watched(&dispatcher).await, ["campaigns"], "not followed");
    assert_eq!(stored(&dispatcher).await.ending, None);
    assert_eq!(answer_at(&dispatcher, PING, now().plus(store::RATE_WINDOW)).await["type"], "pong");
}

#[tokio::test]
async fn who_goes_on_in_spite_of_that_is_closed() {
    let table = TestTable::create().await;
    let mut dispatcher = dispatcher(&table, &connection()).await;
    dispatcher.limits.messages_per_minute = 2;
    for _ in 0..5 {
        answer(&dispatcher, PING).await;
    }
    assert_eq!(stored(&dispatcher).await.ending, Some(CloseReason::RateLimited));
    let later = answer_at(&dispatcher, PING, now().plus(store::RATE_WINDOW)).await;
    assert_eq!(later["data"]["code"], "rate_limited", "there is no way back");
}

#[tokio::test]
async fn a_connection_that_ends_is_told_why_and_nothing_else() {
    let table = TestTable::create().await;
    let dispatcher = dispatcher(&table, &connection()).await;
    for text in [SUBSCRIBE, UNSUBSCRIBE, PING, NOT_JSON, AUTHENTICATE] {
        let message = answer_at(&dispatcher, text, connection().principal.expires_at).await;
        assert_eq!(message["data"]["code"], "token_expired");
    }
    dispatcher.connections.end(ID, CloseReason::Revoked, now()).await.unwrap();
    for text in [SUBSCRIBE, UNSUBSCRIBE, PING, NOT_JSON, AUTHENTICATE] {
        assert_eq!(refused(&dispatcher, text).await, "revoked");
    }
    assert_eq!(watched(&dispatcher).await, ["campaigns"], "nothing was followed");
}

#[tokio::test]
async fn while_a_table_does_not_answer_nothing_is_shown() {
    let table = TestTable::create().await;
    let mut dispatcher = dispatcher(&table, &connection()).await;
    let unreachable = client("http://127.0.0.1:1");
    dispatcher.connections = Connections::new(unreachable, table.name.clone(), std::num::NonZeroU32::MIN, now);
    for text in [SUBSCRIBE, PING, AUTHENTICATE] {
        assert_eq!(refused(&dispatcher, text).await, "unavailable");
    }
    dispatcher.connections =
        Connections::new(table.client.clone(), "no-such-table".into(), std::num::NonZeroU32::MIN, now);
    assert_eq!(refused(&dispatcher, SUBSCRIBE).await, "internal");
}

fn subscribe_to(channel: &str) -> String {
    let mut event: Value = serde_json::from_str(SUBSCRIBE).unwrap();
    event["body"] = json!(json!({ "action": "subscribe", "channel": channel }).to_string());
    event.to_string()
}

#[tokio::test]
async fn what_a_user_has_read_over_all_of_their_sockets_is_bounded() {
    let table = TestTable::create().await;
    let mut dispatcher = dispatcher(&table, &connection()).await;
    dispatcher.budget.requests_per_minute = 20;
    let other = "W1Ab2cdEFiAC0hR=";
    let limits = store::Limits { per_user: 9, per_tenant: 9 };
    dispatcher.connections.connect(&Connection { id: other.into(), ..connection() }, limits, now()).await.unwrap();
    for (channel, id) in [("system", ID), ("campaigns", ID), ("system", other), ("campaigns", other)] {
        let message = answer(&dispatcher, &subscribe_to(channel).replace(ID, id)).await;
        assert_ne!(message["type"], "error", "{message}");
    }
    for channel in ["system", "campaigns"] {
        let message = answer(&dispatcher, &subscribe_to(channel)).await;
        assert_eq!(
            (&message["data"]["code"], &message["data"]["action"]),
            (&json!("rate_limited"), &json!("subscribe"))
        );
    }
    let list = include_str!("../../../../../events/ws-message-subscribe-list.json");
    assert_eq!(refused(&dispatcher, list).await, "rate_limited");
    assert_eq!(watched(&dispatcher).await, ["system", "campaigns"], "and of the list nothing");
    assert_eq!(answer(&dispatcher, SUBSCRIBE).await["type"], "metrics_update", "a channel of its own is cheap");
    assert_eq!(stored(&dispatcher).await.ending, None);
    let later = now().plus(store::RATE_WINDOW);
    assert_eq!(
        answer_at(&dispatcher, &subscribe_to("system"), later).await["type"],
        "system_health_update",
        "a new minute"
    );
}

#[tokio::test]
async fn what_is_cheap_is_counted_with_the_connection_alone() {
    let table = TestTable::create().await;
    let dispatcher = dispatcher(&table, &connection()).await;
    for text in [SUBSCRIBE, SUBSCRIBE_CHANNEL, UNSUBSCRIBE, PING, NOT_JSON, UNKNOWN_CHANNEL] {
        answer(&dispatcher, text).await;
    }
    assert_eq!(table.item("user#acme#ann", "#requests").await, None);
    answer(&dispatcher, &subscribe_to("system")).await;
    assert!(table.item("user#acme#ann", "#requests").await.is_some());
}

#[tokio::test]
async fn while_nobody_can_count_nothing_costly_is_read() {
    let table = TestTable::create().await;
    let mut dispatcher = dispatcher(&table, &connection()).await;
    dispatcher.budget.requests = store::Requests::new(client("http://127.0.0.1:1"), table.name.clone());
    assert_eq!(refused(&dispatcher, &subscribe_to("system")).await, "unavailable");
    assert_eq!(watched(&dispatcher).await, ["campaigns"], "as before");
}
