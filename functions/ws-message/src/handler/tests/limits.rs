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
