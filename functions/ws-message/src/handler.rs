//! From a client's message to its answer, which API Gateway sends back on the socket.

use auth::{Action, Principal};
use aws_lambda_events::{
    apigw::{ApiGatewayProxyResponse, ApiGatewayWebsocketProxyRequest},
    encodings::Body,
};
use projections::{ChannelId, Timestamp};
use protocol::{ClientMessage, ErrorCode, Rejection, channel_message, error_message, pong, subscribed, unsubscribed};
use runtime::PublisherWaker;
use store::{Connection, Connections, StoreError, SubscribeError};
use views::Reader;

/// The most channels that one connection watches. A screen shows a few dozen; whoever needs more watches `campaigns`.
const MAX_SUBSCRIPTIONS: usize = 100;

/// What answers messages.
pub(crate) struct Desk {
    pub(crate) connections: Connections,
    pub(crate) reader: Reader,
    pub(crate) waker: PublisherWaker,
}

impl Desk {
    /// Answers one message. Whatever it is, there is an answer and the connection stays.
    pub(crate) async fn handle(
        &self,
        event: ApiGatewayWebsocketProxyRequest,
        now: Timestamp,
    ) -> ApiGatewayProxyResponse {
        let connection = event.request_context.connection_id.unwrap_or_default();
        let body = event.body.unwrap_or_default();
        let answer = self.follow(&connection, &body, now).await;
        let mut response = ApiGatewayProxyResponse::default();
        response.status_code = 200;
        response.body = Some(Body::Text(answer.unwrap_or_else(|rejection| error_message(&rejection, now))));
        response
    }

    async fn follow(&self, connection: &str, body: &str, now: Timestamp) -> Result<String, Rejection> {
        let message = ClientMessage::parse(body)?;
        let followed = match &message {
            ClientMessage::Subscribe(channel) => self.subscribe(connection, channel, now).await,
            ClientMessage::Unsubscribe(channel) => self.unsubscribe(connection, channel, now).await,
            // Nothing is read for it: it only keeps the socket from idling.
            ClientMessage::Ping => Ok(pong(now)),
        };
        followed.map_err(|code| Rejection::of(message.action(), code))
    }

    async fn subscribe(&self, id: &str, channel: &ChannelId, now: Timestamp) -> Result<String, ErrorCode> {
        let principal = self.principal(id, now).await?;
        if !auth::allows(&principal, Action::Read, channel) {
            return Err(ErrorCode::Forbidden);
        }
        if let ChannelId::All(_) = channel {
            // Its views are too many for one message; the publisher sends each by itself, from its next tick on.
            self.watch(id, channel, "", now).await?;
            return Ok(subscribed(channel, now));
        }
        let view = self.reader.view(&principal.tenant, channel, now).await.map_err(|error| failed(&error))?;
        // The view is read before the connection watches: what changes in between differs from it and will be posted.
        self.watch(id, channel, &format!("{:x}", view.fingerprint), now).await?;
        Ok(channel_message(view.message_type, channel, &view.data, now, &view.cursor))
    }

    /// Lets the connection watch; `answered` tells the publisher what it has got already.
    async fn watch(&self, id: &str, channel: &ChannelId, answered: &str, now: Timestamp) -> Result<(), ErrorCode> {
        self.connections.subscribe(id, channel, answered, MAX_SUBSCRIPTIONS).await.map_err(refused)?;
        self.waker.wake_unless_leased(self.connections.shard_of(id), now).await;
        Ok(())
    }

    async fn unsubscribe(&self, id: &str, channel: &ChannelId, now: Timestamp) -> Result<String, ErrorCode> {
        self.connections.unsubscribe(id, channel).await.map_err(refused)?;
        Ok(unsubscribed(channel, now))
    }

    /// Who is at the other end, as long as the token of the handshake holds.
    async fn principal(&self, id: &str, now: Timestamp) -> Result<Principal, ErrorCode> {
        let connection =
            self.connections.get(id).await.map_err(|error| failed(&error))?.ok_or(ErrorCode::Unauthorized)?;
        let Connection { tenant, user, permissions, expires_at, .. } = connection;
        if now >= expires_at.plus(auth::LEEWAY) {
            return Err(ErrorCode::Unauthorized);
        }
        Ok(Principal { tenant, user, permissions, expires_at })
    }
}

fn refused(error: SubscribeError) -> ErrorCode {
    match error {
        // Forgotten, because a post found it gone: a new handshake helps, and nothing else.
        SubscribeError::Gone => ErrorCode::Unauthorized,
        SubscribeError::TooMany => ErrorCode::TooManySubscriptions,
        SubscribeError::Store(error) => failed(&error),
    }
}

fn failed(error: &StoreError) -> ErrorCode {
    tracing::error!(%error, "message not followed");
    match error {
        StoreError::Unavailable(_) => ErrorCode::Unavailable,
        _ => ErrorCode::Internal,
    }
}

#[cfg(test)]
#[path = "../../../shared/store/tests/dynamodb/table.rs"]
#[expect(dead_code, unreachable_pub, reason = "the tests of the store, whose it is, use more of it")]
mod table;

#[cfg(test)]
mod tests {
    use std::{collections::BTreeMap, time::Duration};

    use projections::{Record, topic};
    use serde_json::{Value, json};
    use store::{Committer, Entry, SliceId, SliceKey};

    use super::*;
    use crate::handler::table::TestTable;

    const ID: &str = "W1Ab2cdEFiAC0hQ=";
    const SUBSCRIBE: &str = include_str!("../../../events/ws-message-subscribe.json");
    const SUBSCRIBE_CHANNEL: &str = include_str!("../../../events/ws-message-subscribe-channel.json");
    const UNSUBSCRIBE: &str = include_str!("../../../events/ws-message-unsubscribe.json");
    const PING: &str = include_str!("../../../events/ws-message-ping.json");
    const NOT_JSON: &str = include_str!("../../../events/ws-message-not-json.json");
    const UNKNOWN_ACTION: &str = include_str!("../../../events/ws-message-unknown-action.json");
    const UNKNOWN_CHANNEL: &str = include_str!("../../../events/ws-message-subscribe-unknown-channel.json");

    fn now() -> Timestamp {
        "2026-01-15T10:30:00Z".parse().unwrap()
    }

    fn connection() -> Connection {
        Connection {
            id: ID.into(),
            tenant: projections::TenantId::parse("acme").unwrap(),
            user: "ann".into(),
            permissions: vec![auth::READ_LIVE.into()],
            channels: BTreeMap::from([(ChannelId::campaigns(), String::new())]),
            is_default: true,
            connected_at: now(),
            expires_at: now().plus(Duration::from_hours(1)),
        }
    }

    /// A desk over tables of its own, with a connection and a publisher at work: nothing is asked of Lambda.
    async fn desk(table: &TestTable, connection: &Connection) -> Desk {
        let connections = table.connections(1);
        connections.connect(connection, 9, now()).await.unwrap();
        table.leases().acquire(0, "publisher", now(), Duration::from_hours(2)).await.unwrap();
        let config = aws_sdk_lambda::Config::builder()
            .behavior_version(aws_sdk_lambda::config::BehaviorVersion::latest())
            .endpoint_url("http://127.0.0.1:1")
            .region(aws_sdk_lambda::config::Region::new("eu-central-1"))
            .credentials_provider(aws_sdk_lambda::config::Credentials::for_tests());
        let lambda = aws_sdk_lambda::Client::from_conf(config.build());
        Desk {
            reader: Reader::new(table.channels(None), table.leases(), 1),
            connections,
            waker: PublisherWaker::new(table.leases(), lambda, "publisher".into()),
        }
    }

    async fn answer_at(desk: &Desk, text: &str, now: Timestamp) -> Value {
        let response = desk.handle(serde_json::from_str(text).unwrap(), now).await;
        assert_eq!(response.status_code, 200, "another status would reach nobody");
        let Some(Body::Text(body)) = response.body else { panic!("no body") };
        serde_json::from_str(&body).unwrap()
    }

    async fn answer(desk: &Desk, text: &str) -> Value {
        answer_at(desk, text, now()).await
    }

    /// Counts one call of a campaign.
    async fn call(table: &TestTable, campaign: &str) {
        let value = format!(r#"{{"eventType":"call_initiated","campaignId":"{campaign}","callId":"k"}}"#);
        let tenant = connection().tenant;
        let record = Record {
            topic: "campaign.events.v1",
            timestamp: now(),
            default_tenant: Some(&tenant),
            value: value.as_bytes(),
        };
        let routed = topic::decode(&record).unwrap();
        let slice = SliceId { epoch: 1, topic: record.topic.into(), partition: 0 };
        let key = SliceKey { tenant: routed.tenant, channel: routed.channel, slice };
        let entry = Entry { offset: 7, at: routed.at, event: routed.event };
        Committer::new(table.channels(None)).commit(&key, &[entry], now()).await.unwrap();
    }

    #[tokio::test]
    async fn subscribe_answers_with_the_view_and_takes_the_place_of_the_defaults() {
        let table = TestTable::create().await;
        let desk = desk(&table, &connection()).await;
        call(&table, "c-17").await;
        let message = answer(&desk, SUBSCRIBE).await;
        assert_eq!((&message["type"], &message["channel"]), (&json!("metrics_update"), &json!("campaign:c-17")));
        assert_eq!((&message["data"]["campaignId"], &message["data"]["totalAttempts"]), (&json!("c-17"), &json!(1)));
        assert!(message["cursor"].as_str().unwrap().starts_with("8."));
        let stored = desk.connections.get(ID).await.unwrap().unwrap();
        assert_eq!(stored.channels.keys().map(ToString::to_string).collect::<Vec<_>>(), ["campaign:c-17"]);
        assert!(!stored.is_default);
    }

    #[tokio::test]
    async fn a_channel_that_no_record_has_touched_shows_nothing_yet() {
        let table = TestTable::create().await;
        let desk = desk(&table, &connection()).await;
        let message = answer(&desk, SUBSCRIBE_CHANNEL).await;
        assert_eq!((&message["type"], &message["channel"]), (&json!("dashboard.update"), &json!("event:evt_1")));
        assert_eq!((&message["data"]["totalMessages"], &message["cursor"]), (&json!(0), &json!("0.")));
    }

    #[tokio::test]
    async fn unsubscribe_is_acknowledged_and_leaves_the_connection_silent() {
        let table = TestTable::create().await;
        let desk = desk(&table, &connection()).await;
        answer(&desk, SUBSCRIBE).await;
        for _ in 0..2 {
            let message = answer(&desk, UNSUBSCRIBE).await;
            assert_eq!((&message["type"], &message["channel"]), (&json!("unsubscribed"), &json!("campaign:c-17")));
        }
        assert!(desk.connections.get(ID).await.unwrap().unwrap().channels.is_empty());
    }

    #[tokio::test]
    async fn whatever_comes_is_answered_with_a_code() {
        let table = TestTable::create().await;
        let desk = desk(&table, &connection()).await;
        assert_eq!(answer(&desk, PING).await["type"], "pong");
        for (text, code) in
            [(NOT_JSON, "invalid_message"), (UNKNOWN_ACTION, "unknown_action"), (UNKNOWN_CHANNEL, "unknown_channel")]
        {
            let message = answer(&desk, text).await;
            assert_eq!((&message["type"], &message["data"]["code"]), (&json!("error"), &json!(code)));
        }
        assert!(desk.connections.get(ID).await.unwrap().is_some(), "the connection stays");
    }

    #[tokio::test]
    async fn who_may_not_watch_is_told_so() {
        let table = TestTable::create().await;
        let desk = desk(&table, &Connection { permissions: Vec::new(), ..connection() }).await;
        let message = answer(&desk, SUBSCRIBE).await;
        assert_eq!(message["data"]["code"], "forbidden");
        assert_eq!(message["data"]["action"], "subscribe");
    }

    #[tokio::test]
    async fn a_token_that_has_expired_or_a_connection_that_is_gone_needs_a_new_handshake() {
        let table = TestTable::create().await;
        let desk = desk(&table, &connection()).await;
        let expired = answer_at(&desk, SUBSCRIBE, connection().expires_at.plus(auth::LEEWAY)).await;
        assert_eq!(expired["data"]["code"], "unauthorized");
        desk.connections.disconnect(ID).await.unwrap();
        for text in [SUBSCRIBE, UNSUBSCRIBE] {
            assert_eq!(answer(&desk, text).await["data"]["code"], "unauthorized");
        }
    }

    #[tokio::test]
    async fn a_connection_watches_only_so_many_channels() {
        let table = TestTable::create().await;
        let desk = desk(&table, &connection()).await;
        let message = |n: usize| SUBSCRIBE.replace("c-17", &format!("c-{n}"));
        for n in 0..MAX_SUBSCRIPTIONS {
            assert_eq!(answer(&desk, &message(n)).await["type"], "metrics_update");
        }
        assert_eq!(answer(&desk, &message(MAX_SUBSCRIPTIONS)).await["data"]["code"], "too_many_subscriptions");
    }
}
