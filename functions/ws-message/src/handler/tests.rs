mod limits;
mod lists;
mod renewal;

use std::{collections::BTreeMap, time::Duration};

use auth::{KeySet, Principal, Verifier};
use projections::{ChannelId, Record, TenantId, topic};
use runtime::PublisherWaker;
use serde_json::{Value, json};
use store::{Committer, Connection, Entry, SliceId, SliceKey};
use testing::TestTable;
use views::Reader;

use super::*;
use crate::{budget::Budget, dispatcher::Limits};

/// The local system's, which the tokens in `events/` are signed with.
const LOCAL_SECRET: &[u8] = b"livefold-local-secret-not-for-any-deployment";

const ID: &str = "W1Ab2cdEFiAC0hQ=";
const SUBSCRIBE: &str = include_str!("../../../../events/ws-message-subscribe.json");
const SUBSCRIBE_CHANNEL: &str = include_str!("../../../../events/ws-message-subscribe-channel.json");
const UNSUBSCRIBE: &str = include_str!("../../../../events/ws-message-unsubscribe.json");
const PING: &str = include_str!("../../../../events/ws-message-ping.json");
const AUTHENTICATE: &str = include_str!("../../../../events/ws-message-authenticate.json");
const NOT_JSON: &str = include_str!("../../../../events/ws-message-not-json.json");
const UNKNOWN_ACTION: &str = include_str!("../../../../events/ws-message-unknown-action.json");
const UNKNOWN_CHANNEL: &str = include_str!("../../../../events/ws-message-subscribe-unknown-channel.json");

fn now() -> Timestamp {
    "2026-01-15T10:30:00Z".parse().unwrap()
}

fn ann() -> Principal {
    Principal {
        tenant: TenantId::parse("acme").unwrap(),
        user: "ann".into(),
        permissions: vec![auth::READ_LIVE.into()],
        channels: None,
        issued_at: now(),
        expires_at: now().plus(Duration::from_hours(1)),
    }
}

fn connection() -> Connection {
    Connection {
        id: ID.into(),
        principal: ann(),
        channels: BTreeMap::from([(ChannelId::campaigns(), String::new())]),
        is_default: true,
        batch: false,
        connected_at: now(),
        source_ip: Some("192.0.2.17".into()),
        ending: None,
    }
}

/// A dispatcher over tables of its own, with a connection and a publisher at work: nothing is asked of Lambda.
async fn dispatcher(table: &TestTable, connection: &Connection) -> Dispatcher {
    let connections = table.connections(1);
    connections.connect(connection, store::Limits { per_user: 9, per_tenant: 9 }, now()).await.unwrap();
    table.leases().acquire(0, "publisher", now(), Duration::from_hours(2)).await.unwrap();
    let config = aws_sdk_lambda::Config::builder()
        .behavior_version(aws_sdk_lambda::config::BehaviorVersion::latest())
        .endpoint_url("http://127.0.0.1:1")
        .region(aws_sdk_lambda::config::Region::new("eu-central-1"))
        .credentials_provider(aws_sdk_lambda::config::Credentials::for_tests());
    let lambda = aws_sdk_lambda::Client::from_conf(config.build());
    Dispatcher {
        reader: Reader::new(table.channels(None), table.leases(), 1),
        connections,
        verifier: Verifier::fixed(KeySet::from_secrets([LOCAL_SECRET]).unwrap(), None),
        revocations: table.revocations(),
        waker: PublisherWaker::new(table.leases(), lambda, "publisher".into()),
        limits: Limits { messages_per_minute: 120, message_bytes: 8192, subscriptions: 100, channel_id_length: 128 },
        budget: Budget { requests: table.requests(), requests_per_minute: 600 },
    }
}

async fn answer_at(dispatcher: &Dispatcher, text: &str, now: Timestamp) -> Value {
    let response = handle(dispatcher, serde_json::from_str(text).unwrap(), now).await;
    assert_eq!(response.status_code, 200, "another status would reach nobody");
    let Some(Body::Text(body)) = response.body else { panic!("no body") };
    serde_json::from_str(&body).unwrap()
}

async fn answer(dispatcher: &Dispatcher, text: &str) -> Value {
    answer_at(dispatcher, text, now()).await
}

async fn refused(dispatcher: &Dispatcher, text: &str) -> String {
    let message = answer(dispatcher, text).await;
    assert_eq!(message["type"], "error", "{message}");
    message["data"]["code"].as_str().unwrap().to_owned()
}

async fn stored(dispatcher: &Dispatcher) -> Connection {
    dispatcher.connections.get(ID).await.unwrap().unwrap()
}

async fn watched(dispatcher: &Dispatcher) -> Vec<String> {
    stored(dispatcher).await.channels.keys().map(ToString::to_string).collect()
}

/// Folds in one record of the tenant.
async fn fold(table: &TestTable, topic: &str, value: &Value) {
    let (tenant, value) = (ann().tenant, value.to_string());
    let record = Record { topic, timestamp: now(), default_tenant: Some(&tenant), value: value.as_bytes() };
    let routed = topic::decode(&record).unwrap().remove(0);
    let slice = SliceId { epoch: 1, topic: record.topic.into(), partition: 0 };
    let key = SliceKey { tenant: routed.tenant, channel: routed.channel, slice };
    let entry = Entry { offset: 7, at: routed.at, event: routed.event };
    Committer::new(table.channels(None)).commit(&key, &[entry], now()).await.unwrap();
}

#[tokio::test]
async fn subscribe_answers_with_the_view_and_takes_the_place_of_the_defaults() {
    let table = TestTable::create().await;
    let dispatcher = dispatcher(&table, &connection()).await;
    let call = json!({ "eventType": "call_initiated", "campaignId": "c-17", "callId": "k" });
    fold(&table, "campaign.events.v1", &call).await;
    let message = answer(&dispatcher, SUBSCRIBE).await;
    assert_eq!((&message["type"], &message["channel"]), (&json!("metrics_update"), &json!("campaign:c-17")));
    assert_eq!((&message["data"]["campaignId"], &message["data"]["totalAttempts"]), (&json!("c-17"), &json!(1)));
    assert!(message["cursor"].as_str().unwrap().starts_with("8."));
    assert_eq!(watched(&dispatcher).await, ["campaign:c-17"]);
    assert!(!stored(&dispatcher).await.is_default);
}

#[tokio::test]
async fn a_channel_that_no_record_has_touched_shows_nothing_yet() {
    let table = TestTable::create().await;
    let dispatcher = dispatcher(&table, &connection()).await;
    let message = answer(&dispatcher, SUBSCRIBE_CHANNEL).await;
    assert_eq!((&message["type"], &message["channel"]), (&json!("dashboard.update"), &json!("event:evt_1")));
    assert_eq!((&message["data"]["totalMessages"], &message["cursor"]), (&json!(0), &json!("0.")));
}

#[tokio::test]
async fn names_are_shown_to_who_may_see_them_and_to_others_initials() {
    let table = TestTable::create().await;
    let dispatcher = dispatcher(&table, &connection()).await;
    let check_in = json!({ "id": "user_1", "name": "Ada Lovelace" });
    let check_in = json!({ "type": "CHECK_IN_PROCESSED", "eventId": "evt_1", "checkInData": check_in });
    fold(&table, "platform.analytics.check-in.v1", &check_in).await;
    let concealed = answer(&dispatcher, SUBSCRIBE_CHANNEL).await;
    assert!(concealed["data"].to_string().contains("A. L."), "{concealed}");
    assert!(!concealed.to_string().contains("Ada"), "{concealed}");
    let permissions = vec![auth::READ_LIVE.to_owned(), auth::READ_NAMES.to_owned()];
    dispatcher.connections.renew(ID, &Principal { permissions, ..ann() }, &[], now()).await.unwrap();
    let shown = answer(&dispatcher, SUBSCRIBE_CHANNEL).await;
    assert!(shown["data"].to_string().contains("Ada Lovelace"), "{shown}");
}

#[tokio::test]
async fn unsubscribe_is_acknowledged_and_leaves_the_connection_silent() {
    let table = TestTable::create().await;
    let dispatcher = dispatcher(&table, &connection()).await;
    answer(&dispatcher, SUBSCRIBE).await;
    for _ in 0..2 {
        let message = answer(&dispatcher, UNSUBSCRIBE).await;
        assert_eq!((&message["type"], &message["channel"]), (&json!("unsubscribed"), &json!("campaign:c-17")));
    }
    assert!(watched(&dispatcher).await.is_empty());
}

#[tokio::test]
async fn whatever_comes_is_answered_with_a_code() {
    let table = TestTable::create().await;
    let dispatcher = dispatcher(&table, &connection()).await;
    assert_eq!(answer(&dispatcher, PING).await["type"], "pong");
    for (text, code) in
        [(NOT_JSON, "invalid_message"), (UNKNOWN_ACTION, "unknown_action"), (UNKNOWN_CHANNEL, "unknown_channel")]
    {
        assert_eq!(refused(&dispatcher, text).await, code);
    }
    assert_eq!(stored(&dispatcher).await.ending, None, "the connection stays");
}

#[tokio::test]
async fn who_may_not_watch_is_told_so() {
    let table = TestTable::create().await;
    let principal = Principal { permissions: vec!["dashboard:read:live:event".into()], ..ann() };
    let dispatcher = dispatcher(&table, &Connection { principal, ..connection() }).await;
    let message = answer(&dispatcher, SUBSCRIBE).await;
    assert_eq!(message["data"]["code"], "forbidden");
    assert_eq!(message["data"]["action"], "subscribe");
    assert_eq!(watched(&dispatcher).await, ["campaigns"], "as before");
    assert_eq!(answer(&dispatcher, SUBSCRIBE_CHANNEL).await["type"], "dashboard.update");
}

#[tokio::test]
async fn a_connection_that_is_gone_needs_a_new_handshake() {
    let table = TestTable::create().await;
    let dispatcher = dispatcher(&table, &connection()).await;
    dispatcher.connections.disconnect(ID).await.unwrap();
    for text in [SUBSCRIBE, UNSUBSCRIBE, PING, AUTHENTICATE] {
        assert_eq!(refused(&dispatcher, text).await, "unauthorized");
    }
}
